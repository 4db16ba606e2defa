//! Random streams with ties, disorder, silences and jumps over many windows.

use serde_json::{Map, Value};

use super::generate::Choice;
use super::random::Random;

/// Maximum number of events of a stream.
const MAX_EVENTS: i64 = 40;

/// First times of streams, in milliseconds: below 0, at 0, and three days before summer time begins
/// in Berlin.
const STARTS_MS: [i64; 4] = [0, 0, -9_000, 1_711_584_000_000];

/// The distribution of the times of one stream.
struct Times {
    unit_ms: i64,
    /// True if all times are multiples of the unit. If not, a few are slightly above or below one.
    is_aligned: bool,
    /// Maximum number of units that an event may be behind the greatest earlier time.
    max_units_behind: i64,
    /// Maximum step between two ordinary events, in units.
    step: i64,
    /// The greatest time so far, in units.
    greatest: i64,
    /// Length of one silence to come, in units. Its end causes more rows than the buffer between
    /// two stages holds.
    silence: Option<i64>,
}

/// Generates the events of a stream with an out-of-orderness of `bound` units.
pub fn events(random: &mut Random, unit_ms: i64, choice: Choice, bound: Option<i64>) -> Vec<Value> {
    let bound = bound.unwrap_or(4);
    let max_units_behind = match choice {
        Choice::AnyOrder => bound,
        Choice::Everything => random.pick(&[0, bound, bound, bound + 2, 2 * bound + 4, 20]),
    };
    let mut times = Times {
        unit_ms,
        is_aligned: random.chance(65),
        max_units_behind,
        step: random.pick(&[1, 1, 2, 4]),
        greatest: 0,
        silence: random.chance(2).then(|| random.between(3_000, 6_000)),
    };
    let start_ms = if unit_ms > 1_000_000 { STARTS_MS[3] } else { random.pick(&STARTS_MS) };
    let (keys, count) = (random.between(1, 6), random.between(1, MAX_EVENTS));
    let ids = random.pick(&[3, 10, 1000]);
    let is_whole = random.chance(60);
    let event = |_| {
        let mut event = Map::new();
        event.insert("ts".to_owned(), times.next(random, start_ms));
        let key = usize::try_from(random.between(0, keys - 1)).unwrap();
        event.insert("k".to_owned(), ["a", "b", "c", "d", "e", "f"][key].into());
        event.insert("g".to_owned(), random.between(1, 2).into());
        event.insert("v".to_owned(), number(random, is_whole));
        match random.below(10) {
            0..3 => {}
            3 => drop(event.insert("w".to_owned(), Value::Null)),
            _ => drop(event.insert("w".to_owned(), number(random, is_whole))),
        }
        event.insert("t".to_owned(), random.pick(&["x", "y", "z"]).into());
        event.insert("id".to_owned(), random.below(ids).into());
        Value::from(event)
    };
    (0..count).map(event).collect()
}

fn number(random: &mut Random, is_whole: bool) -> Value {
    match random.below(10) {
        0..6 => random.between(-1, 4).into(),
        _ if is_whole => random.between(-100, 100).into(),
        6 => random.pick(&[0.1, 0.25, 1e15, -1e15, 1e-9]).into(),
        _ => random.fraction().into(),
    }
}

impl Times {
    /// Returns the time of the next event.
    fn next(&mut self, random: &mut Random, start_ms: i64) -> Value {
        let mut units = match random.below(20) {
            0 => self.greatest + self.silence.take().unwrap_or_else(|| random.between(8, 60)),
            1..8 => self.greatest + random.between(1, self.step),
            8..12 => self.greatest,
            _ => self.greatest - random.between(0, self.max_units_behind),
        };
        // An event slightly below a unit must not exceed the out-of-orderness either.
        let shift = if self.is_aligned { 0 } else { random.below(4) };
        if shift == 1 && units == self.greatest - self.max_units_behind {
            units += 1;
        }
        self.greatest = self.greatest.max(units + i64::from(shift > 1));
        let ms = start_ms + units * self.unit_ms;
        match shift {
            0 => ms.into(),
            // The last microsecond before a unit.
            1 => (ms as f64 - 0.001).into(),
            _ => (ms + random.between(1, self.unit_ms - 1)).into(),
        }
    }
}
