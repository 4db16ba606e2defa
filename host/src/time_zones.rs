//! Rules of named time zones. The engine has no time zone database, so the host adds the rules of
//! each zone to the pipeline.

use jiff::Timestamp;
use jiff::tz::{self, TimeZone};
use stream_processor_core::spec::{Stage, WindowKind};
use stream_processor_core::{PipelineSpec, SpecError};

/// The first instant whose rules are given: every zone has local mean time before 1800.
const FROM: &str = "1800-01-01T00:00:00Z";
/// The first instant after the given rules. No release of the database has rules for single years
/// after 2087, so one rule holds from 2100 on and the last 400 years repeat.
const UNTIL: &str = "2500-01-01T00:00:00Z";

/// Adds the rules of its zone to each calendar window with a named zone, unless the pipeline has
/// rules already.
///
/// # Errors
/// The name of a window's zone is unknown.
pub(crate) fn resolve(spec: &mut PipelineSpec) -> Result<(), SpecError> {
    for (index, stage) in spec.stages.iter_mut().enumerate() {
        let Stage::Window(window) = stage else { continue };
        let is_given = window.zone_offsets.is_some() || window.zone_offsets_until.is_some();
        let needs_rules = window.window == WindowKind::Calendar && !is_given;
        let Some(name) = window.zone.as_deref().filter(|_| needs_rules) else { continue };
        if name == "UTC" || name.starts_with(['+', '-']) {
            continue;
        }
        let zone = named(name);
        let zone = zone.ok_or_else(|| unknown(&format!("stages[{index}].zone"), name))?;
        window.zone_offsets = Some(rules(&zone));
        window.zone_offsets_until = Some(time(UNTIL).as_second());
    }
    Ok(())
}

/// Returns the zone of the database that is called `name`.
pub(crate) fn named(name: &str) -> Option<TimeZone> {
    tz::db().get(name).ok()
}

/// Returns the error for the field at `path`, which names no time zone.
pub(crate) fn unknown(path: &str, name: &str) -> SpecError {
    let message = format!(
        "no time zone {name:?}: expected UTC, an offset such as \"+05:30\", or a name such as \"Europe/Berlin\""
    );
    SpecError::new(path, message)
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Returns the zone's offsets: pairs of the time from which one holds, in seconds since the epoch,
/// and the seconds ahead of UTC.
fn rules(zone: &TimeZone) -> Vec<(i64, i64)> {
    let (from, until) = (time(FROM), time(UNTIL));
    let mut rules = vec![(from.as_second(), i64::from(zone.to_offset(from).seconds()))];
    for transition in zone.following(from).take_while(|transition| transition.timestamp() < until) {
        let offset = i64::from(transition.offset().seconds());
        // Some transitions change only the zone's abbreviation.
        if rules.last().is_none_or(|(_, before)| *before != offset) {
            rules.push((transition.timestamp().as_second(), offset));
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the rules that a pipeline gets for `zone`.
    fn resolved(zone: &str) -> Vec<(i64, i64)> {
        let mut spec = spec(zone);
        resolve(&mut spec).unwrap();
        let Stage::Window(window) = &spec.stages[0] else { unreachable!() };
        assert_eq!(window.zone_offsets_until, Some(time(UNTIL).as_second()));
        window.zone_offsets.clone().unwrap()
    }

    fn spec(zone: &str) -> PipelineSpec {
        PipelineSpec::from_json(&format!(
            r#"{{"stages": [{{"type": "window", "window": "calendar", "unit": "day", "zone": "{zone}",
            "aggregations": ["count"]}}]}}"#
        ))
        .unwrap()
    }

    #[test]
    fn rules_of_named_zones_are_added_and_unknown_names_are_errors() {
        let rules = resolved("Europe/Berlin");
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

    #[test]
    fn rules_begin_with_local_mean_time_and_their_last_400_years_repeat() {
        const CYCLE: i64 = 146_097 * 86_400;
        let (from, until) = (time(FROM), time(UNTIL));
        for zone in tz::db().available().filter(|zone| zone.as_str() != "UTC") {
            let rules = resolved(zone.as_str());
            let zone = tz::db().get(zone.as_str()).unwrap();
            let first = i64::from(zone.to_offset(Timestamp::MIN).seconds());
            assert_eq!(rules[0], (from.as_second(), first), "{zone:?}");
            let expected: Vec<(i64, i64)> = rules
                .iter()
                .map(|(since, offset)| (since + CYCLE, *offset))
                .filter(|(since, _)| *since >= until.as_second())
                .collect();
            let mut found: Vec<(i64, i64)> = zone
                .following(until)
                .take_while(|next| next.timestamp().as_second() < until.as_second() + CYCLE)
                .map(|next| (next.timestamp().as_second(), i64::from(next.offset().seconds())))
                .collect();
            found.dedup_by_key(|(_, offset)| *offset);
            assert_eq!(found, expected, "{zone:?}");
        }
    }
}
