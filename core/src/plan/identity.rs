//! Whether state of one pipeline may go into an engine of another.

use serde_json::Value;

/// Returns whether `stored`, which describes the pipeline that some state comes from, agrees with `own`.
///
/// Rules of a zone that is named are not compared: each release of a time zone database may have other ones.
pub(super) fn agree(own: &str, stored: &[u8]) -> bool {
    if stored == own.as_bytes() {
        return true;
    }
    let stored: Result<Value, _> = serde_json::from_slice(stored);
    match (serde_json::from_str(own), stored) {
        (Ok(own), Ok(stored)) => without_rules(own) == without_rules(stored),
        _ => false,
    }
}

fn without_rules(mut identity: Value) -> Value {
    let stages = identity.get_mut("stages").and_then(Value::as_array_mut);
    let stages = stages.into_iter().flatten().filter_map(Value::as_object_mut);
    for stage in stages.filter(|stage| stage.contains_key("zone")) {
        stage.remove("zone_offsets");
        stage.remove("zone_offsets_until");
    }
    identity
}
