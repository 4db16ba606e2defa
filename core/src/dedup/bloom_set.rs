//! Remembers identities in Bloom filters: little memory and no false negatives within the ttl, but
//! some new identities count as duplicates.

use core::ops::Range;

use super::bloom_sizes::BloomSizes;
use super::interleaved_bits::{BlockProbe, ColumnSet, InterleavedBits, MAX_COLUMNS, mix};
use super::{Verdict, is_expired, verdict_without_lookup};
use crate::data::batch::Identity;

/// Identities looked up together, so that their cache misses overlap.
const PREFETCH_BATCH: usize = 64;
/// A filter lists its identities up to one for this many blocks, which takes at most half a byte a
/// block.
const BLOCKS_PER_LOGGED: u32 = 32;
/// A filter lists at least this many identities.
const MIN_LOGGED: u32 = 64;

/// A filter of one generation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Filter {
    generation: i64,
    /// Watermark at which all its identities have expired.
    expires_at: i64,
    count: u32,
    /// Its column, counted over all groups.
    column: usize,
    /// Its first identities, at most as many as [`BloomSet::max_logged`]. While they are all that
    /// it has, it is cleared by them.
    first: Vec<BlockProbe>,
}

/// Remembers identities by generation. A generation is a span of event time with one filter, or
/// several if more identities arrive than expected.
#[derive(Debug)]
pub(crate) struct BloomSet {
    sizes: BloomSizes,
    ttl_us: Option<i64>,
    /// Length of a generation, microseconds.
    span_us: i64,
    refresh: bool,
    /// In order of creation.
    filters: Vec<Filter>,
    /// The bits of the filters, several filters interleaved per group.
    groups: Vec<FilterGroup>,
    /// Time range of the generation inserted into last, and the index of its filter.
    current: (Range<i64>, usize),
    /// The earliest `expires_at` of all filters.
    next_expiry: i64,
    evicted: u64,
    /// The number of identities up to which a filter keeps a list of them. Clearing the bits of a
    /// filter with more takes less time than inserting its identities took.
    max_logged: u32,
}

/// Filters whose bits are interleaved.
#[derive(Debug)]
struct FilterGroup {
    bits: InterleavedBits,
    /// Columns without a filter, and those of them that must be cleared before use.
    free: ColumnSet,
    dirty: ColumnSet,
}

/// Part of a filter in a snapshot.
pub(crate) struct FilterPart {
    pub(crate) generation: i64,
    pub(crate) count: u32,
    /// Index of its first block.
    pub(crate) first: usize,
    pub(crate) words: Vec<u64>,
}

/// Returns two hashes of the whole identity. They use fixed constants: false positives must not
/// depend on a seed.
///
/// Uses 64-bit multiplications only; wider ones are slow in WebAssembly.
#[inline]
fn hashes([low, high]: Identity) -> (u64, u64) {
    let both = low
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add((high ^ 0x2d35_8dcc_aa6c_78a5).wrapping_mul(0xbf58_476d_1ce4_e5b9));
    let first = mix(both ^ both >> 32);
    (first, mix(first))
}

impl FilterGroup {
    fn new(sizes: &BloomSizes) -> Self {
        Self {
            bits: InterleavedBits::new(sizes),
            free: ColumnSet::MAX >> (MAX_COLUMNS - sizes.columns),
            dirty: 0,
        }
    }

    /// Takes an empty column; `None` if all are in use.
    fn take_column(&mut self) -> Option<usize> {
        if self.free == 0 {
            return None;
        }
        if self.free == self.dirty {
            self.bits.clear(self.dirty);
            self.dirty = 0;
        }
        let column = (self.free & !self.dirty).trailing_zeros();
        self.free &= !(1 << column);
        Some(column as usize)
    }
}

impl BloomSet {
    pub(crate) fn new(sizes: BloomSizes, ttl_us: Option<i64>, refresh: bool) -> Self {
        let span_us = ttl_us.map_or(i64::MAX, |ttl| (ttl / i64::from(sizes.generations)).max(1));
        Self {
            ttl_us,
            span_us,
            refresh,
            filters: Vec::new(),
            groups: Vec::new(),
            current: (0..0, 0),
            next_expiry: i64::MAX,
            evicted: 0,
            max_logged: (sizes.blocks / BLOCKS_PER_LOGGED).max(MIN_LOGGED),
            sizes,
        }
    }

    /// Returns the number of identities.
    pub(crate) fn len(&self) -> u64 {
        self.filters.iter().map(|filter| u64::from(filter.count)).sum()
    }

    /// Returns the bytes of all filters.
    pub(crate) fn bytes(&self) -> u64 {
        self.filters.len() as u64 * self.sizes.filter_bytes()
    }

