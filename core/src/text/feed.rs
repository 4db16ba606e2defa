//! Feeds text to an engine, in pieces of any size.

use super::report::Report;
use super::{
    DroppedEvent, EventBuffer, EventWriter, Format, NewKeys, Reader, ReaderOptions, RejectedLine,
};
use crate::{
    Batch, Column, Engine, Error, KeyColumn, KeyDefinitions, LimitReached, PipelineSpec, Plan,
    Progress,
};

/// Number of events read before they are pushed: their columns then stay in the processor's caches.
const BATCH_EVENTS: usize = 8_192;

/// Reads text in the format of the pipeline's source and pushes its events. It buffers incomplete
/// lines, and events for which the engine had no room. Rejected lines are counted in the engine's
/// [`crate::Stats`].
///
/// The feed uses the ids of keys and partitions below
/// [`Limits::dictionary_keys`](crate::spec::Limits::dictionary_keys). A caller that also defines some must use others.
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
    /// Text that is not yet read.
    text: Vec<u8>,
    events: EventBuffer,
    /// Index of the first event that is not yet pushed.
    next: usize,
    /// True if the engine was full after the last push: events that it took may wait in it.
    is_paused: bool,
    /// The bound of the ids of keys and partitions.
    id_bound: u32,
    /// Events that have passed, if the pipeline passes events.
    passed: Option<PassedEvents>,
    /// Reports of rejected and dropped lines, if [`Feed::report_lines`] was called.
    report: Option<Report>,
}

/// Events that have passed, as NDJSON.
struct PassedEvents {
    writer: EventWriter,
    has_begun: bool,
    text: Vec<u8>,
    events: usize,
    /// Maximum number of events that wait to be taken.
    max_events: usize,
}

impl Feed {
    /// Creates a feed for a new text. `table_seed` is as in [`crate::Options`].
    #[must_use]
    pub fn new(spec: &PipelineSpec, plan: &Plan, table_seed: u64) -> Self {
        let options = ReaderOptions { table_seed, ..ReaderOptions::of(spec) };
        let mut reader = Reader::new(&plan.input, options);
        reader.read_as_null(spec.source.null.0.iter().map(String::as_str));
        reader.filter_first(plan);
        Self {
            reader,
            keyed: !plan.input.key.is_empty(),
            partitioned: plan.input.partition.is_some(),
            text: Vec::new(),
            events: EventBuffer::new(),
            next: 0,
            is_paused: false,
            id_bound: plan.limits.dictionary_keys(),
            passed: plan.output.passes_events.then(|| PassedEvents {
                writer: EventWriter::new(spec.source.format, Format::Ndjson)
                    .delimited_by(spec.source.delimiter),
                has_begun: false,
                text: Vec::new(),
                events: 0,
                max_events: plan.limits.max_result_rows as usize,
            }),
            report: None,
        }
    }

    /// Starts to report rejected lines and dropped events, with their text. Must be called before
    /// any text is pushed. Dropped events are those of an engine opened with
    /// [`crate::Options::report_drops`].
    pub fn report_lines(&mut self, spec: &PipelineSpec, plan: &Plan) {
        self.report = Some(Report::new(spec, &plan.input));
    }

    /// Removes and returns the lines that were rejected, if they are reported.
    pub fn take_rejected(&mut self) -> Vec<RejectedLine> {
        self.report.as_mut().map(Report::take_rejected).unwrap_or_default()
    }

    /// Removes and returns the events that `engine` dropped, if they are reported.
    pub fn take_dropped(&mut self, engine: &mut Engine) -> Vec<DroppedEvent> {
        self.report_dropped(engine);
        self.report.as_mut().map(Report::take_dropped).unwrap_or_default()
    }

    /// Moves the dropped events of `engine` to the report.
    fn report_dropped(&mut self, engine: &mut Engine) {
        if let Some(report) = &mut self.report {
            report.add_dropped(&engine.drops(usize::MAX), &self.events);
        }
    }

