//! The entries in the order in which they were last touched, in chunks that go when nothing is left in them.

use core::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::batch::{Identity, NO_IDENTITY};

/// Entries of a chunk, and of a block in it.
const CHUNK: usize = 4096;
const BLOCK: usize = 64;
const BLOCK_PLACES: u32 = 64;
/// A log whose places have come this far is restarted.
const LAST_PLACE: u32 = u32::MAX - (1 << 20);
const CHUNK_BITS: u32 = CHUNK.trailing_zeros();

/// An identity that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// None: it is gone.
    pub(super) identity: Identity,
    /// When its time begins, microseconds.
    pub(super) since: i64,
}

const GONE: Entry = Entry { identity: NO_IDENTITY, since: 0 };

#[derive(Debug)]
struct Chunk {
    entries: Vec<Entry>,
    live: u32,
    /// The least time of each block: what is there is not earlier.
    earliest: [i64; CHUNK / BLOCK],
}

/// Entries by place. Places only go up until [`Log::restart`].
#[derive(Debug, Default)]
pub(super) struct Log {
    /// A chunk that is empty has given its memory back.
    chunks: VecDeque<Option<Box<Chunk>>>,
    /// The number of the first of them.
    first: u32,
    /// Entries before this place are gone.
    front: u32,
    /// Chunks with memory.
    held: usize,
    /// The full chunks by their earliest entry, or a time before it.
    by_time: BinaryHeap<Reverse<(i64, u32)>>,
    /// No entry is earlier.
    earliest: Option<i64>,
    /// Whether anyone asks for times.
    timed: bool,
}

impl Chunk {
    fn new() -> Box<Self> {
        let entries = Vec::with_capacity(CHUNK);
        Box::new(Self { entries, live: 0, earliest: [i64::MAX; CHUNK / BLOCK] })
    }

    fn earliest(&self) -> i64 {
        self.earliest.iter().copied().min().unwrap_or(i64::MAX)
    }
}

#[inline]
fn split(place: u32) -> (u32, usize) {
    (place >> CHUNK_BITS, place as usize % CHUNK)
}

impl Log {
    /// An empty log; `timed`: for entries that expire.
    pub(super) fn new(timed: bool) -> Self {
        Self { timed, ..Self::default() }
    }

    /// The place of the next entry.
    #[allow(clippy::cast_possible_truncation, reason = "places are bounded")]
    fn next(&self) -> u32 {
        let chunks = self.first + self.chunks.len() as u32;
        match self.chunks.back() {
            Some(Some(last)) => ((chunks - 1) << CHUNK_BITS) + last.entries.len() as u32,
            _ => chunks << CHUNK_BITS,
        }
    }

    #[inline]
    fn chunk(&self, number: u32) -> Option<&Chunk> {
        self.chunks.get(number.wrapping_sub(self.first) as usize)?.as_deref()
    }

    #[inline]
    fn chunk_mut(&mut self, number: u32) -> Option<&mut Chunk> {
        self.chunks.get_mut(number.wrapping_sub(self.first) as usize)?.as_deref_mut()
    }

    #[inline]
    pub(super) fn get(&self, place: u32) -> Option<Entry> {
        let (chunk, at) = split(place);
        self.chunk(chunk)?.entries.get(at).copied()
    }

    /// Whether the log has to be restarted: too much of it is gone, or places run out. `live` entries are there.
    pub(super) fn is_sparse(&self, live: usize) -> bool {
        self.held * CHUNK > live + live / 8 + 4 * CHUNK || self.next() > LAST_PLACE
    }

    /// Appends an entry: its place.
    #[inline]
    pub(super) fn push(&mut self, entry: Entry) -> u32 {
        let place = self.next();
        if !matches!(self.chunks.back(), Some(Some(last)) if last.entries.len() < CHUNK) {
            self.begin_chunk();
        }
        if let Some(Some(last)) = self.chunks.back_mut() {
            if let Some(earliest) = last.earliest.get_mut(last.entries.len() / BLOCK) {
                *earliest = (*earliest).min(entry.since);
            }
            last.entries.push(entry);
            last.live += 1;
        }
        self.earliest =
            Some(self.earliest.map_or(entry.since, |earliest| earliest.min(entry.since)));
        place
    }

    #[cold]
    #[allow(clippy::cast_possible_truncation, reason = "places are bounded")]
    fn begin_chunk(&mut self) {
        if let (true, Some(Some(last))) = (self.timed, self.chunks.back()) {
            let number = self.first + self.chunks.len() as u32 - 1;
            self.by_time.push(Reverse((last.earliest(), number)));
        }
        self.chunks.push_back(Some(Chunk::new()));
        self.held += 1;
    }