    /// Returns the number of identities evicted by a limit.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(crate) fn restore_evicted(&mut self, evicted: u64) {
        self.evicted = evicted;
    }

    /// Looks up and records `identities` in order, and reports the verdict on each.
    ///
    /// `times_of` gives the time and the watermark of each identity.
    pub(crate) fn check_all(
        &mut self,
        identities: &[Identity],
        times_of: impl Fn(usize) -> (i64, i64),
        mut report: impl FnMut(usize, Verdict),
    ) {
        let mut all = [BlockProbe::default(); PREFETCH_BATCH];
        for (chunk, identities) in identities.chunks(PREFETCH_BATCH).enumerate() {
            self.prefetch(identities, &mut all);
            for (at, (probe, identity)) in
                (chunk * PREFETCH_BATCH..).zip(all.iter().zip(identities))
            {
                if let Some(verdict) = verdict_without_lookup(*identity) {
                    report(at, verdict);
                    continue;
                }
                let (time, watermark) = times_of(at);
                report(at, self.check(*probe, time, watermark));
            }
        }
    }

    /// Hashes `identities` and reads the cache lines of their blocks, so that the misses overlap.
    #[inline(never)]
    fn prefetch(&self, identities: &[Identity], all: &mut [BlockProbe; PREFETCH_BATCH]) {
        for (probe, identity) in all.iter_mut().zip(identities) {
            let (block, positions) = hashes(*identity);
            *probe = BlockProbe::new(block, positions, &self.sizes);
        }
        let mut read = 0;
        for group in &self.groups {
            for probe in all.iter() {
                read |= group.bits.prefetch(*probe);
            }
        }
        core::hint::black_box(read);
    }

    /// Looks up and records the identity at `probe`. One that cannot be judged is not recorded: its
    /// filter would be cleared soon.
    #[inline]
    fn check(&mut self, probe: BlockProbe, time: i64, watermark: i64) -> Verdict {
        let is_duplicate = self.contains(probe, time.max(watermark));
        if !is_duplicate && is_expired(self.ttl_us, time, watermark) {
            return Verdict::Unjudged;
        }
        if !is_duplicate || self.refresh {
            self.insert(probe, is_duplicate, time, watermark);
        }
        if is_duplicate { Verdict::Duplicate } else { Verdict::New }
    }

    /// Returns true if a filter that has not expired at `now` contains `probe`.
    #[inline]
    fn contains(&self, probe: BlockProbe, now: i64) -> bool {
        self.groups.iter().enumerate().any(|(number, group)| {
            let hits = group.bits.columns_with_all(probe, self.sizes.bits) & !group.free;
            hits != 0 && (now < self.next_expiry || self.any_live_filter(number, hits, now))
        })
    }

    /// Returns true if a filter in the columns `hits` of group `number` has not expired at `now`.
    #[inline(never)]
    fn any_live_filter(&self, number: usize, hits: ColumnSet, now: i64) -> bool {
        self.filters.iter().any(|filter| {
            let (group, column) = self.group_and_column(filter.column);
            group == number && hits >> column & 1 == 1 && now < filter.expires_at
        })
    }

    /// Splits a column number into the index of the group and the column within it.
    #[inline]
    fn group_and_column(&self, column: usize) -> (usize, usize) {
        // The number of columns is a power of two, and divisions are slow.
        (column >> self.sizes.columns.trailing_zeros(), column & (self.sizes.columns - 1))
    }

    /// Inserts `probe` into the filter of the generation of `time`, unless that filter contains it.
    #[inline]
    fn insert(&mut self, probe: BlockProbe, is_duplicate: bool, time: i64, watermark: i64) {
        if !self.current.0.contains(&time) {
            self.select_generation(time);
        }
        let per_filter = self.sizes.per_filter;
        let column = self.filters.get(self.current.1).map_or(0, |filter| filter.column);
        let (group, column) = self.group_and_column(column);
        let filter = self.filters.get_mut(self.current.1);
        let Some(filter) = filter.filter(|filter| filter.count < per_filter || is_duplicate) else {
            return self.insert_into_new(probe, time, watermark);
        };
        let Some(group) = self.groups.get_mut(group) else { return };
        if is_duplicate {
            if group.bits.columns_with_all(probe, self.sizes.bits) >> column & 1 == 1 {
                return;
            }
            if filter.count >= per_filter {
                return self.insert_into_new(probe, time, watermark);
            }
        }
        if filter.count < self.max_logged {
            filter.first.push(probe);
        }
        filter.count += 1;
        group.bits.insert(probe, self.sizes.bits, column);
    }

    /// Inserts `probe` into a new filter; evicts the oldest filter if there are too many.
    #[cold]
    fn insert_into_new(&mut self, probe: BlockProbe, time: i64, watermark: i64) {
        self.expire(watermark);
        let most = self.sizes.max_identities(self.ttl_us.is_some());
        if self.len() >= most || self.filters.len() >= self.sizes.max_filters() {
            let oldest = self.filters.remove(0);
            self.evicted += u64::from(oldest.count);
            self.release_column(&oldest);
            self.update_next_expiry();
        }
        self.start_filter(self.generation(time), 1);
        self.select_generation(time);
        let newest = self.filters.last_mut();
        let column = newest.map(|filter| {
            filter.first.push(probe);
            filter.column
        });
        if let Some((group, column)) = column.map(|column| self.group_and_column(column))
            && let Some(group) = self.groups.get_mut(group)
        {
            group.bits.insert(probe, self.sizes.bits, column);
        }
    }

    /// Returns the generation of `time`.
    fn generation(&self, time: i64) -> i64 {
        if self.ttl_us.is_some() { time.div_euclid(self.span_us) } else { 0 }
    }

    /// Selects the newest filter of the generation of `time` for insertion.
    #[cold]
    fn select_generation(&mut self, time: i64) {
        let generation = self.generation(time);
        let start = generation.saturating_mul(self.span_us);
        let range = if self.ttl_us.is_some() {
            start..start.saturating_add(self.span_us)
        } else {
            i64::MIN..i64::MAX
        };
        let filter = self.filters.iter().rposition(|filter| filter.generation == generation);
        self.current = (range, filter.unwrap_or(usize::MAX));
    }

    /// Starts a filter of `generation` with `count` identities and returns its column.
    fn start_filter(&mut self, generation: i64, count: u32) -> usize {
        let expires_at = self.ttl_us.map_or(i64::MAX, |ttl| {
            let end = generation.saturating_add(1).saturating_mul(self.span_us);
            end.saturating_sub(1).saturating_add(ttl)
        });
        let columns = self.sizes.columns;
        let found = self.groups.iter_mut().enumerate().find_map(|(number, group)| {
            group.take_column().map(|column| number * columns + column)
        });
        let column = found.unwrap_or_else(|| {
            let mut group = FilterGroup::new(&self.sizes);
            let column = group.take_column().unwrap_or_default();
            self.groups.push(group);
            (self.groups.len() - 1) * columns + column
        });
        self.filters.push(Filter { generation, expires_at, count, column, first: Vec::new() });
        self.next_expiry = self.next_expiry.min(expires_at);
        column
    }

    /// Marks the column of the removed `filter` as free. Clears it if all its identities are
    /// listed: if few events fall into each of many generations, clearing all bits for each filter
    /// would take a thousand times longer.
    fn release_column(&mut self, filter: &Filter) {
        let (group, column) = self.group_and_column(filter.column);
        if let Some(group) = self.groups.get_mut(group) {
            group.free |= 1 << column;
            if filter.first.len() == filter.count as usize {
                let bits = self.sizes.bits;
                filter.first.iter().for_each(|probe| group.bits.remove(*probe, bits, column));
            } else {
                group.dirty |= 1 << column;
            }
        }
        self.current = (0..0, 0);
    }

    /// Removes the filters that have expired at `watermark`.
    pub(crate) fn expire(&mut self, watermark: i64) {
        if watermark < self.next_expiry {
            return;
        }
        while let Some(expired) =
            self.filters.iter().position(|filter| watermark >= filter.expires_at)
        {
            let filter = self.filters.remove(expired);
            self.release_column(&filter);
        }
        self.update_next_expiry();
    }

    fn update_next_expiry(&mut self) {
        self.next_expiry =
            self.filters.iter().map(|filter| filter.expires_at).min().unwrap_or(i64::MAX);
    }

    /// Returns the part of the filters at cursor `from`, at most `blocks` of one filter, and the
    /// next cursor.
    pub(crate) fn part(&self, from: u64, blocks: usize) -> (Option<FilterPart>, Option<u64>) {
        let (mut number, first) = split_cursor(from);
        let mut filters = self.filters.iter().skip(number);
        let Some(filter) = filters.next() else { return (None, None) };
        let (group, column) = self.group_and_column(filter.column);
        let words = self.groups.get(group).map(|group| group.bits.words(column, first));
        let words = words.into_iter().flatten().take(blocks * self.sizes.words).collect();
        let mut next = first + blocks;
        if next >= self.sizes.blocks as usize {
            (number, next) = (number + 1, 0);
        }
        let more = next > 0 || filters.next().is_some();
        let part = FilterPart { generation: filter.generation, count: filter.count, first, words };
        (Some(part), more.then_some((number as u64) << 32 | next as u64))
    }

    /// Restores parts of [`BloomSet::part`], in the same order. Returns false if the part is not
    /// valid.
    pub(crate) fn restore(&mut self, part: &FilterPart) -> bool {
        if part.first == 0 {
            let fits = self.filters.len() < self.sizes.max_filters();
            if !fits || part.count == 0 || part.count > self.sizes.per_filter {
                return false;
            }
            self.start_filter(part.generation, part.count);
        }
        let Some(filter) = self.filters.last() else { return false };
        let same = filter.generation == part.generation && filter.count == part.count;
        let whole = !part.words.is_empty() && part.words.len().is_multiple_of(self.sizes.words);
        let (group, column) = self.group_and_column(filter.column);
        let group = self.groups.get_mut(group).filter(|_| same && whole);
        group.is_some_and(|group| group.bits.set_words(column, part.first, &part.words))
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the halves of a place")]
fn split_cursor(place: u64) -> (usize, usize) {
    ((place >> 32) as usize, place as u32 as usize)
}
