//! Windows by the calendar of a time zone: days, weeks and months, whatever their length.

use super::window::aggregates;
use super::{Caps, Columns, Emission, Grid, WindowPlan};
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::spec::{CalendarUnit, Emit, PipelineSpec, SpecError, Window};
use crate::time::{date_of, days_of};

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;
/// After 400 years the Gregorian calendar repeats, to the day of the week; all that goes by it repeats, too.
const CYCLE_DAYS: i64 = 146_097;
const CYCLE_US: i64 = CYCLE_DAYS * DAY_US;

/// Calendar windows: tumbling windows on a time scale of their own, on which all are of one size.
#[derive(Debug, Clone)]
pub(crate) struct CalendarPlan {
    pub(crate) calendar: Calendar,
    /// How long after its end a window fires.
    pub(crate) lag_us: i64,
    /// The windows on the scale of [`Calendar::scaled_in`].
    pub(crate) windows: WindowPlan,
}

/// The windows of one unit in one zone.
#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    unit: CalendarUnit,
    /// Since when, and how far ahead of UTC, microseconds. Never empty; the first holds before that, too.
    rules: Vec<(i64, i64)>,
    /// From here on, microseconds, the rules of the 400 years before repeat; otherwise the last one holds.
    rules_until: Option<i64>,
}

/// A window, by its number, and its bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Period {
    pub(crate) number: i64,
    pub(crate) start: i64,
    pub(crate) end: i64,
}

impl CalendarPlan {
    /// The windows of `window`, which stands at `path`, and the columns of their rows.
    pub(super) fn new(
        path: &str,
        window: &Window,
        is_last: bool,
        input: &Columns,
        spec: &PipelineSpec,
    ) -> Result<(Self, Columns), SpecError> {
        let unit = window.unit.unwrap_or(CalendarUnit::Day);
        let rules = rules(path, window)?;
        let calendar = Calendar { unit, rules_until: rules_until(path, window, &rules)?, rules };
        let lag_us = window.allowed_lateness.as_micros();
        let late = format!("{path}.allowed_lateness");
        if lag_us < 0 {
            let message = format!("{}: must be 0s or longer", window.allowed_lateness);
            return Err(SpecError::new(late, message));
        }
        if lag_us > 0 && is_last && window.emit != Emit::Final {
            let message =
                "rows of calendar windows are not corrected: say emit = \"final\" as well";
            return Err(SpecError::new(late, message));
        }
        let (aggregates, columns) = aggregates(path, window, core::iter::empty(), input, spec)?;
        let windows = WindowPlan {
            grid: Grid::tumbling(calendar.scale_us()),
            emission: Emission { revises: false, early: None, lag_us: 0 },
            fields: aggregates.fields,
            columns: aggregates.columns,
            outputs: aggregates.outputs,
            caps: Caps::of(spec),
            max_values: aggregates.max_values,
        };
        Ok((Self { calendar, lag_us, windows }, columns))
    }
}

/// The rules of the zone of `window`.
fn rules(path: &str, window: &Window) -> Result<Vec<(i64, i64)>, SpecError> {
    let zone = window.zone.as_deref().unwrap_or("UTC");
    let Some(rules) = &window.zone_offsets else {
        let offset = fixed_offset(zone).ok_or_else(|| {
            let message = format!(
                "`{zone}` needs its rules in zone_offsets, a list of [seconds since the epoch, seconds ahead of UTC]; \
                 without them there are \"UTC\" and offsets such as \"+05:30\""
            );
            SpecError::new(format!("{path}.zone"), message)
        })?;
        return Ok(vec![(0, offset * SECOND_US)]);
    };
    let path = format!("{path}.zone_offsets");
    if rules.is_empty() {
        return Err(SpecError::new(path, "empty: a zone has at least one offset"));
    }
    if !rules.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(SpecError::new(
            path,
            "out of order: each offset begins later than the one before",
        ));
    }
    if let Some((_, offset)) = rules.iter().find(|(_, offset)| offset.abs() > 86_400) {
        return Err(SpecError::new(
            path,
            format!("{offset} seconds: no zone is a day away from UTC"),
        ));
    }
    let micros = |seconds: i64| seconds.saturating_mul(SECOND_US);
    Ok(rules.iter().map(|(since, offset)| (micros(*since), micros(*offset))).collect())
}

/// Returns until when `rules`, those of `window`, are given.
fn rules_until(
    path: &str,
    window: &Window,
    rules: &[(i64, i64)],
) -> Result<Option<i64>, SpecError> {
    let Some(until) = window.zone_offsets_until else { return Ok(None) };
    let error =
        |message: String| Err(SpecError::new(format!("{path}.zone_offsets_until"), message));
    if window.zone_offsets.is_none() {
        return error(
            "it says how far `zone_offsets` reaches: give those too, or drop it".to_owned(),
        );
    }
    let until_us = until.saturating_mul(SECOND_US);
    if !(-Calendar::MAX_TIME..=Calendar::MAX_TIME).contains(&until_us) {
        return error(format!("{until}: the calendar reaches 80,000 years both ways"));
    }
    let from_us = until_us - CYCLE_US;
    if rules.first().is_none_or(|(since, _)| *since > from_us) {
        let from = from_us / SECOND_US;
        return error(format!(
            "{until}: from then on the 400 years before repeat, but zone_offsets does not reach back to {from}"
        ));
    }
    if offset_in(rules, from_us) != offset_in(rules, until_us) {
        return error(format!(
            "{until}: from then on the 400 years before repeat, but they begin and end with different offsets"
        ));
    }
    Ok(Some(until_us))
}

