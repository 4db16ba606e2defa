//! Generates a pipeline from a seed: its source, its time, its limits and the order of its stages.

use serde_json::{Map, Value, json};

use super::random::Random;
use super::{Case, stream};

/// The kinds of stages and streams that a test uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Every kind of stage, and events of any lateness.
    Everything,
    /// Stages whose rows do not depend on the order of arrival, and no late events.
    AnyOrder,
}

/// A pipeline under construction: the names and columns that the next stage can use.
pub struct Builder<'a> {
    pub random: &'a mut Random,
    pub choice: Choice,
    /// The unit of nearly all durations and times, in milliseconds, so that boundaries coincide.
    pub unit_ms: i64,
    /// The fields of the key.
    pub key: Vec<String>,
    /// The numeric columns.
    pub columns: Vec<String>,
    /// True if a stage may omit its field. The default is the first column.
    pub has_default: bool,
    /// True if the events are still those of the source, with all their fields.
    pub of_source: bool,
    /// True if an earlier stage has kept state by key or has set another key.
    pub has_used_key: bool,
    names: usize,
}

/// The unit of pipelines with calendar windows: six hours.
const CALENDAR_UNIT_MS: i64 = 21_600_000;

/// Generates the case of `seed`. The engine may refuse its pipeline.
pub fn generate(seed: u64, choice: Choice) -> Case {
    let random = &mut Random::new(seed);
    let unit_ms = if random.chance(12) { CALENDAR_UNIT_MS } else { 500 };
    let key = match random.below(100) {
        0..8 => vec![],
        8..28 => vec!["k".to_owned(), "g".to_owned()],
        _ => vec!["k".to_owned()],
    };
    let mut pipeline = json!({ "source": { "value": "v" } });
    if !key.is_empty() {
        pipeline["source"]["key"] = key.clone().into();
    }
    let columns = vec!["v".to_owned(), "w".to_owned()];
    let mut builder = Builder {
        random,
        choice,
        unit_ms,
        key,
        columns,
        has_default: true,
        of_source: true,
        has_used_key: false,
        names: 0,
    };
    let bound = builder.time(&mut pipeline);
    if builder.random.chance(25) {
        pipeline["limits"] = json!({ "max_fill_points": builder.random.pick(&[1, 5, 20]) });
    }
    let count = builder.random.pick(&[1, 2, 2, 2, 3, 3, 4]);
    let stages: Vec<Value> = (1..=count).map(|place| builder.stage(place == count)).collect();
    pipeline["stages"] = stages.into();
    let events = stream::events(random, unit_ms, choice, bound);
    Case { pipeline, events }
}

impl Builder<'_> {
    /// Sets `[time]`. Returns the out-of-orderness in units, if it is bounded.
    fn time(&mut self, pipeline: &mut Value) -> Option<i64> {
        let bound = self.random.pick(&[0, 0, 0, 1, 2, 2, 4, 6, 10]);
        let late = json!(self.units(bound));
        let (time, bound) = match (self.random.below(100), self.choice) {
            (0..8, Choice::Everything) => (json!({ "max_out_of_orderness": "unbounded" }), None),
            (8..14, _) => (json!({ "watermark": "ascending" }), Some(0)),
            (14..24, _) => {
                let interval = self.random.between(1, 6);
                let interval = self.units(interval);
                let time = json!({
                    "watermark": "periodic", "watermark_interval": interval, "max_out_of_orderness": late,
                });
                (time, Some(bound))
            }
            _ => (json!({ "max_out_of_orderness": late }), Some(bound)),
        };
        pipeline["time"] = time;
        bound
    }

    /// Returns a stage of a kind that is valid at this position.
    fn stage(&mut self, is_last: bool) -> Value {
        let mut kinds = vec![("window", 34), ("normalize", 24), ("filter", 8), ("map", 8)];
        if self.choice == Choice::Everything {
            kinds.extend([("ema", 7), ("rolling", 7), ("zscore", 7)]);
            if self.of_source {
                kinds.push(("dedup", 9));
            }
        }
        if !self.key.is_empty() {
            kinds.push(("key_by", 5));
        }
        match self.weighted(&kinds) {
            "window" => self.window(is_last),
            "normalize" => self.normalize(is_last),
            "filter" => self.filter(),
            "map" => self.map(),
            "ema" => self.ema(),
            "rolling" => self.rolling(),
            "zscore" => self.zscore(),
            "dedup" => self.dedup(),
            _ => self.key_by(),
        }
    }

    /// Returns one of the kinds, with a probability proportional to its weight.
    pub fn weighted<'a>(&mut self, kinds: &[(&'a str, usize)]) -> &'a str {
        let mut left = self.random.below(kinds.iter().map(|(_, weight)| weight).sum());
        let chosen = kinds.iter().find(|(_, weight)| match left.checked_sub(*weight) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        });
        chosen.unwrap().0
    }

    /// Returns a duration of `count` units.
    pub fn units(&self, count: i64) -> String {
        format!("{}ms", count * self.unit_ms)
    }

    /// Returns a duration whose number of units is one of `counts`.
    pub fn one_of(&mut self, counts: &[i64]) -> String {
        let count = self.random.pick(counts);
        self.units(count)
    }

    /// Returns an offset of windows or grid points from the epoch.
    pub fn offset(&mut self) -> String {
        let halves = self.random.pick(&[1, 2, 3, -1, -2, 7]);
        format!("{}ms", halves * self.unit_ms / 2)
    }

    /// Returns an unused column name.
    pub fn name(&mut self) -> String {
        self.names += 1;
        format!("c{}", self.names)
    }

    /// Returns the name of a numeric column.
    pub fn column(&mut self) -> String {
        self.random.pick(&self.columns)
    }

    /// Sets the field of a stage if it has no default, and sometimes if it has one.
    pub fn set_field(&mut self, stage: &mut Map<String, Value>) {
        if !self.has_default || self.random.chance(25) {
            stage.insert("field".to_owned(), self.column().into());
        }
    }
}
