//! The identity of a pipeline: state moves only between engines whose identities agree.

use serde::Serialize;
use serde_json::Value;

use super::Caps;
use crate::spec::{Names, PipelineSpec, Stage, Time};

/// The part of a pipeline that results depend on.
#[derive(Serialize)]
struct Identified<'a> {
    key: &'a Names,
    value: &'a Names,
    time: &'a Time,
    stages: &'a [Stage],
}

/// Returns what two engines must agree on to exchange state, as canonical JSON.
#[inline]
pub(super) fn of(spec: &PipelineSpec) -> String {
    let PipelineSpec { source, time, stages, .. } = spec;
    let part = Identified { key: &source.key, value: &source.value, time, stages };
    // By way of the text: a second serializer, for `Value`, would add 45 kB to the module.
    let json = serde_json::to_vec(&part).unwrap_or_default();
    let mut identity: Value = serde_json::from_slice(&json).unwrap_or_default();
    if let Some(identity) = identity.as_object_mut() {
        Caps::identify(spec, identity);
        // Added only if they affect results, so that snapshots of other pipelines stay valid.
        for stage in &spec.stages {
            if let Some((name, limit)) = stage.options().identity_limit(&spec.limits) {
                identity.insert(name.to_owned(), limit.into());
            }
        }
        if let Some(partition) = &spec.source.partition {
            identity.insert("partition".to_owned(), partition.as_str().into());
            identity.insert("max_partitions".to_owned(), spec.limits.max_partitions.into());
        }
    }
    without_zone_rules(identity).to_string()
}

/// Returns true if `stored`, the identity that a piece of state was saved with, agrees with `own`.
///
/// Earlier versions stored the zone rules as well; they are ignored.
#[inline]
pub(super) fn agree(own: &str, stored: &[u8]) -> bool {
    if stored == own.as_bytes() {
        return true;
    }
    // Both are parsed, so that numbers are rounded alike.
    match (serde_json::from_slice::<Value>(own.as_bytes()), serde_json::from_slice(stored)) {
        (Ok(own), Ok(stored)) => own == without_zone_rules(stored),
        _ => false,
    }
}

/// Returns `identity` without the rules of named zones: they differ between releases of the time
/// zone database.
#[inline]
fn without_zone_rules(mut identity: Value) -> Value {
    let stages = identity.get_mut("stages").and_then(Value::as_array_mut);
    let stages = stages.into_iter().flatten().filter_map(Value::as_object_mut);
    for stage in stages.filter(|stage| stage.contains_key("zone")) {
        stage.remove("zone_offsets");
        stage.remove("zone_offsets_until");
    }
    identity
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn identity_ignores_only_rules_of_named_zones() {
        let identity = |zone: &str, rules: Option<Value>, alpha: f64| {
            let mut window = json!({"type": "window", "zone": zone});
            if let (Some(rules), Some(window)) = (rules, window.as_object_mut()) {
                window.insert("zone_offsets".to_owned(), rules);
            }
            json!({"stages": [window, {"type": "ema", "alpha": alpha}]}).to_string()
        };
        let own = identity("Europe/Berlin", None, 0.1 + 0.2);
        let rules = Some(json!([[0, 3600]]));
        assert!(agree(&own, own.as_bytes()));
        assert!(agree(&own, identity("Europe/Berlin", rules.clone(), 0.1 + 0.2).as_bytes()));
        assert!(!agree(&own, identity("Europe/Paris", rules.clone(), 0.1 + 0.2).as_bytes()));
        assert!(!agree(&own, identity("Europe/Berlin", rules, 0.3).as_bytes()));
        assert!(!agree(&own, own.get(1..).unwrap_or_default().as_bytes()));
    }
}
