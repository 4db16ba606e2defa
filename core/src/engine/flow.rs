//! How events move through the stages, and how everything stops and goes on when the result buffer is full.

use super::{Engine, Progress};
use crate::frame::{Events, Frame};
use crate::stages::{Context, Stage};

impl Engine {
    /// Sends `events` through all stages; what cannot go on is kept. The engine must not be holding anything yet.
    pub(super) fn flow(&mut self, events: &Events<'_>) -> Progress {
        let mut cursor = 0;
        let mut context =
            Context { keys: &mut self.keys, drops: &mut self.drops, now: self.source.time.now() };
        if drive(&mut self.stages, &mut self.links, events, &mut cursor, &mut context) {
            return Progress::Done;
        }
        self.pending = Some(Frame::rest_of(events, cursor, &mut self.keys));
        Progress::Full
    }

    /// Goes on with whatever was held when the result buffer filled up.
    pub(super) fn resume(&mut self) -> Progress {
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
            };
            if !drain(stages, later, link, &mut context) {
                return Progress::Full;
            }
        }
        let Some(mut pending) = self.pending.take() else { return Progress::Done };
        let mut context =
            Context { keys: &mut self.keys, drops: &mut self.drops, now: self.source.time.now() };
        let views = pending.views();
        let mut cursor = pending.cursor;
        let events = pending.events(&views);
        let done = drive(&mut self.stages, &mut self.links, &events, &mut cursor, &mut context);
        drop(views);
        if done {
            pending.clear(&mut self.keys);
            return Progress::Done;
        }
        pending.cursor = cursor;
        self.pending = Some(pending);
        Progress::Full
    }

    /// Moves the watermark of the stream, once nothing is held any more.
    pub(super) fn move_to(&mut self, watermark: i64) -> Progress {
        if self.resume() == Progress::Full {
            return Progress::Full;
        }
        self.source.advance(watermark);
        self.flow(&Events::none(self.source.watermark()))
    }
}

/// Runs `events` through the first of `stages` and all that it makes through the others; false: the result buffer is full.
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
        if !later.is_empty() && !drain(later, links, link, context) {
            return false;
        }
        if done {
            return true;
        }
        if later.is_empty() {
            return false;
        }
    }
}

/// Runs what waits in `link` through `stages`; false: the result buffer is full.
fn drain(
    stages: &mut [Box<dyn Stage>],
    links: &mut [Frame],
    link: &mut Frame,
    context: &mut Context<'_>,
) -> bool {
    let views = link.views();
    let mut cursor = link.cursor;
    let done = drive(stages, links, &link.events(&views), &mut cursor, context);
    drop(views);
    link.cursor = cursor;
    if done {
        link.clear(context.keys);
    }
    done
}
