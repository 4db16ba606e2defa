//! Whether state of one pipeline may go into an engine of another.

use serde_json::Value;

/// Returns whether `stored`, which describes the pipeline that some state comes from, agrees with `own`.
///
/// What earlier versions stored has the rules of zones in it.
pub(super) fn agree(own: &str, stored: &[u8]) -> bool {
    if stored == own.as_bytes() {
        return true;
    }
    // Both are parsed, so that numbers are rounded alike.
    match (serde_json::from_str::<Value>(own), serde_json::from_slice(stored)) {
        (Ok(own), Ok(stored)) => own == without_zone_rules(stored),
        _ => false,
    }
}

/// Returns `identity` without the rules of zones that have a name: each release of a time zone database may have other ones.
pub(super) fn without_zone_rules(mut identity: Value) -> Value {
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
    fn rules_of_named_zones_are_not_compared_and_everything_else_is() {
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
