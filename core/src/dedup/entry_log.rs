//! Log of entries in the order in which they were last touched, in chunks that are freed when
//! empty.

use core::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::data::batch::{Identity, NO_IDENTITY};

/// Entries per chunk and per block of a chunk.
const CHUNK_ENTRIES: usize = 4096;
const BLOCK_ENTRIES: usize = 64;
const POSITIONS_PER_BLOCK: u32 = 64;
/// The log is compacted when positions reach this value.
const MAX_POSITION: u32 = u32::MAX - (1 << 20);
const CHUNK_BITS: u32 = CHUNK_ENTRIES.trailing_zeros();

/// Earliest time of a block without entries. Entries that never expire count as one less.
const NEVER: i64 = i64::MAX;

/// An identity in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// [`NO_IDENTITY`] if the entry has been removed.
    pub(super) identity: Identity,
    /// Start of its ttl, microseconds.
    pub(super) since: i64,
}

impl Entry {
    /// Returns `since`, capped below [`NEVER`].
    #[inline]
    fn capped_since(&self) -> i64 {
        self.since.min(NEVER - 1)
    }
}

const REMOVED: Entry = Entry { identity: NO_IDENTITY, since: 0 };

#[derive(Debug)]
struct Chunk {
    entries: Vec<Entry>,
    live: u32,
    /// A lower bound of the times in each block.
    earliest: [i64; CHUNK_ENTRIES / BLOCK_ENTRIES],
}

/// Entries by position. Positions only increase, until [`EntryLog::compact`].
#[derive(Debug)]
pub(super) struct EntryLog {
    /// `None` is an empty chunk whose memory has been freed.
    chunks: VecDeque<Option<Box<Chunk>>>,
    /// Number of the first chunk in `chunks`.
    first: u32,
    /// All entries before this position have been removed.
    front: u32,
    /// Position of the next entry.
    next: u32,
    /// Number of entries that have not been removed.
    live: usize,
    /// Number of chunks with memory.
    allocated_chunks: usize,
    /// Full chunks by a lower bound of their times.
    by_time: BinaryHeap<Reverse<(i64, u32)>>,
    /// A lower bound of all times.
    earliest: i64,
    /// True if entries expire.
    timed: bool,
}

impl Chunk {
    fn new() -> Box<Self> {
        let entries = Vec::with_capacity(CHUNK_ENTRIES);
        Box::new(Self { entries, live: 0, earliest: [NEVER; CHUNK_ENTRIES / BLOCK_ENTRIES] })
    }

    fn earliest(&self) -> i64 {
        self.earliest.iter().copied().min().unwrap_or(NEVER)
    }
}

/// Splits a position into the chunk number and the offset in the chunk.
#[inline]
fn chunk_and_offset(position: u32) -> (u32, usize) {
    (position >> CHUNK_BITS, position as usize % CHUNK_ENTRIES)
}

