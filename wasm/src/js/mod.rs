//! The class exported to JavaScript: a low-level interface of the engine, used by the TypeScript
//! wrapper.
//!
//! `reports` has the events and lines that gave no row, `state` has snapshots and partial state.

mod reports;
mod state;

use serde_json::json;
use stream_processor_control as control;
use stream_processor_core::javascript::{
    CallIdentities, InputIds, PolledRows, ReservedBatch, ReservedRange, SpilledRows,
};
use stream_processor_core::key_json::{OwnedKeyDefinitions, fingerprints_from_json};
use stream_processor_core::text::{FaultyLine, Feed, Format, faulty_lines, write_rows};
use stream_processor_core::time::{from_ms_f64, parse_time_text, to_ms_f64};
use stream_processor_core::watermark::{END_OF_TIME, NO_WATERMARK};
use stream_processor_core::{
    Engine, Error, InputKind, Options, OutputKind, PipelineSpec, Progress, RejectReason, Restore,
};
use wasm_bindgen::prelude::*;

use self::state::SnapshotRead;
use crate::block::{AlignedBlock, address};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = Error)]
    type Thrown;

    #[wasm_bindgen(constructor, js_class = "Error")]
    fn new(message: &str) -> Thrown;

    #[wasm_bindgen(method, setter)]
    fn set_code(this: &Thrown, code: &str);

    #[wasm_bindgen(method, setter)]
    fn set_field(this: &Thrown, field: &str);

    #[wasm_bindgen(method, setter)]
    fn set_limit(this: &Thrown, limit: &str);

    #[wasm_bindgen(method, setter)]
    fn set_consumed(this: &Thrown, consumed: usize);
}

/// An engine with its text parser and the rows that were spilled from its result buffer.
#[wasm_bindgen]
pub struct Processor {
    spec: PipelineSpec,
    engine: Engine,
    feed: Feed,
    /// True if the last call stopped because the result buffer is full.
    full: bool,
    spilled: SpilledRows,
    /// The memory in which JavaScript writes a batch.
    batch: AlignedBlock,
    reserved: ReservedBatch,
    ids: InputIds,
    passed_events: usize,
    identities: CallIdentities,
    polled: PolledRows,
    /// The snapshot that JavaScript is reading, and the one that it is restoring.
    snapshot: Option<SnapshotRead>,
    restore: Option<Restore>,
}

#[wasm_bindgen]
impl Processor {
    /// Opens the pipeline of the JSON `spec`; `table_seed` is any number. If `emits_partials` is
    /// true, [`Processor::partial`] returns the windows. If `reports_lines` is true, rejected lines
    /// and dropped events are kept for [`Processor::take_rejected`] and [`Processor::take_dropped`].
    #[wasm_bindgen(constructor)]
    pub fn new(
        spec: &str,
        table_seed: f64,
        emits_partials: bool,
        reports_lines: bool,
        reports_drops: bool,
    ) -> Result<Processor, JsValue> {
        let spec = control::parse_pipeline(spec).map_err(|error| thrown(&error.into()))?;
        let table_seed = table_seed.to_bits();
        let options = Options { table_seed, emits_partials, report_drops: reports_drops };
        let engine = control::open(&spec, options).map_err(|error| thrown(&error))?;
        let mut feed = Feed::new(&spec, engine.plan(), table_seed);
        if reports_lines || reports_drops {
            feed.report_lines(&spec, engine.plan());
        }
        Ok(Self {
            feed,
            spec,
            full: false,
            spilled: SpilledRows::default(),
            batch: AlignedBlock::default(),
            reserved: ReservedBatch::new(engine.plan()),
            ids: InputIds::default(),
            passed_events: 0,
            identities: CallIdentities::new(engine.plan()),
            polled: PolledRows::new(engine.plan().output.key.len(), table_seed),
            snapshot: None,
            restore: None,
            engine,
        })
    }

