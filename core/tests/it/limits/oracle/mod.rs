//! A simple model of the limits: one list holds the state of all keys, the key with the oldest last
//! event first. Every event searches that list.
//!
//! - [`run`] processes the events of one engine.
//! - `parts` adds the partial state of several engines to one.
//! - `setup` makes the pipelines and the streams.

pub mod parts;
pub mod setup;

use std::collections::BTreeMap;

use stream_processor_core::key;

use crate::common::events::{Cell, Event, number};

pub const SIZE: i64 = 10;
pub const BOUND: i64 = 5;
/// The bytes of a key in a window that has emitted a row and may emit another.
const EMITTED_BYTES: u64 = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    Drop,
    Evict,
    Refuse,
}

impl Policy {
    pub const ALL: [Self; 3] = [Self::Drop, Self::Evict, Self::Refuse];

    pub fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Evict => "evict",
            Self::Refuse => "refuse",
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub keys: (usize, Policy),
    pub windows: (usize, Policy),
    pub bytes: (Option<u64>, Policy),
}

/// The result of a stream.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    pub rows: Vec<(Vec<u8>, Vec<Cell>)>,
    /// Positions of the events before which a call stopped.
    pub refused: Vec<usize>,
    /// Events dropped by the limits of keys, of windows and of bytes.
    pub dropped: [u64; 3],
    pub late: u64,
    /// Evicted keys, windows, and events in windows that had not fired.
    pub evicted: [u64; 3],
    pub bytes: u64,
}

/// The kind of a window: when it opens and when it expires.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Tumbling and sliding windows. A slice is as long as the slide.
    Grid {
        slide: i64,
        lateness: i64,
    },
    Session {
        lateness: i64,
    },
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Window {
    end: i64,
    count: u64,
    /// The number of emitted rows of a tumbling window, or the next revision of a session.
    rows: u32,
    /// True if the row of the session is emitted.
    is_emitted: bool,
}

/// The input of one window of a key: an event, or the partial state of another engine.
struct WindowUpdate {
    key: String,
    start: i64,
    end: i64,
    count: u64,
    is_event: bool,
}

struct Model {
    kind: Kind,
    limits: Limits,
    /// The bytes that a window, and each of its values, counts for.
    window_bytes: u64,
    value_bytes: u64,
    keys: Vec<(String, BTreeMap<i64, Window>)>,
    watermark: i64,
    /// The watermark up to which windows have fired.
    fired: i64,
    /// The limit that refused the last refused update.
    refused_by: usize,
    out: Outcome,
}

/// A limit that leaves no room for an event.
#[derive(Clone, Copy)]
enum Limit {
    Keys,
    Windows,
    Bytes,
}

pub fn encoded(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    key::push_str(&mut bytes, name);
    bytes
}

/// Processes `events`, and continues behind each event that is refused.
pub fn run(kind: Kind, limits: Limits, bytes: (u64, u64), events: &[Event]) -> Outcome {
    let mut model = Model::new(kind, limits, bytes);
    for (place, event) in events.iter().enumerate() {
        model.fire();
        if model.process(&kind.update(event)) {
            model.watermark = model.watermark.max(event.ts * 1_000 - BOUND * 1_000 - 1);
        } else {
            model.out.refused.push(place);
        }
    }
    model.fire();
    model.out.bytes = model.bytes();
    model.watermark = i64::MAX;
    model.fire();
    model.out
}

impl Kind {
    fn update(self, event: &Event) -> WindowUpdate {
        let start = match self {
            Self::Grid { slide, .. } => event.ts.div_euclid(slide) * slide,
            Self::Session { .. } => event.ts,
        };
        WindowUpdate {
            key: event.key.clone(),
            start,
            end: event.ts + SIZE,
            count: 1,
            is_event: true,
        }
    }
}

impl Model {
    fn new(kind: Kind, limits: Limits, (window_bytes, value_bytes): (u64, u64)) -> Self {
        Self {
            kind,
            limits,
            window_bytes,
            value_bytes,
            keys: Vec::new(),
            watermark: i64::MIN,
            fired: i64::MIN,
            refused_by: 0,
            out: Outcome::default(),
        }
    }

    /// Returns true if the windows may have several rows, which are counted.
    fn numbers_rows(&self) -> bool {
        matches!(self.kind, Kind::Grid { lateness: 1.., .. })
    }

    fn exceeds(&self, bytes: u64) -> bool {
        self.limits.bytes.0.is_some_and(|most| bytes > most / 9 * 4)
    }

    fn bytes(&self) -> u64 {
        let of_key = |(key, windows): &(String, BTreeMap<i64, Window>)| {
            let of_window = |window: &Window| {
                let emitted =
                    if self.numbers_rows() && window.rows > 0 { EMITTED_BYTES } else { 0 };
                self.window_bytes + window.count * self.value_bytes + emitted
            };
            96 + encoded(key).len() as u64 + windows.values().map(of_window).sum::<u64>()
        };
        self.keys.iter().map(of_key).sum()
    }

