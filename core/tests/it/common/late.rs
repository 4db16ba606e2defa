//! Windows that may emit several rows, and their oracle.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stream_processor_core::PipelineSpec;

use super::{Event, Pipeline, Row, bits, encoded};

/// A window stage. All times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub size: i64,
    pub slide: i64,
    pub offset: i64,
    pub lateness: i64,
    pub early: Option<i64>,
    pub is_final: bool,
}

impl Setup {
    pub fn tumbling(size: i64) -> Self {
        Self { size, slide: size, offset: 0, lateness: 0, early: None, is_final: false }
    }

    pub fn sliding(size: i64, slide: i64) -> Self {
        Self { slide, ..Self::tumbling(size) }
    }

    pub fn lateness(self, lateness: i64) -> Self {
        Self { lateness, ..self }
    }

    pub fn early(self, early: i64) -> Self {
        Self { early: Some(early), ..self }
    }

    /// Emits one final row after the allowed lateness, not several revisions.
    pub fn final_only(self) -> Self {
        Self { is_final: true, ..self }
    }

    /// Returns the stage with the standard aggregations of `field`.
    pub fn stage(self, field: &str) -> Value {
        self.stage_of(field, json!(["count", "sum", "avg", "min", "max"]))
    }

    /// Returns the stage with `aggregations` of `field`.
    pub fn stage_of(self, field: &str, aggregations: Value) -> Value {
        let Self { size, slide, offset, lateness, early, is_final } = self;
        let us = |time: i64| format!("{time}us");
        let mut stage = json!({
            "type": "window", "window": "tumbling", "size": us(size), "offset": us(offset),
            "allowed_lateness": us(lateness), "field": field, "aggregations": aggregations,
        });
        if slide != size {
            stage["window"] = "sliding".into();
            stage["slide"] = us(slide).into();
        }
        if let Some(early) = early {
            stage["early"] = us(early).into();
        }
        if is_final {
            stage["emit"] = "final".into();
        }
        stage
    }

    /// Returns true if a window may emit more than one row.
    pub fn revises(self) -> bool {
        !self.is_final && (self.lateness > 0 || self.early.is_some())
    }

    /// Returns the last microsecond of the window.
    pub fn last_us(self, start: i64) -> i64 {
        start + self.size - 1
    }

    /// Returns the watermark at which the window fires.
    pub fn fires_at(self, start: i64) -> i64 {
        self.last_us(start) + if self.is_final { self.lateness } else { 0 }
    }

    /// Returns the watermark at which the window is removed, so that later events are dropped.
    pub fn expires_at(self, start: i64) -> i64 {
        self.last_us(start) + self.lateness
    }

    /// Returns the maximum number of open slices of one key in an ordered stream: the slices of one
    /// window, and those kept during the allowed lateness.
    pub fn max_open_slices(self) -> i64 {
        let (mut slice, mut rest) = (self.size, self.slide);
        while rest != 0 {
            (slice, rest) = (rest, slice % rest);
        }
        self.size / slice + (self.lateness + slice - 1) / slice
    }

    /// Returns the starts of the windows that cover `time`, in ascending order.
    pub fn starts(self, time: i64) -> Vec<i64> {
        let mut start = (time - self.offset).div_euclid(self.slide) * self.slide + self.offset;
        let mut starts = Vec::new();
        while start + self.size > time {
            starts.insert(0, start);
            start -= self.slide;
        }
        starts
    }
}

/// Returns a keyed pipeline of `stages` whose result buffer holds `result_rows` rows. `bound` is
/// the out-of-orderness in microseconds; `None` is unbounded.
pub fn pipeline(stages: &[Value], bound: Option<i64>, result_rows: u32) -> PipelineSpec {
    let pipeline = Pipeline::keyed().bound_us(bound).result_rows(result_rows);
    stages.iter().cloned().fold(pipeline, Pipeline::stage).spec()
}

/// Events, each with the watermark in effect when it arrives, and the watermark after the last
/// event.
pub struct WatermarkedStream {
    pub events: Vec<(Event, i64)>,
    pub watermark: i64,
}

/// Returns `events` with the watermarks of an out-of-orderness of `bound` microseconds.
pub fn with_watermarks(events: &[Event], bound: Option<i64>) -> WatermarkedStream {
    let mut watermark = i64::MIN;
    let mut list = Vec::new();
    for event in events {
        list.push((*event, watermark));
        if let Some(bound) = bound {
            watermark = watermark.max(event.ts - bound - 1);
        }
    }
    WatermarkedStream { events: list, watermark }
}

/// The window stage, event by event: every window keeps all its values, and each row is computed
/// from them.
pub struct Oracle {
    pub setup: Setup,
    pub open: BTreeMap<(i64, Vec<u8>), OpenWindow>,
    pub watermark: i64,
    /// Each row with its rank.
    pub rows: Vec<(u64, Row)>,
    pub late: u64,
    pub unassigned: u64,
}

