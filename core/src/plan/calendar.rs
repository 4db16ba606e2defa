//! Calendar windows: days, weeks and months of a time zone, whose lengths vary.
//!
//! The window stage knows only windows of one size. A [`Calendar`] therefore maps event time to a
//! scale on which every window has the same length, and back:
//!
//! ```text
//! local days     |  Sat 24 h  |  Sun 23 h |   Mon 24 h  |     clocks go forward on Sunday
//! scale       ---|----====----|----====---|----====-----|     equal distances between ends
//! ```

use super::columns::Columns;
use super::stage::{PartialSupport, PlannedStage, StageSite};
use super::window::aggregates;
use super::{Caps, Emission, Grid, WindowPlan};
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::spec::{CalendarUnit, Emit, SpecError, Window};
use crate::stages::{CalendarStage, Stage};
use crate::time::{date_of, days_of};

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;
/// Period of the Gregorian calendar: after 400 years, dates fall on the same weekdays again. The
/// zone rules that depend on them repeat as well.
const CYCLE_DAYS: i64 = 146_097;
const CYCLE_US: i64 = CYCLE_DAYS * DAY_US;

/// Calendar windows: tumbling windows on a scale on which all of them have one size.
#[derive(Debug, Clone)]
pub(crate) struct CalendarPlan {
    pub(crate) calendar: Calendar,
    /// Time from the end of a window until it fires.
    pub(crate) lag_us: i64,
    /// The windows on the scale of [`Calendar::scaled_in`].
    pub(crate) windows: WindowPlan,
}

/// The windows of one unit in one zone.
#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    unit: CalendarUnit,
    /// Offset changes: (start, offset from UTC), both in microseconds. Never empty; the first entry
    /// also applies to all earlier times.
    rules: Vec<(i64, i64)>,
    /// From this time on (microseconds), the rules of the preceding 400 years repeat. If `None`,
    /// the last rule applies forever.
    rules_until: Option<i64>,
}

/// A window: its number and its bounds in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Period {
    pub(crate) number: i64,
    pub(crate) start: i64,
    pub(crate) end: i64,
}

impl CalendarPlan {
    /// Plans the calendar windows of `window`, the stage at `site`, and returns their output
    /// columns.
    #[inline]
    pub(super) fn new(
        window: &Window,
        site: &StageSite<'_>,
        input: &Columns,
    ) -> Result<(Self, Columns), SpecError> {
        let StageSite { path, spec, is_last, .. } = *site;
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
            let message = "calendar windows give no corrected rows: set emit = \"final\" as well";
            return Err(SpecError::new(late, message));
        }
        let (aggregates, columns) = aggregates(path, window, core::iter::empty(), input, spec)?;
        let windows = WindowPlan {
            grid: Grid::tumbling(calendar.scale_us()),
            emission: Emission { revises: false, early: None, lag_us: 0 },
            fields: aggregates.fields,
            layout: aggregates.layout,
            outputs: aggregates.outputs,
            caps: Caps::of(spec),
            max_values: aggregates.max_values,
        };
        Ok((Self { calendar, lag_us, windows }, columns))
    }
}

impl PlannedStage for CalendarPlan {
    #[inline]
    fn build(&self, index: u32, _: u64) -> Box<dyn Stage> {
        Box::new(CalendarStage::new(index, self.clone()))
    }

    #[inline]
    fn sees_watermark(&self) -> bool {
        true
    }

    fn closed_at(&self, time: i64) -> i64 {
        time.max(self.calendar.end_of(time).saturating_sub(1))
    }

    fn delay_us(&self) -> i64 {
        self.lag_us
    }

    #[inline]
    fn emits_rows(&self) -> bool {
        true
    }

    #[inline]
    fn partial_support(&self) -> PartialSupport {
        PartialSupport::Mergeable
    }

    fn accepts_until(&self, end: i64) -> Option<i64> {
        Some(end.saturating_sub(1).saturating_add(self.lag_us))
    }
}