    /// Returns the columns that the pipeline reads and writes, as JSON.
    pub fn schema(&self) -> String {
        let plan = self.engine.plan();
        let input = plan.input.columns.iter();
        let input = input.map(|column| {
            let kind = match column.kind {
                InputKind::Flag => "flag",
                InputKind::Text => "text",
                _ => "number",
            };
            json!({ "name": column.name, "required": column.required, "kind": kind })
        });
        let kind = |kind| if kind == OutputKind::Bool { "bool" } else { "number" };
        let output = plan.output.columns.iter();
        let output = output.map(|column| json!({ "name": column.name, "kind": kind(column.kind) }));
        json!({
            "input": {
                "format": self.spec.source.format,
                "timestamp": plan.input.timestamp,
                "time_is_optional": plan.input.time_is_optional,
                "timestamp_unit": self.spec.source.timestamp_unit,
                "key": plan.input.key,
                "on_null_key": plan.input.on_null_key,
                "partition": plan.input.partition,
                "has_identities": !plan.input.identities.is_empty(),
                "columns": input.collect::<Vec<_>>(),
                "require_any_of": plan.input.require_any_of,
            },
            "output": {
                "key": plan.output.key,
                "columns": output.collect::<Vec<_>>(),
                "passes_events": plan.output.passes_events,
            },
            "max_dictionary_keys": plan.limits.dictionary_keys(),
            "max_key_bytes": plan.limits.max_key_bytes,
            "refuses_events": plan.refuses,
        })
        .to_string()
    }

    /// Defines the keys of a JSON array, with ids from `first_id` on; 0 removes all earlier ones.
    pub fn define_keys(&mut self, keys: &str, first_id: u32) -> Result<(), JsValue> {
        let fields = self.engine.plan().input.key.len();
        let first_id = self.ids.first_key(first_id, &mut self.engine);
        OwnedKeyDefinitions::from_json(keys, first_id.., fields)
            .and_then(|keys| self.engine.define_keys(&keys.as_definitions(false)))
            .map_err(|error| thrown(&error))
    }

    /// Defines the partitions of a JSON array, with ids from `first_id` on; 0 removes all earlier
    /// ones.
    pub fn define_partitions(&mut self, names: &str, first_id: u32) -> Result<(), JsValue> {
        let first_id = self.ids.first_partition(first_id, &mut self.engine);
        OwnedKeyDefinitions::from_json(names, first_id.., 1)
            .and_then(|names| self.engine.define_partitions(&names.as_definitions(false), false))
            .map_err(|error| thrown(&error))
    }

    /// Computes the identities of further events of the next call, one JSON object a line. `begins`
    /// is true for its first events. Returns the result of [`Processor::faulty_lines`]; faulty
    /// lines have no identity.
    pub fn identify(&mut self, lines: &str, begins: bool) -> String {
        if begins {
            self.identities.clear();
        }
        self.identities.add(lines);
        Self::faulty_lines(lines)
    }

    /// Removes the identities of all events of the call except those at `indexes`, which ascend.
    pub fn keep_identities(&mut self, indexes: &[u32]) {
        self.identities.keep(indexes);
    }

    /// Returns the faults of `lines` that are not JSON objects, as a JSON array; empty if there are
    /// none.
    pub fn faulty_lines(lines: &str) -> String {
        let faults = faulty_lines(lines);
        if faults.is_empty() {
            return String::new();
        }
        let fault = |fault: &FaultyLine| json!({ "index": fault.index, "reason": fault.reason, "message": fault.message });
        json!(faults.iter().map(fault).collect::<Vec<_>>()).to_string()
    }

    /// Returns the identities of events, one JSON object a line, by the strategies of a `dedup`
    /// stage in JSON: 16 bytes each, little-endian; all bytes are 0 if there is no identity.
    pub fn identify_by(strategies: &str, lines: &str) -> Result<Vec<u8>, JsValue> {
        let identifier = control::parse_strategies(strategies);
        let mut identities = Vec::new();
        identifier.map_err(|error| thrown(&error.into()))?.write(lines.as_bytes(), &mut identities);
        Ok(identities)
    }

    /// Returns the fingerprint of each value of a JSON array, for text columns.
    pub fn fingerprints(&self, values: &str) -> Result<Vec<f64>, JsValue> {
        fingerprints_from_json(values).map_err(|error| thrown(&error))
    }

    /// Returns the module's memory, which JavaScript writes to directly.
    pub fn memory(&self) -> JsValue {
        wasm_bindgen::memory()
    }

