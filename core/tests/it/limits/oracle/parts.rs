//! The model of limits if edge engines send partial state to a receiver.

use std::collections::{BTreeMap, BTreeSet};

use super::{BOUND, Kind, Limits, Model, Outcome, WindowUpdate, encoded};
use crate::common::events::Event;

/// The events that one source processes before it sends a partial.
#[derive(Debug, Clone)]
pub struct SourceBatch {
    pub source: u8,
    pub events: Vec<Event>,
}

/// An edge engine.
struct Edge {
    model: Model,
    sequence: u64,
    watermark: i64,
}

/// The merge order of an update: start of the window, source, number of the partial, key.
type MergeOrder = (i64, u8, u64, Vec<u8>);

/// The engine that merges the partials.
struct Receiver {
    model: Model,
    /// The updates that are not merged yet, each with its ordinal.
    waiting: BTreeMap<MergeOrder, (usize, WindowUpdate)>,
    ordinal: usize,
    /// The bytes that the values of a waiting update count for, without those that vary.
    slot_bytes: u64,
}

/// Returns the result of `batches` under limits that hold for all engines. `bytes` are those of the
/// edges' windows and of the receiver's. The refused events in the result are those of the
/// receiver; those of the edges are returned by source.
pub fn run(
    kind: Kind,
    limits: Limits,
    bytes: [(u64, u64); 2],
    batches: &[SourceBatch],
) -> (Outcome, Vec<(u8, usize)>) {
    let mut edges = BTreeMap::<u8, Edge>::new();
    let model = Model::new(kind, limits, bytes[1]);
    let window_bytes = match kind {
        Kind::Grid { .. } => 48,
        Kind::Session { .. } => 96,
    };
    let slot_bytes = bytes[0].0 - window_bytes;
    let mut receiver = Receiver { model, waiting: BTreeMap::new(), ordinal: 0, slot_bytes };
    let mut refused = Vec::new();
    for SourceBatch { source, events } in batches {
        let edge = edges.entry(*source).or_insert_with(|| Edge {
            model: Model::new(kind, limits, bytes[0]),
            sequence: 0,
            watermark: i64::MIN,
        });
        for (place, event) in events.iter().enumerate() {
            if edge.model.process(&kind.update(event)) {
                let moved = event.ts * 1_000 - BOUND * 1_000 - 1;
                edge.watermark = edge.watermark.max(moved);
            } else {
                refused.push((*source, place));
            }
        }
        receiver.add_partial(*source, edge);
        let reached = edges.values().map(|edge| edge.watermark).min();
        receiver.advance(reached.unwrap());
    }
    receiver.model.out.bytes = receiver.model.bytes() + receiver.waiting_bytes();
    receiver.advance(i64::MAX);
    let mut out = receiver.model.out;
    for Edge { model, .. } in edges.values() {
        for at in 0..3 {
            out.dropped[at] += model.out.dropped[at];
            out.evicted[at] += model.out.evicted[at];
        }
    }
    (out, refused)
}

impl Receiver {
    /// Appends the state of all windows of `edge`, in the order in which it is sent.
    fn add_partial(&mut self, source: u8, edge: &mut Edge) {
        let mut sent: Vec<WindowUpdate> = Vec::new();
        for (key, windows) in edge.model.keys.drain(..) {
            sent.extend(windows.iter().map(|(start, window)| WindowUpdate {
                key: key.clone(),
                start: *start,
                end: window.end,
                count: window.count,
                is_event: false,
            }));
        }
        sent.sort_by_key(|update| (update.start, encoded(&update.key)));
        for update in sent {
            let place = (update.start, source, edge.sequence, encoded(&update.key));
            self.waiting.insert(place, (self.ordinal, update));
            self.ordinal += 1;
        }
        edge.sequence += 1;
    }

    /// Returns the bytes of the updates that wait.
    fn waiting_bytes(&self) -> u64 {
        let value_bytes = self.model.value_bytes;
        let of_updates = self.waiting.iter().map(|((_, _, _, key), (_, update))| {
            32 + 96 + key.len() as u64 + self.slot_bytes + update.count * value_bytes
        });
        let partials: BTreeSet<_> =
            self.waiting.keys().map(|(at, from, nth, _)| (at, from, nth)).collect();
        // The source has a name of one byte.
        of_updates.sum::<u64>() + 161 * partials.len() as u64
    }

    /// Merges the updates of all windows that fire up to `watermark`, and fires these.
    fn advance(&mut self, watermark: i64) {
        let watermark = watermark.max(self.model.watermark);
        while let Some((first, _)) = self.waiting.first_key_value() {
            let start = first.0;
            let needed_at = match self.model.kind {
                Kind::Grid { slide, .. } => (start + slide) * 1_000 - 1,
                Kind::Session { .. } => start * 1_000 - 1,
            };
            let most = self.model.limits.bytes.0.map_or(u64::MAX, |most| most / 9 * 4);
            let are_many =
                self.waiting.len() > self.model.limits.keys.0 || self.waiting_bytes() > most / 2;
            if needed_at > watermark && !are_many {
                break;
            }
            let (_, (ordinal, update)) = self.waiting.pop_first().unwrap();
            if !self.model.process(&update) {
                self.model.out.refused.push(ordinal);
                self.model.out.dropped[self.model.refused_by] += update.count;
            }
        }
        self.model.watermark = watermark;
        self.model.fire();
    }
}
