//! One engine among several, and what the host does around them: it judges the watermark of the whole stream, deals keys
//! out by a hash, and merges rows into their defined order (`host/src/run/split.rs`, `shard.rs`, `merge.rs`).

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

use stream_processor_core::watermark::Generator;
use stream_processor_core::{
    Batch, Column, Dropped, Engine, Identity, KeyColumn, Options, PipelineSpec, Plan, Progress,
};

use super::run::{Parsed, Row};

/// An engine that runs a part of the keys.
pub struct Shard<'a> {
    spec: &'a PipelineSpec,
    plan: &'a Plan,
    pub engine: Engine,
    /// How often it still goes on from a snapshot.
    restores: usize,
    rows: VecDeque<Row>,
    pub dropped: Vec<Dropped>,
}

/// Snapshots of one run at most: each has all that waits.
const MOST_RESTORES: usize = 200;

/// Calls that may find an engine full, one after another, before it counts as stuck.
const MOST_FULL_CALLS: usize = 100_000;

impl<'a> Shard<'a> {
    /// Opens an engine that goes on from a snapshot after each call, if it `restores`.
    pub fn open(spec: &'a PipelineSpec, plan: &'a Plan, restores: bool) -> Result<Self, String> {
        let options = Options { report_drops: true, ..Options::default() };
        let engine = Engine::open(spec, options).map_err(|error| error.to_string())?;
        let restores = if restores { MOST_RESTORES } else { 0 };
        Ok(Self { spec, plan, engine, restores, rows: VecDeque::new(), dropped: Vec::new() })
    }

    /// Pushes a batch, polling a row at a time whenever the engine is full.
    pub fn push(&mut self, events: &Parsed) -> Result<(), String> {
        let mut taken = 0;
        let mut is_full = false;
        while taken < events.timestamps.len() {
            let pushed = self.engine.push_from(events, taken)?;
            taken += pushed.0;
            is_full = pushed.1;
            self.between(is_full)?;
        }
        if is_full { self.advance(i64::MIN) } else { Ok(()) }
    }

    /// Moves the watermark.
    pub fn advance(&mut self, watermark: i64) -> Result<(), String> {
        self.repeat(|engine| engine.advance_watermark(watermark))
    }

    /// Ends the stream and takes all rows.
    pub fn finish(&mut self) -> Result<(), String> {
        self.repeat(Engine::finish)?;
        self.poll_all();
        Ok(())
    }

    fn repeat(
        &mut self,
        call: impl Fn(&mut Engine) -> Result<Progress, stream_processor_core::Error>,
    ) -> Result<(), String> {
        for _ in 0..MOST_FULL_CALLS {
            let is_full =
                call(&mut self.engine).map_err(|error| error.to_string())? == Progress::Full;
            self.between(is_full)?;
            if !is_full {
                return Ok(());
            }
        }
        Err("stuck: the engine stays full".to_owned())
    }

    /// What happens after a call.
    fn between(&mut self, is_full: bool) -> Result<(), String> {
        if self.restores > 0 {
            self.restores -= 1;
            self.restore()?;
        }
        if is_full && self.poll(1) == 0 && self.collect_dropped() == 0 {
            return Err("stuck: the engine is full, but nothing waits".to_owned());
        }
        if is_full {
            self.collect_dropped();
        }
        Ok(())
    }

    /// Goes on in an engine that is restored from a snapshot of this one.
    fn restore(&mut self) -> Result<(), String> {
        let error = |error: stream_processor_core::Error| format!("snapshot: {error}");
        let snapshot = self.engine.snapshot().map_err(error)?;
        let stats = self.engine.stats();
        let options = self.engine.options();
        self.engine = Engine::restore(self.spec, options, &snapshot).map_err(error)?;
        if self.engine.snapshot().map_err(error)? != snapshot {
            return Err("snapshot: the restored engine gives other bytes".to_owned());
        }
        if self.engine.stats() != stats {
            return Err(format!(
                "snapshot: counters were {stats:?}, the restored engine has {:?}",
                self.engine.stats()
            ));
        }
        Ok(())
    }

