//! The path of events through the stages: pauses at a full result buffer or a refused event, and
//! resumes there.

use super::{Engine, Progress};
use crate::data::frame::{Events, Frame};
use crate::error::{Error, LimitReached};
use crate::plan::Limit;
use crate::stages::{Context, Refusal, Stage};

/// The result of processing events where a call may end before each of them.
pub(super) enum ChunkOutcome {
    Done,
    /// The number of events taken, and the refusal; without one, the result buffer is full or the
    /// work of the call is spent.
    Stopped(usize, Option<Refusal>),
}

impl Engine {
    /// Sends `events` through all stages and stores those that cannot be processed yet. No events
    /// may be pending.
    ///
    /// # Errors
    /// [`Error::LimitReached`]: an event was refused, and dropped.
    pub(super) fn flow(&mut self, events: &Events<'_>) -> Result<Progress, Error> {
        let mut cursor = 0;
        let (flow, refusal) = self.drive_all(events, &mut cursor, false);
        if flow == Flow::Complete {
            return Ok(Progress::Done);
        }
        self.pending = Some(Frame::copy_remaining(events, cursor, &mut self.keys));
        self.refused_or_full(refusal)
    }

    /// Sends `events` through all stages as far as possible. Does not store the remaining ones.
    pub(super) fn flow_without_storing(&mut self, events: &Events<'_>) -> ChunkOutcome {
        let mut cursor = 0;
        match self.drive_all(events, &mut cursor, true) {
            (Flow::Complete, _) => ChunkOutcome::Done,
            (Flow::Paused, refusal) => ChunkOutcome::Stopped(cursor, refusal),
        }
    }

    fn drive_all(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        may_stop: bool,
    ) -> (Flow, Option<Refusal>) {
        let now = self.source.time.now();
        let Self { stages, stage_outputs, keys, drops, work, .. } = self;
        let mut context = Context { keys, drops, now, work, may_stop, refusal: None };
        let flow = drive(stages, stage_outputs, events, cursor, &mut context);
        (flow, context.refusal)
    }

    /// Returns the result of a call that has not processed everything.
    fn refused_or_full(&mut self, refusal: Option<Refusal>) -> Result<Progress, Error> {
        match refusal {
            Some(refusal) => Err(self.refused(refusal, 0)),
            None => Ok(Progress::Full),
        }
    }

    /// Counts a call that ends with `refusal` after `consumed` events, and returns its error.
    pub(super) fn refused(&mut self, refusal: Refusal, consumed: usize) -> Error {
        let Refusal { limit, stage, ordinal, dropped } = refusal;
        if let Some(times) = self.refusals.get_mut(limit as usize) {
            *times += 1;
        }
        let limits = &self.plan.limits;
        let value = match limit {
            Limit::Keys => limits.max_keys.into(),
            Limit::Windows => limits.max_windows_per_key.into(),
            Limit::Bytes => limits.max_state_bytes.unwrap_or(u64::MAX),
        };
        let limit = limit.name();
        Error::LimitReached(LimitReached { limit, value, stage, ordinal, consumed, dropped })
    }

    /// Continues with everything that waits since the result buffer was full or a limit ended a
    /// call.
    ///
    /// # Errors
    /// As for [`Engine::flow`].
    pub(super) fn resume(&mut self) -> Result<Progress, Error> {
        self.discard_polled();
        for earlier in (0..self.stage_outputs.len().saturating_sub(1)).rev() {
            let Some((filled, later)) = self.stage_outputs.split_at_mut_checked(earlier + 1) else {
                continue;
            };
            let (Some(output), Some(stages)) =
                (filled.last_mut(), self.stages.get_mut(earlier + 1..))
            else {
                continue;
            };
            let mut context = Context {
                keys: &mut self.keys,
                drops: &mut self.drops,
                now: self.source.time.now(),
                work: &mut self.work,
                may_stop: false,
                refusal: None,
            };
            if drain(stages, later, output, &mut context) == Flow::Paused {
                let refusal = context.refusal;
                return self.refused_or_full(refusal);
            }
        }
        let Some(mut pending) = self.pending.take() else { return Ok(Progress::Done) };
        let views = pending.views();
        let mut cursor = pending.cursor;
        let events = pending.events(&views);
        let (flow, refusal) = self.drive_all(&events, &mut cursor, false);
        drop(views);
        if flow == Flow::Complete {
            pending.clear(&mut self.keys);
            return Ok(Progress::Done);
        }
        pending.cursor = cursor;
        self.pending = Some(pending);
        self.refused_or_full(refusal)
    }

    /// Moves the stream's watermark, once nothing is pending.
    pub(super) fn move_to(&mut self, watermark: i64) -> Result<Progress, Error> {
        if self.resume()? == Progress::Full {
            return Ok(Progress::Full);
        }
        self.source.advance(watermark);
        self.flow(&Events::none(self.source.watermark()))
    }
}

/// Says whether stages have processed all of their input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Complete,
    /// The result buffer is full, the work of the call is spent, or the call ends here.
    Paused,
}

/// Runs `events` through the first of `stages` and its output through the others.
fn drive(
    stages: &mut [Box<dyn Stage>],
    stage_outputs: &mut [Frame],
    events: &Events<'_>,
    cursor: &mut usize,
    context: &mut Context<'_>,
) -> Flow {
    let (Some((stage, later)), Some((output, stage_outputs))) =
        (stages.split_first_mut(), stage_outputs.split_first_mut())
    else {
        return Flow::Complete;
    };
    loop {
        let (from, rows) = (*cursor, output.len());
        let done = stage.process(events, cursor, context, output);
        let taken = cursor.saturating_sub(from) as u64;
        let emitted = output.len().saturating_sub(rows) as u64;
        context.work.spend(taken.saturating_mul(stage.event_work()).saturating_add(emitted));
        let is_refused = context.refusal.is_some();
        if !later.is_empty() && drain(later, stage_outputs, output, context) == Flow::Paused {
            return Flow::Paused;
        }
        if done {
            return Flow::Complete;
        }
        if later.is_empty() || is_refused || context.work.is_spent() {
            return Flow::Paused;
        }
    }
}

/// Runs the rows of `output`, which the stage before filled, through `stages`.
fn drain(
    stages: &mut [Box<dyn Stage>],
    stage_outputs: &mut [Frame],
    output: &mut Frame,
    context: &mut Context<'_>,
) -> Flow {
    let views = output.views();
    let mut cursor = output.cursor;
    let may_stop = core::mem::replace(&mut context.may_stop, false);
    let flow = drive(stages, stage_outputs, &output.events(&views), &mut cursor, context);
    context.may_stop = may_stop;
    drop(views);
    output.cursor = cursor;
    if flow == Flow::Complete {
        output.clear(context.keys);
    }
    flow
}
