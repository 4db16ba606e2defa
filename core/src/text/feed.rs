//! Text straight into an engine, in pieces that may end anywhere.

use super::{EventBuffer, EventWriter, Format, NewKeys, Reader, ReaderOptions};
use crate::{
    Batch, Column, Engine, Error, KeyColumn, KeyDefinitions, LimitReached, PipelineSpec, Plan,
    Progress,
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
    /// Where the pipeline passes events: those that have passed.
    passed: Option<Passed>,
}

/// Events that have passed, as NDJSON.
struct Passed {
    writer: EventWriter,
    has_begun: bool,
    text: Vec<u8>,
    events: usize,
    /// More do not wait to be taken.
    most: usize,
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
            passed: plan.output.passes_events.then(|| Passed {
                writer: EventWriter::new(spec.source.format, Format::Ndjson),
                has_begun: false,
                text: Vec::new(),
                events: 0,
                most: plan.limits.max_result_rows as usize,
            }),
        }
    }

    /// Where the pipeline passes events ([`crate::OutputSchema::passes_events`]): hands out those of the text that have
    /// passed since the last call, as NDJSON, and how many they are. They are not among the engine's rows.
    pub fn take_passed(&mut self) -> (Vec<u8>, usize) {
        let taken = |passed: &mut Passed| {
            (core::mem::take(&mut passed.text), core::mem::take(&mut passed.events))
        };
        self.passed.as_mut().map(taken).unwrap_or_default()
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

    /// Takes the next piece of text, always whole. [`Progress::Full`]: poll (and [`Feed::take_passed`]), then call
    /// [`Feed::resume`].
    ///
    /// # Errors
    /// Those of [`Engine::push`], such as text after the end, and a header of CSV that lacks a column. After
    /// [`Error::LimitReached`] the event is dropped and counted, and [`Feed::resume`] goes on behind it.
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
        let progress = self.read_on(engine, end, &mut read);
        self.text.drain(..read);
        progress
    }

    /// Reads and pushes the text from `read` on, which it moves.
    fn read_on(
        &mut self,
        engine: &mut Engine,
        end: bool,
        read: &mut usize,
    ) -> Result<Progress, Error> {
        loop {
            if self.push_events(engine)? == Progress::Full || self.is_full_of_passed() {
                return Ok(Progress::Full);
            }
            let start = *read;
            let rest = self.text.get(start..).unwrap_or_default();
            let taken = self.reader.read(rest, end, BATCH_EVENTS, &mut self.events)?;
            *read += taken;
            self.next = 0;
            self.note(engine)?;
            self.push_passing(engine, start)?;
            if taken == 0 && self.events.is_empty() {
                return Ok(Progress::Done);
            }
        }
    }

    /// Goes on behind what a push that a limit has ended did not take: nobody else has the event.
    fn skip_refused(&mut self, engine: &mut Engine, error: Error) -> Error {
        let Error::LimitReached(stop) = error else { return error };
        self.next += stop.consumed;
        if !stop.dropped {
            self.next += 1;
            engine.count_rejected(stop.reason());
        }
        Error::LimitReached(LimitReached { consumed: 0, dropped: true, ..stop })
    }

    fn is_full_of_passed(&self) -> bool {
        self.passed.as_ref().is_some_and(|passed| passed.events >= passed.most)
    }

    /// Where the pipeline passes events: pushes those that were read from the text at `start`, and keeps what passes.
    fn push_passing(&mut self, engine: &mut Engine, start: usize) -> Result<(), Error> {
        let Some(mut passed) = self.passed.take() else { return Ok(()) };
        if let (false, Some(header)) = (passed.has_begun, self.reader.header()) {
            passed.has_begun = true;
            passed.writer.begin(header, &mut passed.text);
        }
        let first = engine.next_ordinal();
        let pushed = loop {
            let progress = self.push_events(engine);
            let text = self.text.get(start..).unwrap_or_default();
            while let Some(rows) = engine.poll(BATCH_EVENTS) {
                for ordinal in rows.ranks {
                    let place = ordinal.checked_sub(first).and_then(|at| usize::try_from(at).ok());
                    let span = place.and_then(|place| self.events.spans().get(place));
                    if let Some(span) = span {
                        passed.writer.write(span.of(text), &mut passed.text);
                        passed.events += 1;
                    }
                }
            }
            if !matches!(progress, Ok(Progress::Full)) {
                break progress;
            }
        };
        self.passed = Some(passed);
        pushed.map(drop)
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
            let identities = self.events.identities().iter();
            let identities: Vec<_> =
                identities.map(|way| way.get(self.next..).unwrap_or_default()).collect();
            let pushed = engine.push(&Batch {
                timestamps: self.events.timestamps().get(self.next..).unwrap_or_default(),
                keys: if self.keyed { KeyColumn::Ids(ids) } else { KeyColumn::Unkeyed },
                columns: &columns,
                identities: &identities,
                ordinals: None,
                watermarks: None,
                partitions: self
                    .partitioned
                    .then(|| self.events.partitions().get(self.next..).unwrap_or_default()),
            });
            let pushed = match pushed {
                Ok(pushed) => pushed,
                Err(error) => return Err(self.skip_refused(engine, error)),
            };
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
    fn events_that_pass_keep_their_text() {
        let filter = |format: &str, rows: u32| {
            PipelineSpec::from_json(&format!(
                r#"{{"source": {{"value": "v", "format": "{format}"}}, "limits": {{"max_result_rows": {rows}}},
                "stages": [{{"type": "filter", "where": [{{"field": "v", "op": ">", "value": 1}}]}}]}}"#
            ))
            .unwrap()
        };
        let fed = |format: &str, rows: u32, text: &str, piece: usize| {
            let spec = filter(format, rows);
            let mut engine = Engine::open(&spec, Options::default()).unwrap();
            let mut feed = Feed::new(&spec, engine.plan(), 0);
            let (mut out, mut count) = (Vec::new(), 0);
            let mut take = |feed: &mut Feed| {
                let (text, events) = feed.take_passed();
                out.extend(text);
                count += events;
            };
            for piece in text.as_bytes().chunks(piece) {
                let mut progress = feed.push(&mut engine, piece).unwrap();
                while progress == Progress::Full {
                    take(&mut feed);
                    progress = feed.resume(&mut engine).unwrap();
                }
            }
            while feed.end(&mut engine).unwrap() == Progress::Full {
                take(&mut feed);
            }
            take(&mut feed);
            (String::from_utf8(out).unwrap(), count)
        };
        let text =
            "{\"ts\":1, \"v\":2, \"more\":[ 1.0 ]}\n{\"ts\":2,\"v\":1}\nno\n{\"ts\":3,\"v\":1e1}";
        let due = "{\"ts\":1, \"v\":2, \"more\":[ 1.0 ]}\n{\"ts\":3,\"v\":1e1}\n";
        for (rows, piece) in [(100, 1_000), (1, 1_000), (1, 3), (2, 40)] {
            assert_eq!(fed("ndjson", rows, text, piece), (due.to_owned(), 2), "{rows} {piece}");
        }
        let csv = "ts,v,w\n1,2,x\n2,1,y\n3,10,\n";
        let due = "{\"ts\":1,\"v\":2,\"w\":\"x\"}\n{\"ts\":3,\"v\":10,\"w\":null}\n";
        assert_eq!(fed("csv", 1, csv, 2), (due.to_owned(), 2));
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
