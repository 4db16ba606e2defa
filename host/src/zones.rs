//! Time zones by name: the engine has no database of them, so it is given their rules.

use jiff::Timestamp;
use jiff::tz::{self, TimeZone};
use stream_processor_core::spec::{Stage, WindowKind};
use stream_processor_core::{PipelineSpec, SpecError};

/// The years whose rules are given: before and after, the first and the last hold.
const FROM: &str = "1900-01-01T00:00:00Z";
const UNTIL: &str = "2200-01-01T00:00:00Z";

/// Gives every calendar window of a named zone the rules of that zone, unless the pipeline has them.
///
/// # Errors
/// A name that no zone has.
pub(crate) fn resolve(spec: &mut PipelineSpec) -> Result<(), SpecError> {
    for (index, stage) in spec.stages.iter_mut().enumerate() {
        let Stage::Window(window) = stage else { continue };
        let is_open = window.window == WindowKind::Calendar && window.zone_offsets.is_none();
        let Some(name) = window.zone.as_deref().filter(|_| is_open) else { continue };
        if name == "UTC" || name.starts_with(['+', '-']) {
            continue;
        }
        let zone = tz::db().get(name).map_err(|_| {
            let message = format!(
                "no time zone `{name}`: expected UTC, an offset such as \"+05:30\", or a name such as \"Europe/Berlin\""
            );
            SpecError::new(format!("stages[{index}].zone"), message)
        })?;
        window.zone_offsets = Some(rules(&zone));
    }
    Ok(())
}

/// Since when, seconds, the zone is how many seconds ahead of UTC.
fn rules(zone: &TimeZone) -> Vec<(i64, i64)> {
    let time = |text: &str| text.parse::<Timestamp>().unwrap_or(Timestamp::UNIX_EPOCH);
    let (from, until) = (time(FROM), time(UNTIL));
    let mut rules = vec![(from.as_second(), i64::from(zone.to_offset(from).seconds()))];
    for transition in zone.following(from).take_while(|transition| transition.timestamp() < until) {
        let offset = i64::from(transition.offset().seconds());
        // Some transitions change the zone's abbreviation alone.
        if rules.last().is_none_or(|(_, before)| *before != offset) {
            rules.push((transition.timestamp().as_second(), offset));
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(zone: &str) -> PipelineSpec {
        PipelineSpec::from_json(&format!(
            r#"{{"stages": [{{"type": "window", "window": "calendar", "unit": "day", "zone": "{zone}",
            "aggregations": ["count"]}}]}}"#
        ))
        .unwrap()
    }

    #[test]
    fn zones_are_found_by_name() {
        let mut berlin = spec("Europe/Berlin");
        resolve(&mut berlin).unwrap();
        let Stage::Window(window) = &berlin.stages[0] else { unreachable!() };
        let rules = window.zone_offsets.as_ref().unwrap();
        assert!(rules.contains(&(1_711_846_800, 7_200)), "summer time of 2024");
        assert!(rules.contains(&(1_729_990_800, 3_600)), "and its end");
        assert!(rules.is_sorted_by(|a, b| a.0 < b.0 && a.1 != b.1));
        for zone in ["UTC", "+05:30"] {
            let mut fixed = spec(zone);
            resolve(&mut fixed).unwrap();
            assert_eq!(fixed, spec(zone));
        }
        let error = resolve(&mut spec("Europe/Berlim")).unwrap_err();
        assert_eq!(error.path(), "stages[0].zone");
    }
}
