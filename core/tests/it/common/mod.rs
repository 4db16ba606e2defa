//! Test streams, a slow and simple oracle, and functions that run an engine over a stream.
//!
//! [`oracle`] computes the expected rows of tumbling windows from the events alone. [`run_cut`]
//! runs the same events through an engine, with batches, polls and snapshots as a list of [`Cut`]s
//! says. A test compares the two. [`late`] does the same for windows that emit several rows,
//! [`partials`] for partial state, and [`events`] for stages whose rows are events. [`text`] reads
//! text, and [`distributions`] generates values.

pub mod distributions;
pub mod events;
pub mod late;
pub mod partials;
pub mod pipeline;
pub mod row;
pub mod text;

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::{
    Batch, Column, Engine, KeyColumn, KeyDefinitions, Options, PipelineSpec, Progress, key,
};

pub use pipeline::Pipeline;
pub use row::{Row, bits};

/// An event with the key `k<key>`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    pub ts: i64,
    pub key: u32,
    pub value: f64,
}

/// Returns the encoded key `k<id>`.
pub fn encoded(id: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    key::push_str(&mut bytes, &format!("k{id}"));
    bytes
}

/// Parses a pipeline from JSON.
pub fn spec(json: &str) -> PipelineSpec {
    PipelineSpec::from_json(json).unwrap()
}

/// Asserts that a pipeline with `stage` is refused, with an error at `path` whose message contains
/// `message`.
pub fn assert_refused(stage: &str, path: &str, message: &str) {
    let error = Pipeline::keyed().stages(stage).plan().map(drop).unwrap_err();
    assert_eq!(error.path(), path, "{error}");
    assert!(error.message().contains(message), "{error}");
}

/// Returns a pipeline with one keyed tumbling window and all its aggregations. Small result buffers
/// fill up often.
pub fn tumbling(size: &str, offset: &str, bound: &str, result_rows: u32) -> PipelineSpec {
    let window = json!({
        "type": "window", "window": "tumbling", "size": size, "offset": offset,
        "aggregations": ["count", "sum", "avg", "min", "max"],
    });
    Pipeline::keyed().bound(bound).result_rows(result_rows).stage(window).spec()
}

/// The expected rows, computed event by event.
pub struct Oracle {
    pub rows: Vec<Row>,
    pub late: usize,
}

/// Returns the expected rows of a tumbling window with count, sum, avg, min and max.
pub fn oracle(events: &[Event], size: i64, offset: i64, bound: Option<i64>) -> Oracle {
    oracle_of(events, size, offset, bound, |events| {
        let values: Vec<f64> = events.iter().map(|event| event.value).collect();
        results(&values).to_vec()
    })
}

/// Does the same as [`oracle`]: `results` computes the columns of a window from its events, in the
/// order of arrival.
pub fn oracle_of(
    events: &[Event],
    size: i64,
    offset: i64,
    bound: Option<i64>,
    results: impl Fn(&[Event]) -> Vec<f64>,
) -> Oracle {
    let mut windows: Vec<(i64, Vec<u8>, Vec<Event>)> = Vec::new();
    let mut greatest: Option<i64> = None;
    let mut late = 0;
    for event in events {
        let start = (event.ts - offset).div_euclid(size) * size + offset;
        let watermark =
            greatest.zip(bound).map_or(i64::MIN, |(greatest, bound)| greatest - bound - 1);
        if start + size - 1 <= watermark {
            late += 1;
        } else {
            let key = encoded(event.key);
            match windows.iter_mut().find(|(at, of, _)| *at == start && *of == key) {
                Some((_, _, events)) => events.push(*event),
                None => windows.push((start, key, vec![*event])),
            }
        }
        greatest = Some(greatest.map_or(event.ts, |greatest| greatest.max(event.ts)));
    }
    windows.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let rows = windows.into_iter().map(|(start, key, events)| Row {
        firing: start + size - 1,
        end: start + size,
        start,
        key,
        values: results(&events).into_iter().map(bits).collect(),
        ..Row::default()
    });
    Oracle { rows: rows.collect(), late }
}

/// Returns count, sum, avg, min and max of `values`. The sum is Neumaier's compensated sum.
fn results(values: &[f64]) -> [f64; 5] {
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for &value in values {
        let next = sum + value;
        if sum.abs() >= value.abs() {
            lost += (sum - next) + value;
        } else {
            lost += (value - next) + sum;
        }
        sum = next;
    }
    let finite = |x: f64| if x.is_finite() { x } else { f64::NAN };
    let total = finite(sum + lost);
    let count = values.len() as f64;
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [count, total, finite(total / count), min, max]
}

