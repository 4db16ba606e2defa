//! Text straight into an engine, in pieces that may end anywhere.

use super::{EventBuffer, NewKeys, Reader, ReaderOptions};
use crate::{
    Batch, Column, Engine, Error, KeyColumn, KeyDefinitions, PipelineSpec, Plan, Progress,
};

/// Events that are read before they are pushed: their columns stay in the processor's caches.
const BATCH_EVENTS: usize = 8_192;

/// Reads text in the format of the pipeline's source and pushes what it reads, keeping all that has to wait: a line that is not whole yet, and events for
/// which the engine had no room. Lines that are refused are counted in the engine's [`crate::Stats`].
///
/// The ids of partitions are the feed's. The engine's key ids are shared: a caller that defines some itself has the feed begin behind them, by [`Feed::begin_ids_at`].
/// ```
/// use stream_processor_core::{Engine, Options, PipelineSpec, Progress, text::Feed};
///
/// let spec = PipelineSpec::from_json(r#"{"source": {"value": "v"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["sum"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options::default())?;
/// let mut feed = Feed::new(&spec, engine.plan(), 0);
/// feed.push(&mut engine, b"{\"ts\": 1, \"v\": 2}\n{\"ts\": 2, \"v")?;
/// feed.push(&mut engine, b"\": 3}\nnonsense\n")?;
/// assert_eq!(feed.end(&mut engine)?, Progress::Done);
/// assert_eq!((engine.stats().events, engine.stats().rejected), (2, 1));
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
pub struct Feed {
    reader: Reader,
    keyed: bool,
    partitioned: bool,
    /// Text that is not read yet.
    text: Vec<u8>,
    events: EventBuffer,
    /// The first event that is not pushed yet.
    next: usize,
    /// The id of the first key.
    first_id: u32,
    /// The ids of the events' keys.
    ids: Vec<u32>,
}

impl Feed {
    /// A feed at the beginning of a text. `table_seed` is as in [`crate::Options`].
    #[must_use]
    pub fn new(spec: &PipelineSpec, plan: &Plan, table_seed: u64) -> Self {
        let options = ReaderOptions { table_seed, ..ReaderOptions::of(spec) };
        Self {
            reader: Reader::new(&plan.input, options),
            keyed: !plan.input.key.is_empty(),
            partitioned: plan.input.partition.is_some(),
            text: Vec::new(),
            events: EventBuffer::new(),
            next: 0,
            first_id: 0,
            ids: Vec::new(),
        }
    }

    /// Gives keys ids from `first_id` on. To be called before any text is pushed.
    pub fn begin_ids_at(&mut self, first_id: u32) {
        self.first_id = first_id;
    }

