//! The entries in the order in which they were last touched, in chunks that go when nothing is left in them.

use core::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::data::batch::{Identity, NO_IDENTITY};

/// Entries of a chunk, and of a block in it.
const CHUNK: usize = 4096;
const BLOCK: usize = 64;
const BLOCK_PLACES: u32 = 64;
/// A log whose places have come this far is restarted.
const LAST_PLACE: u32 = u32::MAX - (1 << 20);
const CHUNK_BITS: u32 = CHUNK.trailing_zeros();

/// The earliest time of entries that are all gone. What lasts for ever counts as a little earlier.
const NEVER: i64 = i64::MAX;

/// An identity that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// None: it is gone.
    pub(super) identity: Identity,
    /// When its time begins, microseconds.
    pub(super) since: i64,
}

impl Entry {
    #[inline]
    fn starts(&self) -> i64 {
        self.since.min(NEVER - 1)
    }
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
#[derive(Debug)]
pub(super) struct Log {
    /// A chunk that is empty has given its memory back.
    chunks: VecDeque<Option<Box<Chunk>>>,
    /// The number of the first of them.
    first: u32,
    /// Entries before this place are gone.
    front: u32,
    /// The place of the next entry.
    next: u32,
    /// Entries that are not gone.
    live: usize,
    /// Chunks with memory.
    held: usize,
    /// The full chunks by their earliest entry, or a time before it.
    by_time: BinaryHeap<Reverse<(i64, u32)>>,
    /// No entry is earlier.
    earliest: i64,
    /// Whether anyone asks for times.
    timed: bool,
}

impl Chunk {
    fn new() -> Box<Self> {
        let entries = Vec::with_capacity(CHUNK);
        Box::new(Self { entries, live: 0, earliest: [NEVER; CHUNK / BLOCK] })
    }

    fn earliest(&self) -> i64 {
        self.earliest.iter().copied().min().unwrap_or(NEVER)
    }
}

#[inline]
fn split(place: u32) -> (u32, usize) {
    (place >> CHUNK_BITS, place as usize % CHUNK)
}

impl Log {
    /// An empty log; `timed`: for entries that expire.
    pub(super) fn new(timed: bool) -> Self {
        Self {
            chunks: VecDeque::new(),
            first: 0,
            front: 0,
            next: 0,
            live: 0,
            held: 0,
            by_time: BinaryHeap::new(),
            earliest: NEVER,
            timed,
        }
    }

    /// Entries in it.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// Entries before this place are gone.
    pub(super) fn front(&self) -> u32 {
        self.front
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

    /// Whether the entry at `place` is gone, as far as that is known without a look at it.
    pub(super) fn is_gone(&self, place: u32) -> bool {
        place < self.front || self.chunk(split(place).0).is_none()
    }

    /// Whether the log has to be restarted: too much of it is gone, or places run out.
    pub(super) fn is_sparse(&self) -> bool {
        self.held * CHUNK > self.live + self.live / 8 + 4 * CHUNK || self.next > LAST_PLACE
    }

    /// Appends an entry: its place.
    #[inline]
    pub(super) fn push(&mut self, entry: Entry) -> u32 {
        let place = self.next;
        let at = split(place).1;
        if at == 0 {
            self.begin_chunk();
        }
        if let Some(Some(last)) = self.chunks.back_mut() {
            if let Some(earliest) = last.earliest.get_mut(at / BLOCK) {
                *earliest = (*earliest).min(entry.starts());
            }
            last.entries.push(entry);
            last.live += 1;
        }
        self.next += 1;
        self.live += 1;
        self.earliest = self.earliest.min(entry.since);
        place
    }

    #[cold]
    fn begin_chunk(&mut self) {
        let before = (self.next >> CHUNK_BITS).wrapping_sub(1);
        if self.timed
            && let Some(Some(last)) = self.chunks.back()
        {
            self.by_time.push(Reverse((last.earliest(), before)));
        }
        self.chunks.push_back(Some(Chunk::new()));
        self.held += 1;
    }

    /// Takes out the entry at `place`, which is there.
    pub(super) fn remove(&mut self, place: u32) {
        let (number, at) = split(place);
        let Some(chunk) = self.chunk_mut(number) else { return };
        if let Some(entry) = chunk.entries.get_mut(at) {
            *entry = GONE;
            chunk.live -= 1;
            self.live -= 1;
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
            self.front = self.front.max(self.first << CHUNK_BITS);
        }
    }

    /// The place of the entry that was touched before all others.
    pub(super) fn oldest(&mut self) -> Option<u32> {
        while self.front < self.next {
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
        self.earliest <= horizon
    }

    /// Takes out all entries of `horizon` or earlier.
    #[inline(never)]
    pub(super) fn expire(&mut self, horizon: i64) {
        while let Some(Reverse((earliest, number))) = self.by_time.peek().copied()
            && earliest <= horizon
        {
            self.by_time.pop();
            self.expire_chunk(number, horizon);
            if let Some(chunk) = self.chunk(number).filter(|chunk| chunk.live > 0) {
                self.by_time.push(Reverse((chunk.earliest(), number)));
            }
            self.give_back(number);
        }
        let tail = split(self.next.wrapping_sub(1)).0;
        self.expire_chunk(tail, horizon);
        let in_tail = self.chunk(tail).map_or(NEVER, Chunk::earliest);
        let in_others = self.by_time.peek().map_or(NEVER, |Reverse((earliest, _))| *earliest);
        self.earliest = in_tail.min(in_others);
        self.give_back(tail);
        self.pass_empty_blocks();
    }

    fn expire_chunk(&mut self, number: u32, horizon: i64) {
        let Some(chunk) = self.chunk_mut(number) else { return };
        let Chunk { entries, live, earliest } = chunk;
        let before = *live;
        for (entries, earliest) in entries.chunks_mut(BLOCK).zip(earliest.iter_mut()) {
            if *earliest <= horizon {
                let (gone, next) = expire_block(entries, horizon);
                *earliest = next;
                *live -= gone;
            }
        }
        let gone = before - *live;
        self.live -= gone as usize;
    }

    /// Moves the front over blocks in which nothing is left.
    fn pass_empty_blocks(&mut self) {
        while self.next - self.front >= BLOCK_PLACES {
            let (number, at) = split(self.front);
            let earliest = self.chunk(number).and_then(|chunk| chunk.earliest.get(at / BLOCK));
            if earliest.is_some_and(|earliest| *earliest < NEVER) {
                break;
            }
            self.front = (self.front / BLOCK_PLACES + 1) * BLOCK_PLACES;
        }
    }

    /// Up to `count` entries from `from` on, and the place to go on at; none where there are no more.
    pub(super) fn entries_from(&self, from: u32, count: usize) -> (Vec<Entry>, Option<u32>) {
        let mut entries = Vec::new();
        let (mut place, next) = (from.max(self.front), self.next);
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

/// Takes out the entries of a block that are of `horizon` or earlier: how many, and the earliest of the others.
#[inline(never)]
fn expire_block(entries: &mut [Entry], horizon: i64) -> (u32, i64) {
    let (mut gone, mut earliest) = (0, NEVER);
    for entry in entries {
        if entry.identity == NO_IDENTITY {
            continue;
        }
        if entry.since <= horizon {
            *entry = GONE;
            gone += 1;
        } else {
            earliest = earliest.min(entry.starts());
        }
    }
    (gone, earliest)
}
