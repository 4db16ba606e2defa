//! The first event times of a run: most of them lie in years that can be meant, or the run warns.

use stream_processor_core::time::TimeUnit;

use crate::pipeline::Pipeline;

/// The number of event times that are judged.
const JUDGED: usize = 1_000;

/// The years that can be meant, in microseconds since the epoch: from 1980 to 2200.
const LIKELY: std::ops::Range<i64> = 315_532_800_000_000..7_289_654_400_000_000;

/// Numbers of this range may be dates written as `YYYYMMDD`.
const DATES: std::ops::Range<i64> = 19_000_101..22_000_101;

/// The first event times of a run, most of which lie before 1980 or after 2200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnlikelyTimes {
    /// The first of these times, in microseconds since the epoch.
    pub example: i64,
    /// The unit with which they would lie in between, and the example in that unit.
    pub fitting_unit: Option<(TimeUnit, i64)>,
    /// True if the numbers are dates of the form `YYYYMMDD`.
    pub are_dates: bool,
}

/// Collects the first event times of a run.
pub(super) struct FirstTimes {
    times: Vec<i64>,
    is_judged: bool,
    /// The unit of numbers; `None` if a format describes all times.
    unit: Option<TimeUnit>,
}

impl FirstTimes {
    pub(super) fn new(pipeline: &Pipeline) -> Self {
        let unit = pipeline.spec().source.timestamp_unit;
        let unit = Some(unit).filter(|_| pipeline.reads_time_unit());
        Self { times: Vec::new(), is_judged: pipeline.plan().input.time_is_optional, unit }
    }

    /// Takes the times of the next events. Returns the judgement once there are enough of them.
    #[inline]
    pub(super) fn observe(&mut self, timestamps: &[i64]) -> Option<UnlikelyTimes> {
        if self.is_judged {
            return None;
        }
        let missing = JUDGED.saturating_sub(self.times.len());
        self.times.extend(timestamps.iter().take(missing));
        if self.times.len() < JUDGED { None } else { self.finish() }
    }

    /// Judges the times so far, unless they were judged before.
    pub(super) fn finish(&mut self) -> Option<UnlikelyTimes> {
        let times = std::mem::take(&mut self.times);
        if std::mem::replace(&mut self.is_judged, true) { None } else { judge(&times, self.unit) }
    }
}

fn judge(times: &[i64], unit: Option<TimeUnit>) -> Option<UnlikelyTimes> {
    let is_likely = |time: &i64| LIKELY.contains(time);
    let most =
        |is: &dyn Fn(i64) -> bool| 2 * times.iter().filter(|time| is(**time)).count() > times.len();
    if !most(&|time| !is_likely(&time)) {
        return None;
    }
    let example = *times.iter().find(|time| !is_likely(time))?;
    let units = [TimeUnit::S, TimeUnit::Ms, TimeUnit::Us, TimeUnit::Ns];
    let fitting_unit = unit.and_then(|from| {
        let to = units.into_iter().find(|to| {
            most(&|time| converted(time, from, *to).is_some_and(|time| is_likely(&time)))
        })?;
        Some((to, converted(example, from, to)?))
    });
    let are_dates = unit.is_some_and(|unit| most(&|time| is_date(time, unit)));
    Some(UnlikelyTimes { example, fitting_unit, are_dates })
}

/// Returns the time of a number that counts in `to` and was taken to count in `from`.
fn converted(time: i64, from: TimeUnit, to: TimeUnit) -> Option<i64> {
    let time = i128::from(time) * i128::from(nanoseconds(to)) / i128::from(nanoseconds(from));
    i64::try_from(time).ok()
}

fn nanoseconds(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::S => 1_000_000_000,
        TimeUnit::Ms => 1_000_000,
        TimeUnit::Us => 1_000,
        TimeUnit::Ns => 1,
    }
}

/// Returns whether the number of a time reads as `YYYYMMDD`.
fn is_date(time: i64, unit: TimeUnit) -> bool {
    let Some(number) = converted(time, unit, TimeUnit::Us) else { return false };
    let (month, day) = (number / 100 % 100, number % 100);
    DATES.contains(&number) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR_2023: i64 = 1_700_000_000_000_000;

    fn fitting(times: &[i64], unit: TimeUnit) -> Option<TimeUnit> {
        judge(times, Some(unit)).unwrap().fitting_unit.map(|(unit, _)| unit)
    }

    #[test]
    fn fitting_unit_is_found_from_any_unit() {
        use TimeUnit::{Ms, Ns, S, Us};
        // Seconds, milliseconds, microseconds and nanoseconds that were read as milliseconds.
        assert_eq!(fitting(&[YEAR_2023 / 1_000], Ms), Some(S));
        assert_eq!(fitting(&[YEAR_2023 * 1_000], Ms), Some(Us));
        assert_eq!(fitting(&[YEAR_2023 / 1_000_000], Us), Some(S));
        assert_eq!(fitting(&[YEAR_2023 * 1_000], S), Some(Ms));
        assert_eq!(fitting(&[YEAR_2023 / 1_000], Ns), Some(Us));
        assert_eq!(fitting(&[1], Ms), None);
    }

    #[test]
    fn most_times_decide() {
        let bad = YEAR_2023 / 1_000;
        assert_eq!(judge(&[], Some(TimeUnit::Ms)), None);
        assert_eq!(judge(&[bad, YEAR_2023], Some(TimeUnit::Ms)), None);
        let found = judge(&[YEAR_2023, bad, bad + 1], Some(TimeUnit::Ms)).unwrap();
        assert_eq!((found.example, found.are_dates), (bad, false));
        assert_eq!(found.fitting_unit, Some((TimeUnit::S, YEAR_2023)));
        assert_eq!(judge(&[bad], None).unwrap().fitting_unit, None);
    }

    #[test]
    fn dates_without_separators_are_told() {
        let found = judge(&[20_240_131_000, 20_240_201_000], Some(TimeUnit::Ms)).unwrap();
        assert!(found.are_dates && found.fitting_unit.is_none());
        assert!(!judge(&[20_241_301_000], Some(TimeUnit::Ms)).unwrap().are_dates);
    }

    #[test]
    fn times_are_judged_once() {
        let mut first =
            FirstTimes { times: Vec::new(), is_judged: false, unit: Some(TimeUnit::Ms) };
        assert_eq!(first.observe(&vec![1; JUDGED - 1]), None);
        assert!(first.observe(&[1, 1]).is_some());
        assert_eq!((first.observe(&[1]), first.finish()), (None, None));
    }
}