    /// Whether all text was read and all events were pushed: a snapshot of the engine then tells all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.next == self.events.len()
    }

    /// Takes the next piece of text, always whole. [`Progress::Full`]: poll, then call [`Feed::resume`].
    ///
    /// # Errors
    /// Those of [`Engine::push`], such as text after the end, and a header of CSV that lacks a column.
    pub fn push(&mut self, engine: &mut Engine, piece: &[u8]) -> Result<Progress, Error> {
        self.text.extend_from_slice(piece);
        self.go_on(engine, false)
    }

    /// Goes on after [`Progress::Full`].
    ///
    /// # Errors
    /// As [`Feed::push`].
    pub fn resume(&mut self, engine: &mut Engine) -> Result<Progress, Error> {
        self.go_on(engine, false)
    }

    /// Ends the text, so that a last line without its line feed counts. [`Progress::Full`]: poll, then call it again.
    ///
    /// # Errors
    /// As [`Feed::push`].
    pub fn end(&mut self, engine: &mut Engine) -> Result<Progress, Error> {
        self.go_on(engine, true)
    }

    fn go_on(&mut self, engine: &mut Engine, end: bool) -> Result<Progress, Error> {
        let mut read = 0;
        let progress = loop {
            if self.push_events(engine)? == Progress::Full {
                break Progress::Full;
            }
            let rest = self.text.get(read..).unwrap_or_default();
            let taken = self.reader.read(rest, end, BATCH_EVENTS, &mut self.events)?;
            read += taken;
            self.next = 0;
            self.note(engine)?;
            if taken == 0 && self.events.is_empty() {
                break Progress::Done;
            }
        };
        self.text.drain(..read);
        Ok(progress)
    }

    /// Counts the lines that were refused and gives the engine the keys that are new.
    fn note(&mut self, engine: &mut Engine) -> Result<(), Error> {
        for rejection in self.events.rejections().iter().filter(|part| !part.continuation) {
            engine.count_rejected(rejection.reason);
        }
        let first_id = self.first_id;
        self.ids.clear();
        self.ids.extend(self.events.keys().iter().map(|id| first_id + id));
        let NewKeys { ids, offsets, bytes } = self.events.new_partitions();
        if !ids.is_empty() {
            let definitions = KeyDefinitions { reset: false, ids, offsets, bytes };
            engine.define_partitions(&definitions, false)?;
        }
        let keys = self.events.new_keys();
        if keys.ids.is_empty() {
            return Ok(());
        }
        // A dictionary that starts anew gives its ids new meanings, one by one: nothing has to be forgotten.
        let ids: Vec<u32> = keys.ids.iter().map(|id| first_id + id).collect();
        let (offsets, bytes) = (keys.offsets, keys.bytes);
        engine.define_keys(&KeyDefinitions { reset: false, ids: &ids, offsets, bytes })
    }

    fn push_events(&mut self, engine: &mut Engine) -> Result<Progress, Error> {
        while self.next < self.events.len() {
            let columns = self.events.columns().iter();
            let columns: Vec<_> = columns
                .map(|column| Column::F64(column.get(self.next..).unwrap_or_default()))
                .collect();
            let ids = self.ids.get(self.next..).unwrap_or_default();
            let pushed = engine.push(&Batch {
                timestamps: self.events.timestamps().get(self.next..).unwrap_or_default(),
                keys: if self.keyed { KeyColumn::Ids(ids) } else { KeyColumn::Unkeyed },
                columns: &columns,
                ordinals: None,
                watermarks: None,
                partitions: self
                    .partitioned
                    .then(|| self.events.partitions().get(self.next..).unwrap_or_default()),
            })?;
            self.next += pushed.consumed;
            if pushed.full {
                return Ok(Progress::Full);
            }
        }
        Ok(Progress::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::text::Format;
    use crate::text::write_rows;

    const SPEC: &str = r#"{"source": {"key": "k", "value": "v"}, "limits": {"max_result_rows": 2,
        "max_dictionary_keys": 3}, "stages": [{"type": "window", "window": "tumbling", "size": "1s",
        "aggregations": ["count", "sum"]}]}"#;

    /// The rows and counters of `text`, fed in pieces of `piece` bytes.
    fn fed(text: &str, piece: usize) -> (String, String) {
        let spec = PipelineSpec::from_json(SPEC).unwrap();
        let mut engine = Engine::open(&spec, Options::default()).unwrap();
        let mut feed = Feed::new(&spec, engine.plan(), 0);
        let mut out = Vec::new();
        let mut poll = |engine: &mut Engine| {
            let schema = engine.plan().output.clone();
            while let Some(rows) = engine.poll(1) {
                write_rows(Format::Ndjson, &schema, &rows, &mut out);
            }
        };
        for piece in text.as_bytes().chunks(piece) {
            let mut progress = feed.push(&mut engine, piece).unwrap();
            while progress == Progress::Full {
                poll(&mut engine);
                progress = feed.resume(&mut engine).unwrap();
            }
        }
        while feed.end(&mut engine).unwrap() == Progress::Full {
            poll(&mut engine);
        }
        assert!(feed.is_empty());
        while engine.finish().unwrap() == Progress::Full {
            poll(&mut engine);
        }
        poll(&mut engine);
        let stats = serde_json::to_string(&engine.stats()).unwrap();
        (String::from_utf8(out).unwrap(), stats)
    }

    #[test]
    fn pieces_a_full_buffer_and_a_small_dictionary_change_nothing() {
        let line = |n: u32| format!("{{\"ts\":{},\"k\":\"k{}\",\"v\":{n}}}\n", n * 100, n % 7);
        let mut text: String = (0..200).map(line).collect();
        text.insert_str(line(0).len(), "nonsense\n{\"ts\": true}\n");
        text.pop();
        let whole = fed(&text, usize::MAX);
        assert!(whole.1.contains(r#""events":200,"rejected":2"#), "{}", whole.1);
        for piece in [1, 7, 64, 1_000] {
            assert_eq!(fed(&text, piece), whole, "{piece}");
        }
    }
}