    /// Returns the events that have passed since the last call, as NDJSON, and their number. They
    /// are not among the engine's rows. Applies to pipelines that pass events
    /// ([`crate::OutputSchema::passes_events`]).
    pub fn take_passed(&mut self) -> (Vec<u8>, usize) {
        let taken = |passed: &mut PassedEvents| {
            (core::mem::take(&mut passed.text), core::mem::take(&mut passed.events))
        };
        self.passed.as_mut().map(taken).unwrap_or_default()
    }

    /// Returns true if all text was read and all events were pushed, so that a snapshot of the
    /// engine is complete.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.next == self.events.len()
    }

    /// Takes the next piece of text, always as a whole. After [`Progress::Full`], poll (and call
    /// [`Feed::take_passed`]), then call [`Feed::resume`].
    ///
    /// # Errors
    /// As [`Engine::push`], for example for text after the end. Also for a CSV header that lacks a
    /// column. After [`Error::LimitReached`] the event is dropped and counted, and [`Feed::resume`]
    /// continues after it.
    pub fn push(&mut self, engine: &mut Engine, piece: &[u8]) -> Result<Progress, Error> {
        self.text.extend_from_slice(piece);
        self.process_buffered(engine, false)
    }

    /// Continues after [`Progress::Full`].
    ///
    /// # Errors
    /// As [`Feed::push`].
    pub fn resume(&mut self, engine: &mut Engine) -> Result<Progress, Error> {
        self.process_buffered(engine, false)
    }

    /// Ends the text, so that a last line without a line feed counts. After [`Progress::Full`],
    /// poll and call it again.
    ///
    /// # Errors
    /// As [`Feed::push`].
    pub fn end(&mut self, engine: &mut Engine) -> Result<Progress, Error> {
        self.process_buffered(engine, true)
    }

    fn process_buffered(&mut self, engine: &mut Engine, end: bool) -> Result<Progress, Error> {
        let mut read = 0;
        let progress = self.read_and_push(engine, end, &mut read);
        self.text.drain(..read);
        progress
    }

    /// Reads and pushes the text from `read` on, and advances `read`.
    fn read_and_push(
        &mut self,
        engine: &mut Engine,
        end: bool,
        read: &mut usize,
    ) -> Result<Progress, Error> {
        loop {
            if self.push_events(engine)? == Progress::Full || self.passed_buffer_is_full() {
                return Ok(Progress::Full);
            }
            let start = *read;
            let rest = self.text.get(start..).unwrap_or_default();
            let taken = self.reader.read(rest, end, BATCH_EVENTS, &mut self.events)?;
            *read += taken;
            self.next = 0;
            if let Some(report) = &mut self.report {
                let text = self.text.get(start..start + taken).unwrap_or_default();
                report.begin_batch(text, &self.events, engine.next_ordinal());
            }
            self.report_new_ids_and_rejections(engine)?;
            self.push_passing(engine, start)?;
            if taken == 0 && self.events.is_empty() {
                return Ok(Progress::Done);
            }
        }
    }

    /// Skips the event that a push refused because of a limit, and counts it: the feed has its only
    /// copy.
    fn skip_refused(&mut self, engine: &mut Engine, error: Error) -> Error {
        let Error::LimitReached(stop) = error else { return error };
        self.next += stop.consumed;
        if !stop.dropped {
            engine.count_rejected(stop.reason());
            if let Some(report) = &mut self.report {
                report.add_refused(&stop, engine.watermark(), self.next, &self.events);
            }
            self.next += 1;
        }
        Error::LimitReached(LimitReached { consumed: 0, dropped: true, ..stop })
    }

    fn passed_buffer_is_full(&self) -> bool {
        self.passed.as_ref().is_some_and(|passed| passed.events >= passed.max_events)
    }

    /// Pushes the events that were read from the text at `start`, and keeps those that pass. For
    /// pipelines that pass events.
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

    /// Counts rejected lines and defines new keys in the engine.
    fn report_new_ids_and_rejections(&mut self, engine: &mut Engine) -> Result<(), Error> {
        for rejection in self.events.rejections().iter().filter(|part| !part.continuation) {
            engine.count_rejected(rejection.reason);
        }
        if self.events.reset() {
            engine.undefine_keys(0..self.id_bound);
            engine.undefine_partitions(0..self.id_bound);
        }
        let NewKeys { ids, offsets, bytes } = self.events.new_partitions();
        if !ids.is_empty() {
            let definitions = KeyDefinitions { reset: false, ids, offsets, bytes };
            engine.define_partitions(&definitions, false)?;
        }
        let NewKeys { ids, offsets, bytes } = self.events.new_keys();
        if ids.is_empty() {
            return Ok(());
        }
        engine.define_keys(&KeyDefinitions { reset: false, ids, offsets, bytes })
    }

    /// Pushes the events that were read, and continues with those that wait in the engine.
    fn push_events(&mut self, engine: &mut Engine) -> Result<Progress, Error> {
        while self.next < self.events.len() || self.is_paused {
            let columns = self.events.columns().iter();
            let columns: Vec<_> = columns
                .map(|column| Column::F64(column.get(self.next..).unwrap_or_default()))
                .collect();
            let ids = self.events.keys().get(self.next..).unwrap_or_default();
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
            self.report_dropped(engine);
            let pushed = match pushed {
                Ok(pushed) => pushed,
                Err(error) => return Err(self.skip_refused(engine, error)),
            };
            self.next += pushed.consumed;
            self.is_paused = pushed.full;
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

    /// Returns the rows and counters of `text`, feed_in_pieces in pieces of `piece` bytes.
    fn feed_in_pieces(text: &str, piece: usize) -> (String, String) {
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
    fn passed_events_keep_their_text() {
        let filter = |format: &str, rows: u32| {
            PipelineSpec::from_json(&format!(
                r#"{{"source": {{"value": "v", "format": "{format}"}}, "limits": {{"max_result_rows": {rows}}},
                "stages": [{{"type": "filter", "where": [{{"field": "v", "op": ">", "value": 1}}]}}]}}"#
            ))
            .unwrap()
        };
        let feed_in_pieces = |format: &str, rows: u32, text: &str, piece: usize| {
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
            assert_eq!(
                feed_in_pieces("ndjson", rows, text, piece),
                (due.to_owned(), 2),
                "{rows} {piece}"
            );
        }
        let many: String = (0..9).map(|ts| format!("{{\"ts\":{ts},\"v\":2}}\n")).collect();
        for (rows, piece) in [(1, 1_000), (2, 1_000), (2, 30)] {
            assert_eq!(feed_in_pieces("ndjson", rows, &many, piece), (many.clone(), 9), "{rows}");
        }
        let csv = "ts,v,w\n1,2,x\n2,1,y\n3,10,\n";
        let due = "{\"ts\":1,\"v\":2,\"w\":\"x\"}\n{\"ts\":3,\"v\":10,\"w\":null}\n";
        assert_eq!(feed_in_pieces("csv", 1, csv, 2), (due.to_owned(), 2));
    }

    #[test]
    fn piece_size_full_buffer_and_small_dictionary_do_not_change_results() {
        let line = |n: u32| format!("{{\"ts\":{},\"k\":\"k{}\",\"v\":{n}}}\n", n * 100, n % 7);
        let mut text: String = (0..200).map(line).collect();
        text.insert_str(line(0).len(), "nonsense\n{\"ts\": true}\n");
        text.pop();
        let whole = feed_in_pieces(&text, usize::MAX);
        assert!(whole.1.contains(r#""events":200,"rejected":2"#), "{}", whole.1);
        for piece in [1, 7, 64, 1_000] {
            assert_eq!(feed_in_pieces(&text, piece), whole, "{piece}");
        }
    }
}
