//! How events move through the stages, and how everything stops and goes on: when the result buffer is full, and where a
//! limit refuses an event.

use super::{Engine, Progress};
use crate::data::frame::{Events, Frame};
use crate::error::{Error, LimitReached};
use crate::plan::Limit;
use crate::stages::{Context, Refusal, Stage};

/// How far events of a call have come that may end before each of them.
pub(super) enum Run {
    Done,
    /// So many are taken. The result buffer is full, or the call ends here.
    Stopped(usize, Option<Refusal>),
}

impl Engine {
    /// Sends `events` through all stages; what cannot go on is kept. The engine must not be holding anything yet.
    ///
    /// # Errors
    /// [`Error::LimitReached`]: an event was refused, and dropped.
    pub(super) fn flow(&mut self, events: &Events<'_>) -> Result<Progress, Error> {
        let mut cursor = 0;
        let (done, refusal) = self.drive_all(events, &mut cursor, false);
        if done {
            return Ok(Progress::Done);
        }
        self.pending = Some(Frame::rest_of(events, cursor, &mut self.keys));
        self.outcome(refusal)
    }

    /// Sends `events` through all stages, as far as they can go on; the rest is not kept.
    pub(super) fn run(&mut self, events: &Events<'_>) -> Run {
        let mut cursor = 0;
        match self.drive_all(events, &mut cursor, true) {
            (true, _) => Run::Done,
            (false, refusal) => Run::Stopped(cursor, refusal),
        }
    }

    fn drive_all(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        may_stop: bool,
    ) -> (bool, Option<Refusal>) {
        let now = self.source.time.now();
        let Self { stages, links, keys, drops, .. } = self;
        let mut context = Context { keys, drops, now, may_stop, refusal: None };
        let done = drive(stages, links, events, cursor, &mut context);
        (done, context.refusal)
    }

    /// What is to be said where not everything went on.
    fn outcome(&mut self, refusal: Option<Refusal>) -> Result<Progress, Error> {
        match refusal {
            Some(refusal) => Err(self.refused(refusal, 0)),
            None => Ok(Progress::Full),
        }
    }

    /// Counts a call that ends with `refusal`, when it has taken `consumed` events, and says so.
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

    /// Goes on with whatever was held when the result buffer filled up, or where a limit ended a call.
    ///
    /// # Errors
    /// As [`Engine::flow`].
    pub(super) fn resume(&mut self) -> Result<Progress, Error> {
        self.forget_polled();
        for earlier in (0..self.links.len().saturating_sub(1)).rev() {
            let Some((filled, later)) = self.links.split_at_mut_checked(earlier + 1) else {
                continue;
            };
            let (Some(link), Some(stages)) =
                (filled.last_mut(), self.stages.get_mut(earlier + 1..))
            else {
                continue;
            };
            let mut context = Context {
                keys: &mut self.keys,
                drops: &mut self.drops,
                now: self.source.time.now(),
                may_stop: false,
                refusal: None,
            };
            if !drain(stages, later, link, &mut context) {
                let refusal = context.refusal;
                return self.outcome(refusal);
            }
        }
        let Some(mut pending) = self.pending.take() else { return Ok(Progress::Done) };
        let views = pending.views();
        let mut cursor = pending.cursor;
        let events = pending.events(&views);
        let (done, refusal) = self.drive_all(&events, &mut cursor, false);
        drop(views);
        if done {
            pending.clear(&mut self.keys);
            return Ok(Progress::Done);
        }
        pending.cursor = cursor;
        self.pending = Some(pending);
        self.outcome(refusal)
    }

    /// Moves the watermark of the stream, once nothing is held any more.
    pub(super) fn move_to(&mut self, watermark: i64) -> Result<Progress, Error> {
        if self.resume()? == Progress::Full {
            return Ok(Progress::Full);
        }
        self.source.advance(watermark);
        self.flow(&Events::none(self.source.watermark()))
    }
}

/// Runs `events` through the first of `stages` and all that it makes through the others; false: the result buffer is full,
/// or the call ends.
fn drive(
    stages: &mut [Box<dyn Stage>],
    links: &mut [Frame],
    events: &Events<'_>,
    cursor: &mut usize,
    context: &mut Context<'_>,
) -> bool {
    let (Some((stage, later)), Some((link, links))) =
        (stages.split_first_mut(), links.split_first_mut())
    else {
        return true;
    };
    loop {
        let done = stage.process(events, cursor, context, link);
        let is_refused = context.refusal.is_some();
        if !later.is_empty() && !drain(later, links, link, context) {
            return false;
        }
        if done {
            return true;
        }
        if later.is_empty() || is_refused {
            return false;
        }
    }
}

/// Runs what waits in `link` through `stages`; false: the result buffer is full, or the call ends.
fn drain(
    stages: &mut [Box<dyn Stage>],
    links: &mut [Frame],
    link: &mut Frame,
    context: &mut Context<'_>,
) -> bool {
    let views = link.views();
    let mut cursor = link.cursor;
    let may_stop = core::mem::replace(&mut context.may_stop, false);
    let done = drive(stages, links, &link.events(&views), &mut cursor, context);
    context.may_stop = may_stop;
    drop(views);
    link.cursor = cursor;
    if done {
        link.clear(context.keys);
    }
    done
}