impl EntryLog {
    /// Makes an empty log; `timed` is true if entries expire.
    pub(super) fn new(timed: bool) -> Self {
        Self {
            chunks: VecDeque::new(),
            first: 0,
            front: 0,
            next: 0,
            live: 0,
            allocated_chunks: 0,
            by_time: BinaryHeap::new(),
            earliest: NEVER,
            timed,
        }
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// Returns the position before which all entries have been removed.
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
    pub(super) fn get(&self, position: u32) -> Option<Entry> {
        let (chunk, at) = chunk_and_offset(position);
        self.chunk(chunk)?.entries.get(at).copied()
    }

    /// Returns true if the entry at `position` is known to be removed without reading it.
    pub(super) fn is_removed(&self, position: u32) -> bool {
        position < self.front || self.chunk(chunk_and_offset(position).0).is_none()
    }

    /// Returns true if the log should be compacted: too many entries are removed, or positions run
    /// out.
    pub(super) fn needs_compaction(&self) -> bool {
        self.allocated_chunks * CHUNK_ENTRIES > self.live + self.live / 8 + 4 * CHUNK_ENTRIES
            || self.next > MAX_POSITION
    }

    /// Appends an entry and returns its position.
    #[inline]
    pub(super) fn push(&mut self, entry: Entry) -> u32 {
        let position = self.next;
        let at = chunk_and_offset(position).1;
        if at == 0 {
            self.start_chunk();
        }
        if let Some(Some(last)) = self.chunks.back_mut() {
            if let Some(earliest) = last.earliest.get_mut(at / BLOCK_ENTRIES) {
                *earliest = (*earliest).min(entry.capped_since());
            }
            last.entries.push(entry);
            last.live += 1;
        }
        self.next += 1;
        self.live += 1;
        self.earliest = self.earliest.min(entry.since);
        position
    }

    #[cold]
    fn start_chunk(&mut self) {
        let before = (self.next >> CHUNK_BITS).wrapping_sub(1);
        if self.timed
            && let Some(Some(last)) = self.chunks.back()
        {
            self.by_time.push(Reverse((last.earliest(), before)));
        }
        self.chunks.push_back(Some(Chunk::new()));
        self.allocated_chunks += 1;
    }

    /// Removes the entry at `position`, which must exist.
    pub(super) fn remove(&mut self, position: u32) {
        let (number, at) = chunk_and_offset(position);
        let Some(chunk) = self.chunk_mut(number) else { return };
        if let Some(entry) = chunk.entries.get_mut(at) {
            *entry = REMOVED;
            chunk.live -= 1;
            self.live -= 1;
        }
        self.free_if_empty(number);
    }

    /// Frees chunk `number` if it is full and all its entries have been removed.
    fn free_if_empty(&mut self, number: u32) {
        let position = number.wrapping_sub(self.first) as usize;
        let is_empty = |chunk: &Chunk| chunk.live == 0 && chunk.entries.len() == CHUNK_ENTRIES;
        if let Some(chunk) = self.chunks.get_mut(position)
            && chunk.as_deref().is_some_and(is_empty)
        {
            *chunk = None;
            self.allocated_chunks -= 1;
            while let Some(None) = self.chunks.front() {
                self.chunks.pop_front();
                self.first += 1;
            }
            self.front = self.front.max(self.first << CHUNK_BITS);
        }
    }

    /// Returns the position of the least recently touched entry.
    pub(super) fn oldest(&mut self) -> Option<u32> {
        while self.front < self.next {
            match self.get(self.front) {
                Some(entry) if entry.identity != NO_IDENTITY => return Some(self.front),
                Some(_) => self.front += 1,
                // The chunk has been freed.
                None => self.front = (chunk_and_offset(self.front).0 + 1) << CHUNK_BITS,
            }
        }
        None
    }

    /// Returns true if there may be entries at or before `horizon`.
    #[inline]
    pub(super) fn may_expire(&self, horizon: i64) -> bool {
        self.earliest <= horizon
    }

    /// Removes all entries at or before `horizon`.
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
            self.free_if_empty(number);
        }
        let tail = chunk_and_offset(self.next.wrapping_sub(1)).0;
        self.expire_chunk(tail, horizon);
        let in_tail = self.chunk(tail).map_or(NEVER, Chunk::earliest);
        let in_others = self.by_time.peek().map_or(NEVER, |Reverse((earliest, _))| *earliest);
        self.earliest = in_tail.min(in_others);
        self.free_if_empty(tail);
        self.skip_empty_blocks();
    }

    fn expire_chunk(&mut self, number: u32, horizon: i64) {
        let Some(chunk) = self.chunk_mut(number) else { return };
        let Chunk { entries, live, earliest } = chunk;
        let before = *live;
        for (entries, earliest) in entries.chunks_mut(BLOCK_ENTRIES).zip(earliest.iter_mut()) {
            if *earliest <= horizon {
                let (removed, next) = expire_block(entries, horizon);
                *earliest = next;
                *live -= removed;
            }
        }
        let removed = before - *live;
        self.live -= removed as usize;
    }

    /// Advances `front` over blocks without entries.
    fn skip_empty_blocks(&mut self) {
        while self.next - self.front >= POSITIONS_PER_BLOCK {
            let (number, at) = chunk_and_offset(self.front);
            let earliest =
                self.chunk(number).and_then(|chunk| chunk.earliest.get(at / BLOCK_ENTRIES));
            if earliest.is_some_and(|earliest| *earliest < NEVER) {
                break;
            }
            self.front = (self.front / POSITIONS_PER_BLOCK + 1) * POSITIONS_PER_BLOCK;
        }
    }

    /// Returns up to `count` entries from `from` on, and the position to continue at if there are
    /// more.
    pub(super) fn entries_from(&self, from: u32, count: usize) -> (Vec<Entry>, Option<u32>) {
        let mut entries = Vec::new();
        let (mut position, next) = (from.max(self.front), self.next);
        while position < next {
            let Some(entry) = self.get(position) else {
                position = (chunk_and_offset(position).0 + 1) << CHUNK_BITS;
                continue;
            };
            if entry.identity != NO_IDENTITY {
                if entries.len() == count {
                    return (entries, Some(position));
                }
                entries.push(entry);
            }
            position += 1;
        }
        (entries, None)
    }

    /// Moves all entries to the start and reports the new position of each to `moved`.
    pub(super) fn compact(&mut self, mut moved: impl FnMut(Identity, u32)) {
        let mut old = core::mem::replace(self, Self::new(self.timed));
        // Chunk by chunk, so that memory is freed as entries move.
        while let Some(chunk) = old.chunks.pop_front() {
            for entry in chunk.iter().flat_map(|chunk| &chunk.entries) {
                if entry.identity != NO_IDENTITY {
                    moved(entry.identity, self.push(*entry));
                }
            }
        }
    }
}

/// Removes the entries of a block at or before `horizon`. Returns how many, and the earliest time
/// left.
#[inline(never)]
fn expire_block(entries: &mut [Entry], horizon: i64) -> (u32, i64) {
    let (mut removed, mut earliest) = (0, NEVER);
    for entry in entries {
        if entry.identity == NO_IDENTITY {
            continue;
        }
        if entry.since <= horizon {
            *entry = REMOVED;
            removed += 1;
        } else {
            earliest = earliest.min(entry.capped_since());
        }
    }
    (removed, earliest)
}