    fn poll(&mut self, most: usize) -> usize {
        let Some(rows) = self.engine.poll(most) else { return 0 };
        let rows = Row::copy_all(&rows, self.plan);
        let count = rows.len();
        self.rows.extend(rows);
        count
    }

    /// Takes all rows and all dropped events that wait.
    pub fn poll_all(&mut self) {
        while self.poll(usize::MAX) > 0 {}
        self.collect_dropped();
    }

    fn collect_dropped(&mut self) -> usize {
        let before = self.dropped.len();
        loop {
            let more = self.engine.drops(2);
            if more.is_empty() {
                return self.dropped.len() - before;
            }
            self.dropped.extend(more);
        }
    }
}

/// Pushes events from a place on.
trait PushFrom {
    /// Returns how many were taken, and whether the engine is full.
    fn push_from(&mut self, events: &Parsed, from: usize) -> Result<(usize, bool), String>;
}

impl PushFrom for Engine {
    fn push_from(&mut self, events: &Parsed, from: usize) -> Result<(usize, bool), String> {
        let (mut offsets, mut bytes) = (vec![0], Vec::new());
        for key in events.keys.get(from..).unwrap_or_default() {
            bytes.extend_from_slice(key);
            offsets.push(u32::try_from(bytes.len()).unwrap());
        }
        let columns: Vec<Column<'_>> =
            events.columns.iter().map(|column| Column::F64(&column[from..])).collect();
        let identities: Vec<&[Identity]> =
            events.identities.iter().map(|way| &way[from..]).collect();
        let is_keyed = !self.plan().input.key.is_empty();
        let encoded = KeyColumn::Encoded { offsets: &offsets, bytes: &bytes };
        let pushed = self.push(&Batch {
            timestamps: &events.timestamps[from..],
            keys: if is_keyed { encoded } else { KeyColumn::Unkeyed },
            columns: &columns,
            identities: &identities,
            ordinals: Some(&events.ordinals[from..]),
            watermarks: events.watermarks.as_ref().map(|watermarks| &watermarks[from..]),
            partitions: None,
        });
        let pushed = pushed.map_err(|error| error.to_string())?;
        Ok((pushed.consumed, pushed.full))
    }
}

/// Judges the watermark of the whole stream, where there are several shards: writes the one before each event, and
/// returns the one after each event, by its ordinal.
pub fn split(
    spec: &PipelineSpec,
    shards: usize,
    events: &mut Parsed,
) -> Option<BTreeMap<u64, i64>> {
    if shards == 1 {
        return None;
    }
    let mut generator = Generator::new(spec);
    let (mut before, mut after) = (Vec::new(), BTreeMap::new());
    for (timestamp, ordinal) in events.timestamps.iter().zip(&events.ordinals) {
        before.push(generator.watermark());
        generator.observe(*timestamp);
        after.insert(*ordinal, generator.watermark());
    }
    events.watermarks = Some(before);
    Some(after)
}

impl Parsed {
    /// Returns the events of shard `number`, which the bytes of their keys choose.
    pub fn of_shard(&self, number: usize, shards: usize) -> Self {
        let is_own = |place: &usize| {
            shards == 1 || crc32fast::hash(&self.keys[*place]) as usize % shards == number
        };
        let places: Vec<usize> = (0..self.timestamps.len()).filter(is_own).collect();
        self.select(&places)
    }
}

/// Moves the rows that all shards have made of a batch to `rows`, the first in the defined order first.
pub fn merge(shards: &mut [Shard<'_>], rows: &mut Vec<Row>) {
    loop {
        let heads = shards.iter_mut().filter(|shard| !shard.rows.is_empty());
        let first = heads.min_by(|a, b| compare(&a.rows[0], &b.rows[0]));
        let Some(first) = first else { return };
        rows.extend(first.rows.pop_front());
    }
}

/// The defined order of rows.
fn compare(a: &Row, b: &Row) -> Ordering {
    (a.firing, a.rank, &a.order, &a.key).cmp(&(b.firing, b.rank, &b.order, &b.key))
}
