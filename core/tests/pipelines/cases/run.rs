//! Runs a case through engines, with batches, small polls, snapshots and shards as a [`Run`] says.

use std::collections::BTreeMap;
use std::fmt;

use stream_processor_core::text::{EventBuffer, Reader, ReaderOptions, write_rows};
use stream_processor_core::{Dropped, Identity, PipelineSpec, Plan, RowColumn, Rows, Stats};

use super::shard::{Shard, assign_watermarks, merge};
use super::{Case, Opened};

/// One column to run a case. No choice may change a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Number of events in a batch.
    pub batch: usize,
    /// Number of engines that share the keys.
    pub shards: usize,
    /// Limit of the rows, and of the dropped events, that wait in an engine. `None` is the default
    /// limit.
    pub max_waiting: Option<u32>,
    /// Limit of the work of a call. `None` is the default limit.
    pub max_work: Option<u32>,
    /// True if each engine is restored from a snapshot after every call.
    pub restores: bool,
}

/// The reference run: the whole stream as one batch.
pub const WHOLE: Run =
    Run { batch: usize::MAX, shards: 1, max_waiting: None, max_work: None, restores: false };

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.batch {
            usize::MAX => f.write_str("one batch")?,
            batch => write!(f, "batches of {batch}")?,
        }
        write!(f, ", {} shards", self.shards)?;
        if let Some(max_waiting) = self.max_waiting {
            write!(f, ", at most {max_waiting} rows wait")?;
        }
        if let Some(max_work) = self.max_work {
            write!(f, ", at most {max_work} units of work a call")?;
        }
        f.write_str(if self.restores { ", restored after every call" } else { "" })
    }
}

/// The events of a case as the reader returns them.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    pub timestamps: Vec<i64>,
    /// The encoded keys; empty if the pipeline has no key.
    pub keys: Vec<Vec<u8>>,
    pub columns: Vec<Vec<f64>>,
    pub identities: Vec<Vec<Identity>>,
    pub ordinals: Vec<u64>,
    /// The watermark of the whole stream before each event, if there are several shards.
    pub watermarks: Option<Vec<i64>>,
}

/// A row with all its columns, compared bit by bit.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub firing: i64,
    pub rank: u64,
    pub key: Vec<u8>,
    /// The times that order rows with the same firing watermark and rank.
    pub order: Vec<i64>,
    /// All columns: times, bits of numbers with one canonical NaN, and 0 or 1.
    pub cells: Vec<u64>,
    /// The row as NDJSON.
    pub text: String,
}

/// A dropped event: ordinal, stage, reason, watermark, end of its window.
pub type DroppedEvent = (u64, Option<u32>, String, i64, Option<i64>);

/// The whole output of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    pub rows: Vec<Row>,
    /// Sorted, because the order of reports depends on the batches.
    pub dropped: Vec<DroppedEvent>,
    /// The counters that depend on the events alone, by stage and name.
    pub counters: BTreeMap<(usize, &'static str), u64>,
    /// The names of the limits that an engine has reached.
    pub struck: Vec<&'static str>,
}

impl Parsed {
    /// Reads the events of `case` for `plan`. Returns `None` if one is rejected.
    pub fn of(case: &Case, spec: &PipelineSpec, plan: &Plan) -> Option<Self> {
        let mut reader = Reader::new(&plan.input, ReaderOptions::of(spec));
        let (text, mut buffer) = (case.ndjson(), EventBuffer::new());
        let taken = reader.read(text.as_bytes(), true, usize::MAX, &mut buffer).unwrap();
        if taken < text.len() || !buffer.rejections().is_empty() {
            return None;
        }
        let new = buffer.new_keys();
        let bounds = new.offsets.windows(2);
        let keys: Vec<&[u8]> =
            bounds.map(|pair| &new.bytes[pair[0] as usize..pair[1] as usize]).collect();
        Some(Self {
            timestamps: buffer.timestamps().to_vec(),
            keys: buffer.keys().iter().map(|id| keys[*id as usize].to_vec()).collect(),
            columns: buffer.columns().to_vec(),
            identities: buffer.identities().to_vec(),
            ordinals: buffer.lines().to_vec(),
            watermarks: None,
        })
    }

    /// Returns the events at `places`.
    pub fn select(&self, places: &[usize]) -> Self {
        fn at<T: Clone>(places: &[usize], list: &[T]) -> Vec<T> {
            places.iter().filter_map(|place| list.get(*place).cloned()).collect()
        }
        Self {
            timestamps: at(places, &self.timestamps),
            keys: at(places, &self.keys),
            columns: self.columns.iter().map(|column| at(places, column)).collect(),
            identities: self.identities.iter().map(|column| at(places, column)).collect(),
            ordinals: at(places, &self.ordinals),
            watermarks: self.watermarks.as_ref().map(|watermarks| at(places, watermarks)),
        }
    }

    /// Returns the events in batches of `length`.
    fn batches(&self, length: usize) -> Vec<Self> {
        let places: Vec<usize> = (0..self.timestamps.len()).collect();
        places.chunks(length).map(|places| self.select(places)).collect()
    }
}

