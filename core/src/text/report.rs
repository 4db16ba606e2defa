//! Reports of the lines of a feed that gave no row: rejected by the reader, or dropped later.

use serde::Serialize;

use super::{EventBuffer, Rejection};
use crate::spec::Stage;
use crate::{Dropped, InputSchema, LimitReached, PipelineSpec, RejectReason};

/// A line that the reader rejected.
/// ```
/// use stream_processor_core::{Engine, Options, PipelineSpec, text::Feed};
/// let spec = PipelineSpec::from_json(r#"{"source": {"value": "v"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["sum"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options::default())?;
/// let mut feed = Feed::new(&spec, engine.plan(), 0);
/// feed.report_lines(&spec, engine.plan());
/// feed.push(&mut engine, b"{\"ts\": 1, \"v\": 2}\n{\"ts\": 2}\n")?;
/// let rejected = &feed.take_rejected()[0];
/// assert_eq!((rejected.line, rejected.text.as_str()), (2, "{\"ts\": 2}"));
/// assert_eq!(rejected.message, "field \"v\": expected a number, found no field of this name");
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RejectedLine {
    /// The number of the line; 1 for the first.
    pub line: u64,
    /// The reason.
    pub reason: RejectReason,
    /// The field that caused the rejection, if any.
    pub field: Option<String>,
    /// The error: the field, what is expected there, and what was found.
    pub message: String,
    /// The line without its end. Bytes that are not UTF-8 are replaced. Of a line that was read in
    /// parts because it is too long, only the first part.
    pub text: String,
}

/// An event that the engine dropped, with its line if the feed pushed it.
/// ```
/// use stream_processor_core::{Engine, Options, PipelineSpec, RejectReason, text::Feed};
/// let spec = PipelineSpec::from_json(r#"{"source": {"value": "v"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["sum"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options { report_drops: true, ..Options::default() })?;
/// let mut feed = Feed::new(&spec, engine.plan(), 0);
/// feed.report_lines(&spec, engine.plan());
/// feed.push(&mut engine, b"{\"ts\": 2000, \"v\": 1}\n{\"ts\": 1, \"v\": 2}\n")?;
/// let dropped = &feed.take_dropped(&mut engine)[0];
/// assert_eq!((dropped.reason, dropped.line), (RejectReason::Late, Some(2)));
/// assert_eq!(dropped.text.as_deref(), Some("{\"ts\": 1, \"v\": 2}"));
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DroppedEvent {
    /// The reason.
    pub reason: RejectReason,
    /// The index of the stage that dropped it; `None` if it reached no stage.
    pub stage: Option<u32>,
    /// The ordinal of the event in the stream; `None` for a row of an earlier stage, and for an
    /// event that a limit refused.
    pub ordinal: Option<u64>,
    /// The watermark in effect when the event arrived, microseconds.
    pub watermark: i64,
    /// The end of the window that it was too late for, microseconds.
    pub window_end: Option<i64>,
    /// The number of its line; `None` if it is not among the lines of the feed's last batch.
    pub line: Option<u64>,
    /// Its line without the line end.
    pub text: Option<String>,
}

/// Collects reports about the lines of a feed.
pub(super) struct Report {
    schema: InputSchema,
    /// The first stage that emits rows. Later stages drop rows, which belong to no line.
    row_stage: Option<usize>,
    /// The text of the current batch, and the ordinal of its first event.
    text: Vec<u8>,
    first_ordinal: u64,
    /// The number of events of the batch that a limit refused so far.
    refused: u64,
    rejected: Vec<RejectedLine>,
    dropped: Vec<DroppedEvent>,
}

impl Report {
    pub(super) fn new(spec: &PipelineSpec, schema: &InputSchema) -> Self {
        Self {
            schema: schema.clone(),
            row_stage: spec.stages.iter().position(Stage::emits_rows),
            text: Vec::new(),
            first_ordinal: 0,
            refused: 0,
            rejected: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// Begins the batch that was read from `text` and reports its rejected lines. The events
    /// will get ordinals from `first_ordinal` on.
    pub(super) fn begin_batch(&mut self, text: &[u8], events: &EventBuffer, first_ordinal: u64) {
        self.text.clear();
        self.text.extend_from_slice(text);
        self.first_ordinal = first_ordinal;
        self.refused = 0;
        let Self { schema, text, rejected, .. } = self;
        let first_parts = events.rejections().iter().filter(|part| !part.continuation);
        rejected.extend(first_parts.map(|rejection| rejected_line(rejection, schema, text)));
    }

    /// Reports events that the engine dropped; `events` is the current batch.
    pub(super) fn add_dropped(&mut self, dropped: &[Dropped], events: &EventBuffer) {
        for dropped in dropped {
            let is_row = dropped
                .stage
                .zip(self.row_stage)
                .is_some_and(|(stage, row_stage)| stage as usize > row_stage);
            let ordinal = Some(dropped.ordinal).filter(|_| !is_row);
            let index = ordinal.and_then(|ordinal| ordinal.checked_sub(self.first_ordinal));
            let index = index.map(|index| index.saturating_add(self.refused));
            let index = index.and_then(|index| usize::try_from(index).ok());
            self.add(dropped, ordinal, index, events);
        }
    }

    /// Reports the event at `index` that a limit refused and that the feed skips: the engine gives
    /// it no ordinal.
    pub(super) fn add_refused(
        &mut self,
        stop: &LimitReached,
        watermark: i64,
        index: usize,
        events: &EventBuffer,
    ) {
        let (reason, stage) = (stop.reason(), Some(stop.stage));
        let dropped = Dropped { ordinal: stop.ordinal, reason, stage, watermark, window_end: None };
        self.add(&dropped, None, Some(index), events);
        self.refused += 1;
    }

    fn add(
        &mut self,
        dropped: &Dropped,
        ordinal: Option<u64>,
        index: Option<usize>,
        events: &EventBuffer,
    ) {
        let span = index.and_then(|index| events.spans().get(index));
        self.dropped.push(DroppedEvent {
            reason: dropped.reason,
            stage: dropped.stage,
            ordinal,
            watermark: dropped.watermark,
            window_end: dropped.window_end,
            line: index.and_then(|index| events.lines().get(index).copied()),
            text: span.map(|span| lossy(span.of(&self.text))),
        });
    }

    pub(super) fn take_rejected(&mut self) -> Vec<RejectedLine> {
        core::mem::take(&mut self.rejected)
    }

    pub(super) fn take_dropped(&mut self) -> Vec<DroppedEvent> {
        core::mem::take(&mut self.dropped)
    }
}

fn rejected_line(rejection: &Rejection, schema: &InputSchema, text: &[u8]) -> RejectedLine {
    RejectedLine {
        line: rejection.line,
        reason: rejection.reason,
        field: rejection.field.map(|role| role.name(schema).to_owned()),
        message: rejection.detail(schema, text).to_string(),
        text: lossy(rejection.span.of(text)),
    }
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
