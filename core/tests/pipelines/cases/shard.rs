//! One engine among several, and the host's part around them: it computes the watermark of the
//! whole stream, assigns keys to shards by a hash, and merges rows into their defined order. The
//! host's code is in `host/src/run/split.rs`, `shard.rs` and `merge.rs`.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

use stream_processor_core::watermark::Generator;
use stream_processor_core::{
    Batch, Column, Dropped, Engine, Identity, KeyColumn, Options, PipelineSpec, Plan, Progress,
};

use super::run::{Parsed, Row};

/// An engine that processes one part of the keys.
pub struct Shard<'a> {
    spec: &'a PipelineSpec,
    plan: &'a Plan,
    pub engine: Engine,
    /// Number of snapshots that are still to be taken.
    restores: usize,
    rows: VecDeque<Row>,
    pub dropped: Vec<Dropped>,
}

/// Maximum number of snapshots in one run. Each contains all buffered state.
const MOST_RESTORES: usize = 200;

/// Number of consecutive calls that may find the engine full before it counts as stuck.
const MOST_FULL_CALLS: usize = 100_000;

impl<'a> Shard<'a> {
    /// Opens an engine. If `restores`, it is restored from a snapshot after each call.
    pub fn open(spec: &'a PipelineSpec, plan: &'a Plan, restores: bool) -> Result<Self, String> {
        let options = Options { report_drops: true, ..Options::default() };
        let engine = Engine::open(spec, options).map_err(|error| error.to_string())?;
        let restores = if restores { MOST_RESTORES } else { 0 };
        Ok(Self { spec, plan, engine, restores, rows: VecDeque::new(), dropped: Vec::new() })
    }

    /// Pushes a batch, and polls one row whenever the engine is full.
    pub fn push(&mut self, events: &Parsed) -> Result<(), String> {
        let mut taken = 0;
        let mut is_full = false;
        while taken < events.timestamps.len() {
            let pushed = self.engine.push_from(events, taken)?;
            taken += pushed.0;
            is_full = pushed.1;
            self.restore_and_poll(is_full)?;
        }
        if is_full { self.advance(i64::MIN) } else { Ok(()) }
    }

    /// Advances the watermark.
    pub fn advance(&mut self, watermark: i64) -> Result<(), String> {
        self.repeat(|engine| engine.advance_watermark(watermark))
    }

    /// Ends the stream and polls all rows.
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
            self.restore_and_poll(is_full)?;
            if !is_full {
                return Ok(());
            }
        }
        Err("stuck: the engine stays full".to_owned())
    }

    /// Restores the engine from a snapshot if it still should, and polls a row if it is full.
    fn restore_and_poll(&mut self, is_full: bool) -> Result<(), String> {
        if self.restores > 0 {
            self.restores -= 1;
            self.restore()?;
        }
        let waits = self.engine.is_full();
        if is_full && self.poll(1) == 0 && self.collect_dropped() == 0 && waits {
            return Err("stuck: the engine is full, but nothing waits".to_owned());
        }
        if is_full {
            self.collect_dropped();
        }
        Ok(())
    }

    /// Replaces the engine by one restored from its snapshot.
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

    /// Polls all rows and all dropped events.
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

/// Pushes the events from a position on.
trait PushFrom {
    /// Returns the number of accepted events, and whether the engine is full.
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
            events.identities.iter().map(|column| &column[from..]).collect();
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

/// Computes the watermark of the whole stream if there are several shards. Stores the watermark
/// before each event, and returns the one after each event, by its ordinal.
pub fn assign_watermarks(
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
    /// Returns the events of shard `number`, selected by a hash of the key bytes.
    pub fn of_shard(&self, number: usize, shards: usize) -> Self {
        let is_own = |place: &usize| {
            shards == 1 || crc32fast::hash(&self.keys[*place]) as usize % shards == number
        };
        let places: Vec<usize> = (0..self.timestamps.len()).filter(is_own).collect();
        self.select(&places)
    }
}

/// Moves the rows of all shards to `rows`, in the defined order.
pub fn merge(shards: &mut [Shard<'_>], rows: &mut Vec<Row>) {
    loop {
        let heads = shards.iter_mut().filter(|shard| !shard.rows.is_empty());
        let first = heads.min_by(|a, b| compare(&a.rows[0], &b.rows[0]));
        let Some(first) = first else { return };
        rows.extend(first.rows.pop_front());
    }
}

/// Compares rows by the defined order.
fn compare(a: &Row, b: &Row) -> Ordering {
    (a.firing, a.rank, &a.order, &a.key).cmp(&(b.firing, b.rank, &b.order, &b.key))
}
