//! Lost input at the end of a run: how much, why, what to do, and whether the run failed for it.

use std::fmt;
use std::str::FromStr;

use indicatif::HumanCount;
use stream_processor::Summary;
use stream_processor::spec::Duration;

/// The most input that a run may lose and still succeed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum MaxLost {
    /// A number of events.
    Events(u64),
    /// A share of all events, in percent.
    Percent(f64),
}

impl FromStr for MaxLost {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a number of events, such as 100, or a share, such as 5%";
        match text.strip_suffix('%') {
            None => text.parse().map(Self::Events).map_err(|_| EXPECTED),
            Some(number) => match number.trim_end().parse::<f64>() {
                Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self::Percent(percent)),
                _ => Err(EXPECTED),
            },
        }
    }
}

impl fmt::Display for MaxLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Events(events) => write!(f, "{events}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// The way in which the user set the options of time: messages name them by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Options {
    /// By flags of a one-line pipeline.
    Flags,
    /// By a pipeline file.
    File,
}

/// Returns the number of events that the run lost: those that were rejected, late, or dropped at a
/// limit. A late row of a later stage counts as an event.
fn lost(summary: &Summary) -> u64 {
    let lost = summary.rejected + summary.late_dropped + summary.limit_dropped;
    lost.min(summary.lines)
}

/// Returns whether the run lost more than `max` allows.
pub(crate) fn exceeds(summary: &Summary, max: MaxLost) -> bool {
    let lost = lost(summary);
    match max {
        MaxLost::Events(events) => lost > events,
        MaxLost::Percent(percent) => lost as f64 > summary.lines as f64 * percent / 100.0,
    }
}

/// Returns a line about the greatest loss: how much, why, and what to do. Returns `None` if
/// nothing was lost.
pub(crate) fn message(summary: &Summary, options: Options) -> Option<String> {
    let Summary { rejected, late_dropped, limit_dropped, .. } = *summary;
    let of = |count: u64, what: &str| {
        let lost = lost(summary);
        let were = if lost == 1 { "was" } else { "were" };
        let lines = if summary.lines == 1 { "event" } else { "events" };
        let all = format!("{} of {} {lines} {were}", HumanCount(lost), HumanCount(summary.lines));
        if count < lost {
            format!("{all} lost, {} of them {what}", HumanCount(count))
        } else {
            format!("{all} {what}")
        }
    };
    match rejected.max(late_dropped).max(limit_dropped) {
        0 => None,
        most if most == late_dropped => {
            let behind = summary.max_behind.filter(|behind| behind.as_micros() > 0);
            let behind_text =
                behind.map(|of| format!(", up to {} behind", two_units(of))).unwrap_or_default();
            let late = of(late_dropped, "late and dropped");
            let advice = if summary.limits_struck.iter().any(|limit| limit == "buffer_limit") {
                ADVICE_IF_COMPLETED_EARLY.into()
            } else {
                advice_if_late(behind, options)
            };
            Some(format!("{late}{behind_text}: {advice}"))
        }
        most if most == rejected => {
            let by_reason = summary.rejected_by_reason.iter();
            let (reason, count) = by_reason.max_by_key(|(_, count)| **count)?;
            let most = if *count == rejected { "" } else { "most " };
            let advice = advice_if_rejected(reason, options);
            Some(format!("{}, {most}for {reason}: {advice}", of(rejected, "rejected")))
        }
        _ => Some(format!(
            "{}: raise the limits ({}) under [limits] of a pipeline file",
            of(limit_dropped, "dropped at a limit"),
            summary.limits_struck.join(", ")
        )),
    }
}

/// The advice if events were late because a limit completed grid points early.
const ADVICE_IF_COMPLETED_EARLY: &str = "grid points were completed early (buffer_limit), raise \
     max_buffered of the normalize stage in a pipeline file";

/// Returns what makes late events count: a greater bound, or none.
fn advice_if_late(behind: Option<Duration>, options: Options) -> String {
    let bound = behind.map(two_units);
    match (options, bound) {
        (Options::Flags, Some(bound)) => format!(
            "--max-out-of-orderness {bound} waits for them, --unordered reads a file in any order"
        ),
        (Options::Flags, None) => {
            "raise --max-out-of-orderness, or read a file in any order with --unordered".into()
        }
        (Options::File, Some(bound)) => format!(
            "under [time], max_out_of_orderness = \"{bound}\" waits for them, \"unbounded\" reads \
             a file in any order"
        ),
        (Options::File, None) => {
            "under [time], raise max_out_of_orderness, or set it to \"unbounded\" for a file in \
             any order"
                .into()
        }
    }
}

/// Returns what to do about lines that were rejected for `reason`.
fn advice_if_rejected(reason: &str, options: Options) -> &'static str {
    match reason {
        "invalid_json" | "not_an_object" => {
            "each line must be one JSON object; for CSV set the format to csv"
        }
        "missing_field" | "wrong_type" | "non_finite" => {
            "check the names of timestamp, key and value; require says which values an event needs, \
             null which texts are missing values, on_null_key what an event without a key is"
        }
        "invalid_timestamp" => match options {
            Options::Flags => {
                "--timestamp names the field, --timestamp-format '%d/%m/%Y %H:%M:%S' says how its \
                 times are written, --timestamp-zone where they are local"
            }
            Options::File => {
                "under [source], timestamp names the field, timestamp_format says how its times are \
                 written, timestamp_zone where they are local"
            }
        },
        "timestamp_out_of_range" => "check the timestamp field and its unit (s, ms, us, ns)",
        "wrong_column_count" | "invalid_csv" => {
            "check the quotes and the columns of the lines above"
        }
        "future" => "raise max_future_skew, or keep such events with future = keep",
        "partition_limit" => "raise limits.max_partitions in a pipeline file",
        "line_too_long" => "raise limits.max_line_bytes in a pipeline file",
        "key_too_long" => "raise limits.max_key_bytes in a pipeline file",
        _ => "--dead-letter FILE writes each of them with its reason",
    }
}

/// Returns the duration in its two largest units, rounded up, so that it is a sufficient bound.
fn two_units(duration: Duration) -> String {
    const UNITS_US: [i64; 7] =
        [604_800_000_000, 86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000, 1];
    let micros = duration.as_micros();
    let largest = UNITS_US.iter().position(|unit| *unit <= micros).unwrap_or(UNITS_US.len() - 1);
    let unit = UNITS_US.get(largest + 1).copied().unwrap_or(1);
    let rounded = micros.saturating_add(unit - 1) / unit * unit;
    Duration::from_micros(rounded).unwrap_or(duration).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_is_a_number_or_a_share() {
        assert_eq!("100".parse(), Ok(MaxLost::Events(100)));
        assert_eq!("2.5%".parse(), Ok(MaxLost::Percent(2.5)));
        for wrong in ["", "%", "-1", "101%", "NaN%", "1.5", "half"] {
            assert!(wrong.parse::<MaxLost>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn printed_duration_is_a_sufficient_bound() {
        let cases = [
            ("0s", "0s"),
            ("1us", "1us"),
            ("1ms1us", "1ms1us"),
            ("2s1ms1us", "2s2ms"),
            ("3h59m1s", "4h"),
            ("364d", "52w"),
            ("364d1s", "52w1d"),
        ];
        for (duration, printed) in cases {
            assert_eq!(two_units(duration.parse().unwrap()), printed, "{duration}");
        }
    }
}