    /// Returns the address for a batch of `events` in that memory: times, each column, key ids and
    /// partition ids, each starting at the next multiple of 64 bytes.
    pub fn reserve(&mut self, events: usize) -> Result<u32, JsValue> {
        let no_room = || coded("out_of_memory", "the module has no room for the batch");
        let len = self.reserved.begin(events).ok_or_else(no_room)?;
        if self.batch.bytes().len() < len {
            self.batch = AlignedBlock::new(len).ok_or_else(no_room)?;
        }
        Ok(self.batch.address())
    }

    /// Pushes the events `from..to` of a batch of `events` at the address of
    /// [`Processor::reserve`]. Returns the number of events consumed. Key ids must be less than
    /// `bound`. `first` is the index of `from` in the call, for messages. `in_us` is true if times
    /// are 64-bit integer microseconds.
    pub fn push_reserved(
        &mut self,
        events: usize,
        from: usize,
        to: usize,
        bound: u32,
        first: usize,
        in_us: bool,
    ) -> Result<usize, JsValue> {
        let range = ReservedRange { events, from, to, first, keys: bound, in_us };
        let Self { reserved, batch, ids, identities, engine, .. } = self;
        let pushed = reserved.push(batch.words_mut(), &range, ids, identities, engine);
        self.full = false;
        let pushed = pushed.map_err(|error| thrown(&error))?;
        self.full = pushed.full;
        Ok(pushed.consumed)
    }

    /// Counts an event that JavaScript rejected, by the name of the reason.
    pub fn count_rejected(&mut self, reason: &str) {
        if let Some(reason) = RejectReason::ALL.iter().find(|known| known.name() == reason) {
            self.engine.count_rejected(*reason);
        }
    }

    /// Parses `lines` of times to milliseconds; NaN for a line that is not a time.
    pub fn parse_times(&self, lines: &str) -> Vec<f64> {
        let unit = self.spec.source.timestamp_unit;
        let times = lines.split('\n').map(|line| parse_time_text(line.as_bytes(), unit));
        times.map(|time| time.map_or(f64::NAN, |time| to_ms_f64(time.micros))).collect()
    }

    /// Pushes a piece of text in the format of the pipeline's source; the whole piece is consumed.
    pub fn push_text(&mut self, piece: &[u8]) -> Result<(), JsValue> {
        self.ids.begin_text(&mut self.engine);
        let progress = self.feed.push(&mut self.engine, piece);
        self.record(progress).map(drop)
    }

    /// Removes and returns the passed events of text as NDJSON, if the pipeline passes events.
    pub fn take_passed(&mut self) -> Vec<u8> {
        let (text, events) = self.feed.take_passed();
        self.passed_events = events;
        text
    }

    /// Returns the number of events of the last [`Processor::take_passed`].
    pub fn passed_events(&self) -> usize {
        self.passed_events
    }

    /// Returns the ordinal of the next event: the number of events before it.
    pub fn next_ordinal(&self) -> f64 {
        self.engine.next_ordinal() as f64
    }

    /// Removes and returns the ordinals of waiting passed events, if the pipeline passes events.
    pub fn poll_ordinals(&mut self) -> Vec<f64> {
        let waiting = self.engine.waiting_rows();
        let rows = self.engine.poll(waiting);
        rows.map_or_else(Vec::new, |rows| rows.ranks.iter().map(|rank| *rank as f64).collect())
    }

    /// Continues with text that was pushed before the result buffer was full.
    pub fn resume_text(&mut self) -> Result<(), JsValue> {
        let progress = self.feed.resume(&mut self.engine);
        self.record(progress).map(drop)
    }

    /// Returns true if the text so far ends within a line.
    pub fn has_partial_line(&self) -> bool {
        !self.feed.is_empty()
    }

    /// Advances the watermark.
    pub fn advance_watermark(&mut self, ms: f64) -> Result<(), JsValue> {
        let progress = self.engine.advance_watermark(time(ms)?);
        self.record(progress).map(drop)
    }

    /// Passes the time of day to the engine.
    pub fn tick(&mut self, ms: f64) -> Result<(), JsValue> {
        let progress = self.engine.tick(time(ms)?);
        self.record(progress).map(drop)
    }