/// Returns a percentile of `values` by the linear rule of numpy.
pub fn linear(values: &[f64], percent: &str) -> f64 {
    let mut sorted: Vec<f64> = values.iter().map(|value| value + 0.0).collect();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() as f64 - 1.0) * (percent.parse::<f64>().unwrap() / 100.0);
    let (Some(&low), Some(&high)) =
        (sorted.get(place.floor() as usize), sorted.get(place.ceil() as usize))
    else {
        return f64::NAN;
    };
    let fraction = place - place.floor();
    if !(high - low).is_finite() {
        low * (1.0 - fraction) + high * fraction
    } else if fraction >= 0.5 {
        high - (high - low) * (1.0 - fraction)
    } else {
        low + (high - low) * fraction
    }
}

/// An engine with the state that its caller keeps.
pub struct Run {
    pub spec: PipelineSpec,
    pub engine: Engine,
    pub rows: Vec<Row>,
    pub names: row::Names,
    /// The rank of each of `rows`: the order among rows with the same firing watermark.
    pub ranks: Vec<u64>,
    /// True if the engine is restored from a snapshot whenever it is full, so in the middle of a
    /// firing.
    pub restores_when_full: bool,
}

/// The optional columns of a batch.
#[derive(Debug, Clone, Copy, Default)]
pub struct BatchExtras<'a> {
    pub ordinals: Option<&'a [u64]>,
    pub watermarks: Option<&'a [i64]>,
    pub partitions: Option<&'a [u32]>,
    /// The second value column.
    pub marks: Option<&'a [f64]>,
}

/// The form in which a batch holds its keys.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum KeysAs {
    Ids,
    Encoded,
}

impl Run {
    pub fn new(spec: PipelineSpec) -> Self {
        let options = Options { report_drops: true, ..Options::default() };
        let engine = Engine::open(&spec, options).unwrap();
        let names = row::names(&engine.plan().output.columns);
        let (rows, ranks) = (Vec::new(), Vec::new());
        Self { spec, engine, rows, names, ranks, restores_when_full: false }
    }

    /// Pushes `events` as one batch, and polls whenever the engine is full.
    pub fn push(&mut self, events: &[Event], keys: KeysAs) {
        self.push_with_watermarks(events, None, None, keys);
    }

    /// Does the same as [`Self::push`], with the ordinal and the watermark of each event if they
    /// are given.
    pub fn push_with_watermarks(
        &mut self,
        events: &[Event],
        ordinals: Option<&[u64]>,
        watermarks: Option<&[i64]>,
        keys: KeysAs,
    ) {
        self.push_with(
            events,
            BatchExtras { ordinals, watermarks, ..BatchExtras::default() },
            keys,
        );
    }

    /// Does the same as [`Self::push`], with the optional columns of `extras`.
    pub fn push_with(&mut self, events: &[Event], extras: BatchExtras<'_>, keys: KeysAs) {
        let BatchExtras { ordinals, watermarks, partitions, marks } = extras;
        let mut at = 0;
        loop {
            let rest = &events[at..];
            let ids: Vec<u32> = rest.iter().map(|event| event.key).collect();
            let (offsets, bytes) = concat(ids.iter().map(|id| encoded(*id)));
            if keys == KeysAs::Ids {
                self.engine
                    .define_keys(&KeyDefinitions {
                        reset: false,
                        ids: &ids,
                        offsets: &offsets,
                        bytes: &bytes,
                    })
                    .unwrap();
            }
            let timestamps: Vec<i64> = rest.iter().map(|event| event.ts).collect();
            let values: Vec<f64> = rest.iter().map(|event| event.value).collect();
            let marks = marks.map_or(&[][..], |marks| &marks[at..]);
            let columns = [Column::F64(&values), Column::F64(marks)];
            let pushed = self
                .engine
                .push(&Batch {
                    timestamps: &timestamps,
                    keys: match keys {
                        KeysAs::Ids => KeyColumn::Ids(&ids),
                        KeysAs::Encoded => KeyColumn::Encoded { offsets: &offsets, bytes: &bytes },
                    },
                    columns: &columns[..self.engine.plan().input.columns.len()],
                    identities: &[],
                    ordinals: ordinals.map(|list| &list[at..]),
                    watermarks: watermarks.map(|list| &list[at..]),
                    partitions: partitions.map(|list| &list[at..]),
                })
                .unwrap();
            at += pushed.consumed;
            if !pushed.full {
                assert_eq!(at, events.len());
                return;
            }
            self.restore_if_enabled();
            assert!(self.poll(2) > 0, "full, but nothing to poll");
        }
    }