#[derive(Default)]
pub struct OpenWindow {
    pub id: u32,
    pub values: Vec<f64>,
    pub rows: u32,
    pub changed: bool,
}

impl Oracle {
    pub fn of(setup: Setup, stream: &WatermarkedStream) -> Self {
        let (open, rows) = (BTreeMap::new(), Vec::new());
        let mut oracle = Self { setup, open, watermark: i64::MIN, rows, late: 0, unassigned: 0 };
        for (ordinal, (event, watermark)) in (0..).zip(&stream.events) {
            oracle.advance(*watermark);
            oracle.process(event, ordinal);
        }
        oracle.advance(stream.watermark);
        oracle.advance(i64::MAX);
        oracle
    }

    /// Fires all windows whose time lies after the current watermark and not after `to`.
    pub fn advance(&mut self, to: i64) {
        let setup = self.setup;
        // At the end of input, rows of the first stage carry later watermarks than the stream had.
        let to = to.max(self.watermark);
        let crossed = |due: i64| self.watermark < due && due <= to;
        let mut due = Vec::new();
        for (start, key) in self.open.keys() {
            let fires_at = setup.fires_at(*start);
            if crossed(fires_at) {
                due.push((fires_at, *start, key.clone()));
            }
            let early = |step: i64| (1..).map(move |nth| start + nth * step);
            let early = setup.early.into_iter().flat_map(early);
            let early = early.take_while(|due| *due < fires_at && *due <= to);
            due.extend(early.filter(|due| crossed(*due)).map(|due| (due, *start, key.clone())));
        }
        due.sort();
        for (firing, start, key) in due {
            let on_time = firing == setup.fires_at(start);
            if on_time || self.open[&(start, key.clone())].changed {
                self.emit(start, key, firing, 0, !on_time);
            }
        }
        self.watermark = to;
        self.open.retain(|(start, _), _| setup.expires_at(*start) > to);
    }

    /// Adds `event` to all its open windows, and corrects the rows of windows that have fired.
    pub fn process(&mut self, event: &Event, ordinal: u64) {
        let (setup, key) = (self.setup, encoded(event.key));
        let starts = setup.starts(event.ts);
        self.unassigned += u64::from(starts.is_empty());
        let expired =
            starts.iter().filter(|start| setup.expires_at(**start) <= self.watermark).count();
        self.late += u64::from(!starts.is_empty() && expired == starts.len());
        for start in &starts[expired..] {
            let window = self.open.entry((*start, key.clone())).or_default();
            window.id = event.key;
            window.values.push(event.value);
            window.changed = true;
        }
        for start in &starts[expired..] {
            if setup.fires_at(*start) <= self.watermark {
                self.emit(*start, key.clone(), self.watermark, ordinal + 1, false);
            }
        }
    }

    /// Computes the row of one window and stores it.
    pub fn emit(&mut self, start: i64, key: Vec<u8>, firing: i64, rank: u64, early: bool) {
        let setup = self.setup;
        let window = self.open.get_mut(&(start, key.clone())).unwrap();
        let mut values = results(&window.values).to_vec();
        if setup.revises() {
            values.push(f64::from(window.rows));
        }
        if setup.early.is_some() {
            values.push(f64::from(u8::from(early)));
        }
        window.rows += 1;
        window.changed = false;
        let values = values.into_iter().map(bits).collect();
        let row = Row { firing, end: start + setup.size, start, key, values, ..Row::default() };
        self.rows.push((rank, row));
    }

    /// Returns the rows without their ranks.
    pub fn plain_rows(&self) -> Vec<Row> {
        self.rows.iter().map(|(_, row)| row.clone()).collect()
    }

    /// Returns the input of the next stage: the counts of the rows, at the last microsecond of each
    /// window.
    pub fn output_stream(&self, watermark: i64) -> WatermarkedStream {
        let lag = self.setup.lateness;
        let rows = self.rows.iter().map(|(_, row)| {
            let key = (0..8).find(|key| encoded(*key) == row.key).unwrap();
            let value = f64::from_bits(row.values[0]);
            // The watermark is one microsecond below the watermark that fires the row.
            (Event { ts: row.end - 1, key, value }, row.firing - 1 - lag)
        });
        WatermarkedStream { events: rows.collect(), watermark: watermark.saturating_sub(lag) }
    }
}

/// Returns count, sum, avg, min and max. The values are whole numbers, so no order of addition
/// rounds.
pub fn results(values: &[f64]) -> [f64; 5] {
    let sum: f64 = values.iter().sum();
    let count = values.len() as f64;
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [count, sum, sum / count, min, max]
}