/// Returns how far ahead of UTC clocks are at `time` by `rules`.
fn offset_in(rules: &[(i64, i64)], time: i64) -> i64 {
    let behind = rules.partition_point(|(since, _)| *since <= time);
    rules.get(behind.saturating_sub(1)).map_or(0, |(_, offset)| *offset)
}

/// Seconds ahead of UTC: of `UTC`, `Z`, `+05:30`, `-03:00`.
fn fixed_offset(zone: &str) -> Option<i64> {
    if matches!(zone, "UTC" | "Z") {
        return Some(0);
    }
    let (sign, clock) = match zone.split_at_checked(1)? {
        ("+", clock) => (1, clock),
        ("-", clock) => (-1, clock),
        _ => return None,
    };
    let (hours, minutes) = clock.split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| text.parse::<i64>().ok().filter(|_| digits(text));
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

impl Calendar {
    /// How far the calendar reaches both ways: about 80,000 years, for which there is room on the scale.
    pub(crate) const MAX_TIME: i64 = 80_000 * 365 * DAY_US;

    /// The window that `time` falls into.
    pub(crate) fn period_of(&self, time: i64) -> Period {
        let time = time.clamp(-Self::MAX_TIME, Self::MAX_TIME);
        let local = time.saturating_add(self.offset_at(time));
        let mut number = self.number_of(local.div_euclid(DAY_US));
        // Where clocks are set across midnight, the local date may be the next one's or the one before.
        for _ in 0..3 {
            if self.start_of(number) > time {
                number -= 1;
            } else if self.start_of(number + 1) <= time {
                number += 1;
            }
        }
        Period { number, start: self.start_of(number), end: self.start_of(number + 1) }
    }

    pub(crate) fn end_of(&self, time: i64) -> i64 {
        self.period_of(time).end
    }

    /// Returns how far ahead of UTC clocks are at `time`.
    fn offset_at(&self, time: i64) -> i64 {
        let time = time.saturating_sub(self.cycles_at(time).saturating_mul(CYCLE_US));
        offset_in(&self.rules, time)
    }

    /// Returns how many times 400 years lie between `time` and the time whose rules it has.
    fn cycles_at(&self, time: i64) -> i64 {
        match self.rules_until {
            Some(until) if time >= until => time.saturating_sub(until) / CYCLE_US + 1,
            _ => 0,
        }
    }

    /// Where window `number` starts: at the first moment with its first local date, or a later one.
    pub(crate) fn start_of(&self, number: i64) -> i64 {
        let midnight = self.first_day(number).saturating_mul(DAY_US);
        let shift = self.cycles_at(midnight).saturating_mul(CYCLE_US);
        self.start_at(midnight.saturating_sub(shift)).saturating_add(shift)
    }

    /// Returns the first moment at which local clocks show `midnight` or a later time.
    fn start_at(&self, midnight: i64) -> i64 {
        let ends = self.rules.get(1..).unwrap_or_default();
        let first = ends.partition_point(|(end, _)| *end <= midnight.saturating_sub(DAY_US));
        let rules = self.rules.iter().enumerate().skip(first);
        let starts = rules.map(|(at, (since, offset))| {
            let since = if at == 0 { i64::MIN } else { *since };
            let end = ends.get(at).map_or(i64::MAX, |(end, _)| *end);
            (since.max(midnight.saturating_sub(*offset)), end)
        });
        starts.into_iter().find(|(start, end)| start < end).map_or(i64::MAX, |(start, _)| start)
    }

    /// From one window to the next on the scale: a power of two that no window is longer than.
    pub(crate) fn scale_us(&self) -> i64 {
        match self.unit {
            CalendarUnit::Day => 1 << 38,
            CalendarUnit::Week => 1 << 40,
            CalendarUnit::Month => 1 << 42,
        }
    }

    /// `time`, which is in `period`, on the scale, where window n ends at (n + 1) · [`Calendar::scale_us`].
    pub(crate) fn scaled_in(&self, time: i64, period: &Period) -> i64 {
        let end = period.number.saturating_add(1).saturating_mul(self.scale_us());
        end.saturating_sub(period.end.saturating_sub(time))
    }

    /// The time that [`Calendar::scaled_in`] has put there.
    pub(crate) fn unscaled(&self, scaled: i64) -> i64 {
        if matches!(scaled, NO_WATERMARK | END_OF_TIME) {
            return scaled;
        }
        let next = scaled.div_euclid(self.scale_us()).saturating_add(1);
        let before_end = next.saturating_mul(self.scale_us()).saturating_sub(scaled);
        self.start_of(next).saturating_sub(before_end)
    }

    /// The number of the window with the local date `day`, in days since the epoch.
    fn number_of(&self, day: i64) -> i64 {
        match self.unit {
            CalendarUnit::Day => day,
            CalendarUnit::Week => (day + 3).div_euclid(7),
            CalendarUnit::Month => {
                let (year, month, _) = date_of(day);
                year * 12 + month - 1
            }
        }
    }

    /// The first local date of window `number`, in days since the epoch.
    fn first_day(&self, number: i64) -> i64 {
        match self.unit {
            CalendarUnit::Day => number,
            CalendarUnit::Week => number.saturating_mul(7).saturating_sub(3),
            CalendarUnit::Month => {
                let (year, month) = (number.div_euclid(12), number.rem_euclid(12) + 1);
                days_of(year, Some(month), Some(1)).unwrap_or(0)
            }
        }
    }
}

impl Period {
    pub(crate) fn contains(&self, time: i64) -> bool {
        self.start <= time && time < self.end
    }
}