impl Row {
    /// Copies the rows out of the engine.
    pub fn copy_all(rows: &Rows<'_>, plan: &Plan) -> Vec<Self> {
        let mut text = Vec::new();
        write_rows(stream_processor_core::text::Format::Ndjson, &plan.output, rows, &mut text);
        let text = String::from_utf8(text).unwrap();
        let mut lines = text.lines();
        let row = |row: usize| {
            let cell = |column: &RowColumn<'_>| match column {
                RowColumn::Time(times) => times[row].cast_unsigned(),
                RowColumn::Number(numbers) if numbers[row].is_nan() => f64::NAN.to_bits(),
                RowColumn::Number(numbers) => numbers[row].to_bits(),
                RowColumn::Bool(bools) => u64::from(bools[row] != 0),
                _ => panic!("a column of another kind"),
            };
            let cells: Vec<u64> = rows.columns.iter().map(cell).collect();
            Self {
                firing: rows.firing[row],
                rank: rows.ranks[row],
                key: rows.key(row).to_vec(),
                order: plan.output.order.iter().map(|at| cells[*at].cast_signed()).collect(),
                cells,
                text: lines.next().unwrap_or_default().to_owned(),
            }
        };
        (0..rows.len()).map(row).collect()
    }
}

impl Output {
    /// Adds the counters of an engine.
    pub fn count(&mut self, stats: &Stats) {
        let mut add = |stage: usize, name: &'static str, count: u64| {
            *self.counters.entry((stage, name)).or_default() += count;
        };
        add(0, "accepted", stats.events);
        for (place, stage) in stats.stages.iter().enumerate() {
            add(place, "events", stage.events);
            add(place, "rows", stage.rows);
            add(place, "late_dropped", stage.late_dropped);
            add(place, "unassigned", stage.unassigned);
            add(place, "duplicates", stage.duplicates);
            add(place, "unidentified", stage.unidentified);
            add(place, "unjudged", stage.unjudged);
            add(place, "filled", stage.filled);
            add(place, "outliers", stage.outliers);
            add(place, "fill_limit", stage.fill_limit);
            add(place, "buffer_limit", stage.buffer_limit);
            add(place, "value_limit", stage.value_limit);
            add(place, "folded_values", stage.folded_values);
        }
        self.struck.extend(&stats.limits_struck);
    }

    /// Returns true if a limit was reached whose effect may depend on the number of shards.
    /// `entry_limit` holds for each instance. A later `normalize` that reaches `max_buffered`
    /// orders rows by the position of its input within the shard.
    pub fn depends_on_shards(&self) -> bool {
        let is_buffer_limit = |((stage, name), count): (&(usize, &str), &u64)| {
            *name == "buffer_limit" && *stage > 0 && *count > 0
        };
        self.struck.contains(&"entry_limit") || self.counters.iter().any(is_buffer_limit)
    }

    /// Copies the number of silent series of later stages from a run in one shard. At the end of
    /// input that number depends on how far rows of other keys have moved the watermark.
    pub fn copy_silence_counts_from(&mut self, other: &Self) {
        let later =
            |((stage, name), _): &(&(usize, &str), &u64)| *name == "fill_limit" && *stage > 0;
        self.counters
            .extend(other.counters.iter().filter(later).map(|(name, count)| (*name, *count)));
    }

    /// Adds dropped events.
    pub fn add_dropped(&mut self, dropped: &[Dropped]) {
        let entry = |one: &Dropped| -> DroppedEvent {
            (one.ordinal, one.stage, one.reason.name().to_owned(), one.watermark, one.window_end)
        };
        self.dropped.extend(dropped.iter().map(entry));
        self.dropped.sort();
    }
}

/// Runs the events through the pipeline to the end.
///
/// # Errors
/// The error of the engine.
///
/// # Errors
/// Returns the error of a call that the engine refuses.
pub fn run(case: &Opened, run: Run) -> Result<Output, String> {
    let mut spec = case.spec.clone();
    if let Some(max_waiting) = run.max_waiting {
        spec.limits.max_result_rows = max_waiting;
        spec.limits.max_dropped_events = max_waiting;
    }
    if let Some(max_work) = run.max_work {
        spec.limits.max_call_work = max_work;
    }
    // The host uses several shards under the same condition.
    let shards = if case.plan.partitioned_by_key { run.shards } else { 1 };
    let mut workers = (0..shards)
        .map(|_| Shard::open(&spec, &case.plan, run.restores))
        .collect::<Result<Vec<_>, String>>()?;
    let mut output = Output::default();
    let mut events = case.events.clone();
    let advances_to = assign_watermarks(&spec, shards, &mut events);
    for batch in events.batches(run.batch) {
        let last = batch.ordinals.last().copied();
        for (number, worker) in workers.iter_mut().enumerate() {
            worker.push(&batch.of_shard(number, shards))?;
            if let (Some(advances_to), Some(last)) = (&advances_to, last) {
                worker.advance(advances_to[&last])?;
            }
            worker.poll_all();
        }
        merge(&mut workers, &mut output.rows);
    }
    for worker in &mut workers {
        worker.finish()?;
    }
    merge(&mut workers, &mut output.rows);
    for worker in &workers {
        output.count(&worker.engine.stats());
        output.add_dropped(&worker.dropped);
    }
    Ok(output)
}