    /// Advances the watermark, and polls whenever the engine is full.
    pub fn advance(&mut self, watermark: i64) {
        while self.engine.advance_watermark(watermark).unwrap() == Progress::Full {
            self.restore_if_enabled();
            self.poll(3);
        }
    }

    /// Passes the host's time to the engine, and polls whenever the engine is full.
    pub fn tick(&mut self, now: i64) {
        while self.engine.tick(now).unwrap() == Progress::Full {
            self.restore_if_enabled();
            self.poll(3);
        }
    }

    /// Polls at most `max` rows and returns how many there were.
    pub fn poll(&mut self, max: usize) -> usize {
        let Some(rows) = self.engine.poll(max) else { return 0 };
        let taken = rows.len();
        self.rows.extend((0..taken).map(|at| Row::of(&rows, at, &self.names)));
        self.ranks.extend_from_slice(rows.ranks);
        taken
    }

    /// Ends the stream and returns all rows and the counters.
    pub fn finish(mut self) -> (Vec<Row>, stream_processor_core::Stats) {
        self.end();
        (self.rows, self.engine.stats())
    }

    /// Ends the stream and polls all rows.
    pub fn end(&mut self) {
        while self.engine.finish().unwrap() == Progress::Full {
            self.restore_if_enabled();
            self.poll(4);
        }
        while self.poll(5) > 0 {}
    }

    fn restore_if_enabled(&mut self) {
        if self.restores_when_full {
            self.restore();
        }
    }

    /// Replaces the engine by one restored from its snapshot.
    pub fn restore(&mut self) {
        let snapshot = self.engine.snapshot().unwrap();
        let mut restored = Engine::restore(&self.spec, self.engine.options(), &snapshot).unwrap();
        assert_eq!(restored.snapshot().unwrap(), snapshot, "equal state, equal bytes");
        assert_eq!(restored.stats(), self.engine.stats());
        self.engine = restored;
    }
}

/// One batch of a run: its length, and what happens after it.
#[derive(Debug, Clone)]
pub struct Cut {
    pub length: usize,
    pub poll: usize,
    pub restore: bool,
    pub keys: KeysAs,
}

/// Generates the batches of a run.
pub fn cuts() -> impl Strategy<Value = Vec<Cut>> {
    let keys = prop::sample::select(vec![KeysAs::Ids, KeysAs::Encoded]);
    let cut = (0_usize..40, 0_usize..6, any::<bool>(), keys)
        .prop_map(|(length, poll, restore, keys)| Cut { length, poll, restore, keys });
    prop::collection::vec(cut, 1..30)
}

/// Runs all `events`, in batches as `cuts` says, and returns the rows and the counters.
pub fn run_cut(
    mut run: Run,
    events: &[Event],
    cuts: &[Cut],
) -> (Vec<Row>, stream_processor_core::Stats) {
    let mut rest = events;
    for cut in cuts {
        let (batch, later) = rest.split_at(cut.length.min(rest.len()));
        rest = later;
        run.push(batch, cut.keys);
        run.poll(cut.poll);
        if cut.restore {
            run.restore();
        }
    }
    run.push(rest, KeysAs::Encoded);
    run.finish()
}

/// Concatenates keys into offsets and bytes.
pub fn concat(keys: impl Iterator<Item = Vec<u8>>) -> (Vec<u32>, Vec<u8>) {
    let (mut offsets, mut bytes) = (vec![0], Vec::new());
    for key in keys {
        bytes.extend(key);
        offsets.push(u32::try_from(bytes.len()).unwrap());
    }
    (offsets, bytes)
}

/// Generates streams with ties, disorder, jumps, negative times and values of every magnitude.
pub fn events() -> impl Strategy<Value = Vec<Event>> {
    let value = prop_oneof![
        4 => -1000.0..1000.0,
        1 => prop::sample::select(vec![0.0, -0.0, 0.1, 1e16, -1e16, 1e308, -1e308, 5e-324]),
    ];
    let step = prop_oneof![
        8 => -2_000_000_i64..3_000_000,
        1 => Just(0),
        1 => -50_000_000_i64..50_000_000,
    ];
    prop::collection::vec((step, 0_u32..8, value), 0..200).prop_map(|steps| {
        let mut ts = -20_000_000;
        let events = steps.into_iter().map(|(step, key, value)| {
            ts += step;
            Event { ts, key, value }
        });
        events.collect()
    })
}