    /// Returns true if the window that starts at `start` has expired.
    fn is_expired(&self, start: i64, window: &Window) -> bool {
        let expires_at = match self.kind {
            Kind::Grid { lateness, .. } => (start + SIZE + lateness) * 1_000 - 1,
            Kind::Session { lateness } => (window.end + lateness) * 1_000,
        };
        expires_at <= self.watermark
    }

    /// Returns true if the watermark has passed the end of the session.
    fn has_ended(&self, window: &Window) -> bool {
        window.end * 1_000 <= self.watermark
    }

    fn row(&mut self, key: &str, start: i64, end: i64, count: u64, more: &[Cell]) {
        let count = number(u32::try_from(count).unwrap().into());
        let mut cells = vec![Cell::Time(start * 1_000), Cell::Time(end * 1_000), count];
        cells.extend(more);
        self.out.rows.push((encoded(key), cells));
    }

    fn grid_row(&mut self, key: &str, start: i64, count: u64) {
        let revision = self.next_row(key, start).map(|revision| number(revision.into()));
        let more: Vec<Cell> = revision.into_iter().collect();
        self.row(key, start, start + SIZE, count, &more);
    }

    /// Emits the row of the session from `start` to `end`, or retracts it if it is emitted.
    fn session_row(&mut self, key: &str, start: i64, end: i64) {
        let (_, windows) = self.keys.iter_mut().find(|(known, _)| known == key).unwrap();
        let window = windows.get_mut(&start).unwrap();
        let (count, revision, is_emitted) = (window.count, window.rows, window.is_emitted);
        window.is_emitted = true;
        match self.kind {
            Kind::Session { lateness: 1.. } => {
                let more = [number(revision.into()), Cell::Bool(is_emitted)];
                self.row(key, start, end, count, &more);
            }
            _ => self.row(key, start, end, count, &[]),
        }
    }

    /// Fires all windows up to the watermark, and removes the expired ones.
    fn fire(&mut self) {
        let mut due = Vec::new();
        for (key, windows) in &self.keys {
            match self.kind {
                Kind::Session { .. } => {
                    let is_due = |window: &Window| !window.is_emitted && self.has_ended(window);
                    let over = windows.iter().filter(|(_, window)| is_due(window));
                    due.extend(over.map(|(start, w)| (w.end, *start, key.clone(), w.count)));
                }
                Kind::Grid { slide, .. } => {
                    let covers =
                        |slice: &i64| (slice - SIZE + slide..=*slice).step_by(slide as usize);
                    let mut starts: Vec<i64> = windows.keys().flat_map(covers).collect();
                    starts.sort_unstable();
                    starts.dedup();
                    for start in starts {
                        let last = (start + SIZE) * 1_000 - 1;
                        if last <= self.watermark && last > self.fired {
                            let count = windows.range(start..start + SIZE).map(|(_, w)| w.count);
                            due.push((start + SIZE, start, key.clone(), count.sum()));
                        }
                    }
                }
            }
        }
        due.sort();
        for (end, start, key, count) in due {
            match self.kind {
                Kind::Grid { .. } => self.grid_row(&key, start, count),
                Kind::Session { .. } => self.session_row(&key, start, end),
            }
        }
        self.fired = self.watermark;
        let mut keys = std::mem::take(&mut self.keys);
        for (_, windows) in &mut keys {
            windows.retain(|start, window| !self.is_expired(*start, window));
        }
        keys.retain(|(_, windows)| !windows.is_empty());
        self.keys = keys;
    }

    /// Returns the next revision of a tumbling window that may have several rows.
    fn next_row(&mut self, key: &str, start: i64) -> Option<u32> {
        if !self.numbers_rows() {
            return None;
        }
        let has_room = !self.exceeds(self.bytes() + EMITTED_BYTES);
        let (_, windows) = self.keys.iter_mut().find(|(known, _)| known == key)?;
        let window = windows.get_mut(&start)?;
        let revision = window.rows;
        if revision > 0 || has_room {
            window.rows += 1;
        }
        Some(revision)
    }