    /// Ends the text and the stream.
    pub fn finish(&mut self) -> Result<(), JsValue> {
        let progress = self.feed.end(&mut self.engine);
        if self.record(progress)? == Progress::Done {
            let progress = self.engine.finish();
            self.record(progress)?;
        }
        Ok(())
    }

    /// Returns true if the last call stopped because the result buffer is full: poll or spill, then
    /// call again.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Moves the waiting rows out of the result buffer; they are polled before any later rows.
    pub fn spill(&mut self) {
        self.spilled.spill(&mut self.engine);
    }

    /// Returns the number of spilled rows that are not yet polled.
    pub fn spilled_rows(&self) -> usize {
        self.spilled.len()
    }

    /// Polls the next rows, about `max_rows`, and returns their number. [`Processor::new_keys`],
    /// [`Processor::key_ids`] and [`Processor::numbers`] return their contents.
    pub fn poll(&mut self, max_rows: usize) -> Result<usize, JsValue> {
        let polled = &mut self.polled;
        let rows = self.spilled.next(&mut self.engine, max_rows, |rows| polled.set(rows));
        rows.map(Option::unwrap_or_default).map_err(|error| thrown(&error))
    }

    /// Returns the new keys of the last poll as a JSON array; empty if there are none. Their ids
    /// start at [`Processor::first_new_key`] and replace earlier meanings of these ids.
    pub fn new_keys(&mut self) -> String {
        core::mem::take(&mut self.polled.new_keys)
    }

    /// Returns the first id of [`Processor::new_keys`].
    pub fn first_new_key(&self) -> u32 {
        self.polled.first_new_key
    }

    /// Returns the address of the key ids of the last poll.
    pub fn key_ids(&self) -> u32 {
        address(self.polled.key_ids.as_ptr())
    }

    /// Returns the address of the columns of the last poll, one after another; NaN is null, times
    /// are milliseconds, 1 is true.
    pub fn numbers(&self) -> u32 {
        address(self.polled.numbers.as_ptr())
    }

    /// Polls the next rows, about `max_rows`, as NDJSON; `None` if there are none.
    pub fn poll_ndjson(&mut self, max_rows: usize) -> Result<Option<Vec<u8>>, JsValue> {
        let schema = self.engine.plan().output.clone();
        let text = self.spilled.next(&mut self.engine, max_rows, |rows| {
            let mut text = Vec::new();
            write_rows(Format::Ndjson, &schema, rows, &mut text);
            text
        });
        text.map_err(|error| thrown(&error))
    }

    /// Returns the watermark in milliseconds; `None` before the first event and after the end.
    pub fn watermark(&self) -> Option<f64> {
        let watermark = self.engine.watermark();
        (watermark != NO_WATERMARK && watermark != END_OF_TIME).then(|| to_ms_f64(watermark))
    }

    /// Returns the earliest time of day in milliseconds at which `tick` has an effect.
    pub fn next_deadline(&self) -> Option<f64> {
        self.engine.next_deadline().map(to_ms_f64)
    }

    /// Returns the engine's counters as JSON.
    pub fn stats(&self) -> String {
        control::stats(&self.engine)
    }
}

impl Processor {
    /// Records whether the result buffer is full.
    fn record(&mut self, progress: Result<Progress, Error>) -> Result<Progress, JsValue> {
        self.full = matches!(progress, Ok(Progress::Full));
        let progress = progress.map_err(|error| thrown(&error))?;
        Ok(progress)
    }
}

fn time(ms: f64) -> Result<i64, JsValue> {
    from_ms_f64(ms).map_err(|error| coded("invalid_time", &error.to_string()).into())
}

/// Converts an error to a JavaScript `Error` with a `code`; a pipeline error also has the `field`,
/// a limit error `limit` and `consumed`.
fn thrown(error: &Error) -> JsValue {
    let value = coded(error.code(), &error.to_string());
    if let Error::Spec(spec) = error {
        value.set_field(spec.path());
    }
    if let Error::LimitReached(stop) = error {
        value.set_limit(stop.limit);
        value.set_consumed(stop.consumed);
    }
    value.into()
}

fn coded(code: &str, message: &str) -> Thrown {
    let error = Thrown::new(message);
    error.set_code(code);
    error
}
