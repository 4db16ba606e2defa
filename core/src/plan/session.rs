//! Session windows: checks their options.

use super::columns::Columns;
use super::stage::{PartialSupport, PlannedStage, StageSite};
use super::window::aggregates;
use super::{Aggregates, Caps};
use crate::data::schema::ColumnRole;
use crate::spec::{Emit, SpecError, Window};
use crate::stages::{SessionStage, Stage};

/// Session windows: consecutive events of a key that are at most the gap apart.
#[derive(Debug, Clone)]
pub(crate) struct SessionPlan {
    pub(crate) gap_us: i64,
    /// Time from the end of a session until it fires.
    pub(crate) delay_us: i64,
    /// Time after firing during which a session may still change. If positive, rows are numbered
    /// and may be retracted.
    pub(crate) kept_us: i64,
    pub(crate) aggregates: Aggregates,
    pub(crate) caps: Caps,
}

impl SessionPlan {
    /// Plans the sessions of `window`, the stage at `site`, and returns their output columns.
    #[inline]
    pub(super) fn new(
        window: &Window,
        site: &StageSite<'_>,
        input: &Columns,
    ) -> Result<(Self, Columns), SpecError> {
        let StageSite { path, spec, is_last, .. } = *site;
        let gap_us = gap(path, window)?;
        let lateness_us = lateness(path, window)?;
        let is_final = window.emit == Emit::Final || !is_last;
        let (delay_us, kept_us) = if is_final { (lateness_us, 0) } else { (0, lateness_us) };
        let status_columns = if kept_us > 0 { &STATUS_COLUMNS[..] } else { &[] }.iter().copied();
        let (aggregates, columns) = aggregates(path, window, status_columns, input, spec)?;
        let plan = Self { gap_us, delay_us, kept_us, aggregates, caps: Caps::of(spec) };
        Ok((plan, columns))
    }

    /// Returns the watermark at which a session that ends at `end` fires.
    ///
    /// An event at `end` itself still joins the session, and is on time while the watermark is
    /// below `end`.
    pub(crate) fn fires_at(&self, end: i64) -> i64 {
        end.saturating_add(self.delay_us)
    }

    /// Returns the watermark at which a session that ends at `end` expires: it then accepts no more
    /// events.
    pub(crate) fn expires_at(&self, end: i64) -> i64 {
        self.fires_at(end).saturating_add(self.kept_us)
    }

    /// Returns the distance between the input and the output watermark, microseconds. A row of
    /// event time `end - 1` is emitted when the watermark reaches `end`, and must not be late in
    /// the next stage.
    pub(crate) fn lag_us(&self) -> i64 {
        self.delay_us.saturating_add(1)
    }
}

impl PlannedStage for SessionPlan {
    #[inline]
    fn build(&self, index: u32, _: u64) -> Box<dyn Stage> {
        Box::new(SessionStage::new(index, self.clone()))
    }

    #[inline]
    fn sees_watermark(&self) -> bool {
        true
    }

    fn closed_at(&self, time: i64) -> i64 {
        time.saturating_add(self.gap_us - 1)
    }

    fn delay_us(&self) -> i64 {
        self.lag_us()
    }

    #[inline]
    fn emits_rows(&self) -> bool {
        true
    }

    #[inline]
    fn partial_support(&self) -> PartialSupport {
        PartialSupport::Mergeable
    }

    #[inline]
    fn accepts_until(&self, end: i64) -> Option<i64> {
        Some(self.expires_at(end))
    }
}

/// The columns that distinguish several rows of one session.
const STATUS_COLUMNS: [ColumnRole; 2] = [ColumnRole::Revision, ColumnRole::Retracted];

#[inline]
fn gap(path: &str, window: &Window) -> Result<i64, SpecError> {
    let gap = window.gap.unwrap_or_default();
    if gap.as_micros() <= 0 {
        let message = format!("{gap}: a gap must be longer than 0s, such as \"30s\"");
        return Err(SpecError::new(format!("{path}.gap"), message));
    }
    Ok(gap.as_micros())
}

#[inline]
fn lateness(path: &str, window: &Window) -> Result<i64, SpecError> {
    let lateness_us = window.allowed_lateness.as_micros();
    if lateness_us < 0 {
        let message = format!("{}: must be 0s or longer", window.allowed_lateness);
        return Err(SpecError::new(format!("{path}.allowed_lateness"), message));
    }
    Ok(lateness_us)
}