    /// Takes out the entry at `place`.
    pub(super) fn remove(&mut self, place: u32) {
        let (number, at) = split(place);
        let Some(chunk) = self.chunk_mut(number) else { return };
        if let Some(entry) = chunk.entries.get_mut(at) {
            *entry = GONE;
            chunk.live -= 1;
        }
        self.give_back(number);
    }

    /// Gives back the memory of chunk `number`, if it is full and all in it is gone.
    fn give_back(&mut self, number: u32) {
        let place = number.wrapping_sub(self.first) as usize;
        let is_empty = |chunk: &Chunk| chunk.live == 0 && chunk.entries.len() == CHUNK;
        if let Some(chunk) = self.chunks.get_mut(place)
            && chunk.as_deref().is_some_and(is_empty)
        {
            *chunk = None;
            self.held -= 1;
            while let Some(None) = self.chunks.front() {
                self.chunks.pop_front();
                self.first += 1;
            }
        }
    }

    /// The place of the entry that was touched before all others.
    pub(super) fn oldest(&mut self) -> Option<u32> {
        self.front = self.front.max(self.first << CHUNK_BITS);
        let next = self.next();
        while self.front < next {
            match self.get(self.front) {
                Some(entry) if entry.identity != NO_IDENTITY => return Some(self.front),
                Some(_) => self.front += 1,
                // A chunk that is gone.
                None => self.front = (split(self.front).0 + 1) << CHUNK_BITS,
            }
        }
        None
    }

    /// Whether there may be entries of `horizon` or earlier.
    #[inline]
    pub(super) fn reaches(&self, horizon: i64) -> bool {
        self.earliest.is_some_and(|earliest| earliest <= horizon)
    }

    /// Takes out all entries of `horizon` or earlier and gives each to `gone`.
    pub(super) fn expire(&mut self, horizon: i64, mut gone: impl FnMut(Identity, u32)) {
        while let Some(Reverse((earliest, number))) = self.by_time.peek().copied()
            && earliest <= horizon
        {
            self.by_time.pop();
            self.expire_chunk(number, horizon, &mut gone);
            if let Some(chunk) = self.chunk(number).filter(|chunk| chunk.live > 0) {
                self.by_time.push(Reverse((chunk.earliest(), number)));
            }
            self.give_back(number);
        }
        let tail = split(self.next().saturating_sub(1)).0;
        self.expire_chunk(tail, horizon, &mut gone);
        let in_tail = self.chunk(tail).map_or(i64::MAX, Chunk::earliest);
        let in_others = self.by_time.peek().map_or(i64::MAX, |Reverse((earliest, _))| *earliest);
        self.earliest = Some(in_tail.min(in_others));
        self.give_back(tail);
    }

    fn expire_chunk(&mut self, number: u32, horizon: i64, gone: &mut impl FnMut(Identity, u32)) {
        let Some(chunk) = self.chunk_mut(number) else { return };
        let Chunk { entries, live, earliest } = chunk;
        let blocks = entries.chunks_mut(BLOCK).zip(earliest.iter_mut());
        let mut place = number << CHUNK_BITS;
        for (entries, earliest) in blocks {
            if *earliest > horizon {
                place += BLOCK_PLACES;
                continue;
            }
            *earliest = i64::MAX;
            for entry in entries {
                if entry.identity != NO_IDENTITY {
                    if entry.since <= horizon {
                        gone(entry.identity, place);
                        *entry = GONE;
                        *live -= 1;
                    } else {
                        *earliest = (*earliest).min(entry.since);
                    }
                }
                place += 1;
            }
        }
    }

    /// Up to `count` entries from `from` on, and the place to go on at; none where there are no more.
    pub(super) fn entries_from(&self, from: u32, count: usize) -> (Vec<Entry>, Option<u32>) {
        let mut entries = Vec::new();
        let (mut place, next) = (from.max(self.first << CHUNK_BITS), self.next());
        while place < next {
            let Some(entry) = self.get(place) else {
                place = (split(place).0 + 1) << CHUNK_BITS;
                continue;
            };
            if entry.identity != NO_IDENTITY {
                if entries.len() == count {
                    return (entries, Some(place));
                }
                entries.push(entry);
            }
            place += 1;
        }
        (entries, None)
    }

    /// Moves all entries together and gives each with its new place to `moved`.
    pub(super) fn restart(&mut self, mut moved: impl FnMut(Identity, u32)) {
        let mut old = core::mem::replace(self, Self::new(self.timed));
        // Chunk by chunk, so that what was moved is given back.
        while let Some(chunk) = old.chunks.pop_front() {
            for entry in chunk.iter().flat_map(|chunk| &chunk.entries) {
                if entry.identity != NO_IDENTITY {
                    moved(entry.identity, self.push(*entry));
                }
            }
        }
    }
}
