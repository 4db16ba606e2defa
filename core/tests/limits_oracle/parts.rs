//! Limits where engines send what they have of windows to one that adds it.

use std::collections::BTreeMap;

use super::{BOUND, Kind, Limits, Model, Outcome, Piece, encoded};
use crate::common::events::Event;

/// Events that one source takes before it sends what it has.
#[derive(Debug, Clone)]
pub struct Block {
    pub source: u8,
    pub events: Vec<Event>,
}

/// An engine that sends.
struct Edge {
    model: Model,
    sequence: u64,
    watermark: i64,
}

/// The start of the window, its source, the number of the block and the key.
type Place = (i64, u8, u64, Vec<u8>);

/// The engine that adds what is sent.
struct Receiver {
    model: Model,
    /// Each with its place in the stream.
    waiting: BTreeMap<Place, (usize, Piece)>,
    ordinal: usize,
}

/// What comes of `blocks` under limits that hold for all engines; `bytes` are those of windows that are sent and of those that
/// are added to. The refused are those of the engine that adds, and beside it those of the others, by source.
pub fn run(
    kind: Kind,
    limits: Limits,
    bytes: [(u64, u64); 2],
    blocks: &[Block],
) -> (Outcome, Vec<(u8, usize)>) {
    let mut edges = BTreeMap::<u8, Edge>::new();
    let model = Model::new(kind, limits, bytes[1]);
    let mut receiver = Receiver { model, waiting: BTreeMap::new(), ordinal: 0 };
    let mut refused = Vec::new();
    for Block { source, events } in blocks {
        let edge = edges.entry(*source).or_insert_with(|| Edge {
            model: Model::new(kind, limits, bytes[0]),
            sequence: 0,
            watermark: i64::MIN,
        });
        for (place, event) in events.iter().enumerate() {
            if edge.model.take(&kind.piece(event)) {
                let moved = event.ts * 1_000 - BOUND * 1_000 - 1;
                edge.watermark = edge.watermark.max(moved);
            } else {
                refused.push((*source, place));
            }
        }
        receiver.take(*source, edge);
        let reached = edges.values().map(|edge| edge.watermark).min();
        receiver.advance(reached.unwrap());
    }
    receiver.model.out.bytes = receiver.model.bytes();
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
    /// Takes all that `edge` has of windows, in the order in which it is sent.
    fn take(&mut self, source: u8, edge: &mut Edge) {
        let mut sent: Vec<Piece> = Vec::new();
        for (key, windows) in edge.model.keys.drain(..) {
            sent.extend(windows.iter().map(|(start, window)| Piece {
                key: key.clone(),
                start: *start,
                end: window.end,
                count: window.count,
            }));
        }
        sent.sort_by_key(|piece| (piece.start, encoded(&piece.key)));
        for piece in sent {
            let place = (piece.start, source, edge.sequence, encoded(&piece.key));
            self.waiting.insert(place, (self.ordinal, piece));
            self.ordinal += 1;
        }
        edge.sequence += 1;
    }

    /// Adds what a window needs that fires up to `watermark`, then fires these.
    fn advance(&mut self, watermark: i64) {
        let watermark = watermark.max(self.model.watermark);
        while let Some(first) = self.waiting.first_entry() {
            let start = first.key().0;
            let needed_at = match self.model.kind {
                Kind::Grid { slide, .. } => (start + slide) * 1_000 - 1,
                Kind::Session { .. } => start * 1_000 - 1,
            };
            let are_many = self.waiting.len() > self.model.limits.keys.0;
            if needed_at > watermark && !are_many {
                break;
            }
            let (_, (ordinal, piece)) = self.waiting.pop_first().unwrap();
            if !self.model.take(&piece) {
                self.model.out.refused.push(ordinal);
                self.model.out.dropped[self.model.refused_by] += piece.count;
            }
        }
        self.model.watermark = watermark;
        self.model.fire();
    }
}