/// Returns the offset changes of the zone of `window`, in microseconds.
#[inline]
fn rules(path: &str, window: &Window) -> Result<Vec<(i64, i64)>, SpecError> {
    let zone = window.zone.as_deref().unwrap_or("UTC");
    let Some(rules) = &window.zone_offsets else {
        let offset = fixed_offset(zone).ok_or_else(|| {
            let message = format!(
                "`{zone}` needs its rules in zone_offsets, a list of [seconds since the epoch, seconds ahead of UTC]; \
                 \"UTC\" and offsets such as \"+05:30\" need none"
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
            "out of order: each time must be later than the one before",
        ));
    }
    if let Some((_, offset)) = rules.iter().find(|(_, offset)| offset.abs() > 86_400) {
        return Err(SpecError::new(
            path,
            format!("{offset} seconds ahead of UTC: must be within a day, -86400 to 86400"),
        ));
    }
    let micros = |seconds: i64| seconds.saturating_mul(SECOND_US);
    Ok(rules.iter().map(|(since, offset)| (micros(*since), micros(*offset))).collect())
}

/// Returns the time up to which `rules`, those of `window`, are listed, in microseconds.
#[inline]
fn rules_until(
    path: &str,
    window: &Window,
    rules: &[(i64, i64)],
) -> Result<Option<i64>, SpecError> {
    let Some(until) = window.zone_offsets_until else { return Ok(None) };
    let error =
        |message: String| Err(SpecError::new(format!("{path}.zone_offsets_until"), message));
    if window.zone_offsets.is_none() {
        return error("it needs `zone_offsets`: set that too, or remove it".to_owned());
    }
    let until_us = until.saturating_mul(SECOND_US);
    if !(-Calendar::MAX_TIME..=Calendar::MAX_TIME).contains(&until_us) {
        return error(format!("{until}: must be within 80,000 years of the epoch"));
    }
    let from_us = until_us - CYCLE_US;
    if rules.first().is_none_or(|(since, _)| *since > from_us) {
        let from = from_us / SECOND_US;
        return error(format!(
            "{until}: from then on the 400 years before repeat, so zone_offsets must begin at {from} or earlier"
        ));
    }
    if offset_in(rules, from_us) != offset_in(rules, until_us) {
        return error(format!(
            "{until}: from then on the 400 years before repeat, so zone_offsets must have the same offset at their begin and end"
        ));
    }
    Ok(Some(until_us))
}

/// Returns the offset from UTC at `time` according to `rules`, in microseconds.
fn offset_in(rules: &[(i64, i64)], time: i64) -> i64 {
    let behind = rules.partition_point(|(since, _)| *since <= time);
    rules.get(behind.saturating_sub(1)).map_or(0, |(_, offset)| *offset)
}

/// Parses a fixed offset (`UTC`, `Z`, `+05:30`, `-03:00`) into seconds ahead of UTC.
#[inline]
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
    /// Largest distance from the epoch that the calendar covers: about 80,000 years. The scale has
    /// room for it.
    pub(crate) const MAX_TIME: i64 = 80_000 * 365 * DAY_US;

    /// Returns the window that contains `time`.
    pub(crate) fn period_of(&self, time: i64) -> Period {
        let time = time.clamp(-Self::MAX_TIME, Self::MAX_TIME);
        let local = time.saturating_add(self.offset_at(time));
        let mut number = self.number_of(local.div_euclid(DAY_US));
        // Where clocks change across midnight, the local date may be off by one day either way.
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

    /// Returns the offset from UTC at `time`, in microseconds.
    fn offset_at(&self, time: i64) -> i64 {
        let time = time.saturating_sub(self.cycles_at(time).saturating_mul(CYCLE_US));
        offset_in(&self.rules, time)
    }

    /// Returns by how many cycles of 400 years `time` lies after the time whose rules apply to it.
    fn cycles_at(&self, time: i64) -> i64 {
        match self.rules_until {
            Some(until) if time >= until => time.saturating_sub(until) / CYCLE_US + 1,
            _ => 0,
        }
    }

    /// Returns the start of window `number`: the first moment at which local clocks show its first
    /// date or a later one.
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

    /// Returns the window length on the scale: a power of two that no window exceeds.
    pub(crate) fn scale_us(&self) -> i64 {
        match self.unit {
            CalendarUnit::Day => 1 << 38,
            CalendarUnit::Week => 1 << 40,
            CalendarUnit::Month => 1 << 42,
        }
    }

    /// Maps `time`, which lies in `period`, to the scale. Window n ends there at (n + 1) ·
    /// [`Calendar::scale_us`].
    pub(crate) fn scaled_in(&self, time: i64, period: &Period) -> i64 {
        let end = period.number.saturating_add(1).saturating_mul(self.scale_us());
        end.saturating_sub(period.end.saturating_sub(time))
    }

    /// Maps a time on the scale back to event time: the inverse of [`Calendar::scaled_in`].
    pub(crate) fn unscaled(&self, scaled: i64) -> i64 {
        if matches!(scaled, NO_WATERMARK | END_OF_TIME) {
            return scaled;
        }
        let next = scaled.div_euclid(self.scale_us()).saturating_add(1);
        let before_end = next.saturating_mul(self.scale_us()).saturating_sub(scaled);
        self.start_of(next).saturating_sub(before_end)
    }

    /// Returns the number of the window that contains the local date `day`, in days since the
    /// epoch.
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

    /// Returns the first local date of window `number`, in days since the epoch.
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