    /// Processes or drops `update`. Returns false if it is refused.
    fn process(&mut self, update: &WindowUpdate) -> bool {
        let WindowUpdate { start, end, .. } = *update;
        let mut overlapping = self.overlapping(update);
        let whole = Window { count: update.count, end, ..Window::default() };
        loop {
            if overlapping.is_empty() && self.is_expired(start, &whole) {
                self.out.late += update.count;
                return true;
            }
            let Some(limit) = self.limit(update, &overlapping) else { break };
            let policy =
                [self.limits.keys.1, self.limits.windows.1, self.limits.bytes.1][limit as usize];
            match policy {
                Policy::Evict if self.evict(limit, &update.key, start) => {
                    overlapping = self.overlapping(update);
                }
                Policy::Refuse => {
                    self.refused_by = limit as usize;
                    return false;
                }
                _ => {
                    self.out.dropped[limit as usize] += update.count;
                    return true;
                }
            }
        }
        self.retract_changed(update, &overlapping);
        let known = self.keys.iter().position(|(key, _)| *key == update.key);
        let mut windows = known.map(|place| self.keys.remove(place).1).unwrap_or_default();
        let (mut window, mut first) = (whole, start);
        for start in overlapping {
            let part = windows.remove(&start).unwrap();
            first = first.min(start);
            window.end = window.end.max(part.end);
            window.count += part.count;
            window.rows = window.rows.max(part.rows + u32::from(part.is_emitted));
        }
        let (end, count, has_ended) = (window.end, window.count, self.has_ended(&window));
        windows.insert(first, window);
        self.keys.push((update.key.clone(), windows));
        match self.kind {
            Kind::Grid { lateness: 1.., .. } if (start + SIZE) * 1_000 - 1 <= self.watermark => {
                self.grid_row(&update.key, start, count);
            }
            Kind::Session { lateness: 1.. } if has_ended => {
                self.session_row(&update.key, first, end);
            }
            _ => {}
        }
        true
    }

    /// Retracts the rows of the sessions that start at `overlapping` if `update` changes their
    /// bounds.
    fn retract_changed(&mut self, update: &WindowUpdate, overlapping: &[i64]) {
        let Kind::Session { .. } = self.kind else { return };
        for start in overlapping {
            let (_, windows) = self.keys.iter().find(|(known, _)| *known == update.key).unwrap();
            let Window { end, is_emitted, .. } = windows[start];
            let stays = overlapping.len() == 1 && *start <= update.start && update.end <= end;
            if is_emitted && !stays {
                self.session_row(&update.key, *start, end);
            }
        }
    }

    /// Returns the starts of the windows of its key that `update` belongs to.
    fn overlapping(&self, update: &WindowUpdate) -> Vec<i64> {
        let known = self.keys.iter().find(|(key, _)| *key == update.key);
        let windows = known.map(|(_, windows)| windows.iter());
        let belongs = |(begin, window): &(&i64, &Window)| match self.kind {
            Kind::Grid { .. } => **begin == update.start,
            Kind::Session { .. } => **begin <= update.end && update.start <= window.end,
        };
        windows.into_iter().flatten().filter(belongs).map(|(start, _)| *start).collect()
    }

    /// Returns the limit that leaves no room for `update`: for another window or, if the windows
    /// `overlapping` take an event, for its value.
    fn limit(&self, update: &WindowUpdate, overlapping: &[i64]) -> Option<Limit> {
        if !overlapping.is_empty() {
            let grows = update.is_event && self.value_bytes > 0;
            return (grows && self.exceeds(self.bytes())).then_some(Limit::Bytes);
        }
        let key = &update.key;
        let known = self.keys.iter().find(|(known, _)| known == key);
        if known.is_none() && self.keys.len() >= self.limits.keys.0 {
            return Some(Limit::Keys);
        }
        if known.is_some_and(|(_, windows)| windows.len() >= self.limits.windows.0) {
            return Some(Limit::Windows);
        }
        let of_key = if known.is_none() { 96 + encoded(key).len() as u64 } else { 0 };
        let needed = self.bytes() + of_key + self.window_bytes;
        self.exceeds(needed).then_some(Limit::Bytes)
    }

    /// Evicts the oldest key or window. Returns false if there is none.
    fn evict(&mut self, limit: Limit, key: &str, start: i64) -> bool {
        let evicted: Vec<(i64, Window)> = match limit {
            Limit::Windows => {
                let known = self.keys.iter_mut().find(|(known, _)| known == key);
                let windows = known.map(|(_, windows)| windows).unwrap();
                let first = windows.keys().next().copied().filter(|first| *first < start);
                first.map(|first| (first, windows.remove(&first).unwrap())).into_iter().collect()
            }
            _ if self.keys.is_empty() => Vec::new(),
            _ => {
                self.out.evicted[0] += 1;
                self.keys.remove(0).1.into_iter().collect()
            }
        };
        self.keys.retain(|(_, windows)| !windows.is_empty());
        self.out.evicted[1] += evicted.len() as u64;
        let is_lost = |(start, window): &&(i64, Window)| match self.kind {
            Kind::Grid { .. } => (start + SIZE) * 1_000 - 1 > self.watermark,
            Kind::Session { .. } => !window.is_emitted,
        };
        let lost = evicted.iter().filter(is_lost);
        self.out.evicted[2] += lost.map(|(_, window)| window.count).sum::<u64>();
        !evicted.is_empty()
    }
}
