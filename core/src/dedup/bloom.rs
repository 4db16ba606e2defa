//! The memory of identities in Bloom filters: small, never forgetful within the ttl, at times wrong about what is new.

use core::ops::Range;

use super::lanes::{LaneSet, Lanes, MAX_LANES, Spot, mix};
use super::sizes::Sizes;
use super::{Seen, is_forgotten};
use crate::data::batch::{Identity, NO_IDENTITY};

/// Identities that are looked up together.
const AHEAD: usize = 64;

/// A filter of one generation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Filter {
    generation: i64,
    /// When all in it is over.
    until: i64,
    count: u32,
    /// Its place among all lanes.
    lane: usize,
}

/// Remembers identities by generation: pieces of time, each with a filter or, where more come than expected, several.
#[derive(Debug)]
pub(crate) struct Bloom {
    sizes: Sizes,
    ttl_us: Option<i64>,
    /// The length of a generation.
    span_us: i64,
    refresh: bool,
    /// In the order in which they were begun.
    filters: Vec<Filter>,
    /// The bits of the filters, so many side by side.
    planes: Vec<Plane>,
    /// The time of the generation that was inserted into last, and the place of the filter for it.
    current: (Range<i64>, usize),
    /// When the first of the filters is over.
    next_end: i64,
    evicted: u64,
}

#[derive(Debug)]
struct Plane {
    lanes: Lanes,
    /// Those that no filter has, and of them those that have to be emptied first.
    free: LaneSet,
    dirty: LaneSet,
}

/// A piece of a filter, for snapshots.
pub(crate) struct FilterPart {
    pub(crate) generation: i64,
    pub(crate) count: u32,
    /// The number of its first block.
    pub(crate) first: usize,
    pub(crate) words: Vec<u64>,
}

/// Two hashes, mixed from the whole identity by fixed numbers: what is taken for a duplicate must not depend on a seed.
///
/// Multiplications of 64 bits, since wider ones are slow in WebAssembly.
#[inline]
fn hashes([low, high]: Identity) -> (u64, u64) {
    let both = low
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add((high ^ 0x2d35_8dcc_aa6c_78a5).wrapping_mul(0xbf58_476d_1ce4_e5b9));
    let first = mix(both ^ both >> 32);
    (first, mix(first))
}

impl Plane {
    fn new(sizes: &Sizes) -> Self {
        Self { lanes: Lanes::new(sizes), free: LaneSet::MAX >> (MAX_LANES - sizes.lanes), dirty: 0 }
    }

    /// An empty lane.
    fn take(&mut self) -> Option<usize> {
        if self.free == 0 {
            return None;
        }
        if self.free == self.dirty {
            self.lanes.clear(self.dirty);
            self.dirty = 0;
        }
        let lane = (self.free & !self.dirty).trailing_zeros();
        self.free &= !(1 << lane);
        Some(lane as usize)
    }
}

impl Bloom {
    pub(crate) fn new(sizes: Sizes, ttl_us: Option<i64>, refresh: bool) -> Self {
        let span_us = ttl_us.map_or(i64::MAX, |ttl| (ttl / i64::from(sizes.generations)).max(1));
        Self {
            sizes,
            ttl_us,
            span_us,
            refresh,
            filters: Vec::new(),
            planes: Vec::new(),
            current: (0..0, 0),
            next_end: i64::MAX,
            evicted: 0,
        }
    }

    /// Identities in it.
    pub(crate) fn len(&self) -> u64 {
        self.filters.iter().map(|filter| u64::from(filter.count)).sum()
    }

    /// Bytes of all filters.
    pub(crate) fn bytes(&self) -> u64 {
        self.filters.len() as u64 * self.sizes.filter_bytes()
    }

    /// Identities that a limit has pushed out.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(crate) fn restore_evicted(&mut self, evicted: u64) {
        self.evicted = evicted;
    }

    /// Takes note of `identities` in order, each at its time and under its watermark, and hands what it finds to `seen`.
    pub(crate) fn see_all(
        &mut self,
        identities: &[Identity],
        moments: impl Fn(usize) -> (i64, i64),
        mut seen: impl FnMut(usize, Seen),
    ) {
        let mut all = [Spot::default(); AHEAD];
        for (group, identities) in identities.chunks(AHEAD).enumerate() {
            self.fetch(identities, &mut all);
            for (at, (spot, identity)) in (group * AHEAD..).zip(all.iter().zip(identities)) {
                if *identity == NO_IDENTITY {
                    seen(at, Seen::Unidentified);
                    continue;
                }
                let (time, watermark) = moments(at);
                seen(at, self.see(*spot, time, watermark));
            }
        }
    }

    /// Hashes `identities`, and reads the lines that they will be looked up in: each by itself would wait for memory.
    #[inline(never)]
    fn fetch(&self, identities: &[Identity], all: &mut [Spot; AHEAD]) {
        for (spot, identity) in all.iter_mut().zip(identities) {
            let (block, places) = hashes(*identity);
            *spot = Spot::new(block, places, &self.sizes);
        }
        let mut fetched = 0;
        for plane in &self.planes {
            for spot in all.iter() {
                fetched |= plane.lanes.touch(*spot);
            }
        }
        core::hint::black_box(fetched);
    }

    /// Takes note of what is at `spot`. What cannot be judged is not remembered: its filter would be emptied soon.
    #[inline]
    fn see(&mut self, spot: Spot, time: i64, watermark: i64) -> Seen {
        let there = self.holds(spot, time.max(watermark));
        if !there && is_forgotten(self.ttl_us, time, watermark) {
            return Seen::Unjudged;
        }
        if !there || self.refresh {
            self.insert(spot, there, time, watermark);
        }
        if there { Seen::Before } else { Seen::First }
    }

    /// Whether a filter that is not over at `now` holds `spot`.
    #[inline]
    fn holds(&self, spot: Spot, now: i64) -> bool {
        self.planes.iter().enumerate().any(|(number, plane)| {
            let hits = plane.lanes.hits(spot, self.sizes.bits) & !plane.free;
            hits != 0 && (now < self.next_end || self.is_open(number, hits, now))
        })
    }

    /// Whether one of the lanes `hits` of plane `number` has a filter that is not over at `now`.
    #[inline(never)]
    fn is_open(&self, number: usize, hits: LaneSet, now: i64) -> bool {
        self.filters.iter().any(|filter| {
            let (plane, lane) = self.split(filter.lane);
            plane == number && hits >> lane & 1 == 1 && now < filter.until
        })
    }

    /// The number of the plane that has lane `lane`, and the lane's number in it.
    #[inline]
    fn split(&self, lane: usize) -> (usize, usize) {
        // Lanes are a power of two, and divisions are slow.
        (lane >> self.sizes.lanes.trailing_zeros(), lane & (self.sizes.lanes - 1))
    }

    #[inline]
    fn insert(&mut self, spot: Spot, there: bool, time: i64, watermark: i64) {
        if !self.current.0.contains(&time) {
            self.turn_to(time);
        }
        let per_filter = self.sizes.per_filter;
        let lane = self.filters.get(self.current.1).map_or(0, |filter| filter.lane);
        let (plane, lane) = self.split(lane);
        let filter = self.filters.get_mut(self.current.1);
        let Some(filter) = filter.filter(|filter| filter.count < per_filter || there) else {
            return self.insert_into_new(spot, time, watermark);
        };
        let Some(plane) = self.planes.get_mut(plane) else { return };
        if there {
            if plane.lanes.hits(spot, self.sizes.bits) >> lane & 1 == 1 {
                return;
            }
            if filter.count >= per_filter {
                return self.insert_into_new(spot, time, watermark);
            }
        }
        filter.count += 1;
        plane.lanes.insert(spot, self.sizes.bits, lane);
    }

    #[cold]
    fn insert_into_new(&mut self, spot: Spot, time: i64, watermark: i64) {
        self.expire(watermark);
        let most = self.sizes.max_identities(self.ttl_us.is_some());
        if self.len() >= most || self.filters.len() >= self.sizes.max_filters() {
            let oldest = self.filters.remove(0);
            self.evicted += u64::from(oldest.count);
            self.give_back(oldest.lane);
            self.find_next_end();
        }
        self.begin(self.generation(time), 1);
        self.turn_to(time);
        if let Some((plane, lane)) = self.filters.last().map(|filter| self.split(filter.lane))
            && let Some(plane) = self.planes.get_mut(plane)
        {
            plane.lanes.insert(spot, self.sizes.bits, lane);
        }
    }

    fn generation(&self, time: i64) -> i64 {
        if self.ttl_us.is_some() { time.div_euclid(self.span_us) } else { 0 }
    }

    /// Finds the newest filter of the generation of `time`.
    #[cold]
    fn turn_to(&mut self, time: i64) {
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

    /// Begins a filter of `generation` for `count` identities; its lane.
    fn begin(&mut self, generation: i64, count: u32) -> usize {
        let until = self.ttl_us.map_or(i64::MAX, |ttl| {
            let end = generation.saturating_add(1).saturating_mul(self.span_us);
            end.saturating_sub(1).saturating_add(ttl)
        });
        let lanes = self.sizes.lanes;
        let found = self
            .planes
            .iter_mut()
            .enumerate()
            .find_map(|(number, plane)| plane.take().map(|lane| number * lanes + lane));
        let lane = found.unwrap_or_else(|| {
            let mut plane = Plane::new(&self.sizes);
            let lane = plane.take().unwrap_or_default();
            self.planes.push(plane);
            (self.planes.len() - 1) * lanes + lane
        });
        self.filters.push(Filter { generation, until, count, lane });
        self.next_end = self.next_end.min(until);
        lane
    }

    /// Takes note that the filter of lane `lane` is gone.
    fn give_back(&mut self, lane: usize) {
        let (plane, lane) = self.split(lane);
        if let Some(plane) = self.planes.get_mut(plane) {
            plane.free |= 1 << lane;
            plane.dirty |= 1 << lane;
        }
        self.current = (0..0, 0);
    }

    /// Forgets what is over when the watermark is `watermark`.
    pub(crate) fn expire(&mut self, watermark: i64) {
        if watermark < self.next_end {
            return;
        }
        while let Some(over) = self.filters.iter().position(|filter| watermark >= filter.until) {
            let lane = self.filters.remove(over).lane;
            self.give_back(lane);
        }
        self.find_next_end();
    }

    fn find_next_end(&mut self) {
        self.next_end = self.filters.iter().map(|filter| filter.until).min().unwrap_or(i64::MAX);
    }

    /// The filters, block by block: the part from `from` on, at most `blocks` of one filter, and
    /// where to go on.
    pub(crate) fn part(&self, from: u64, blocks: usize) -> (Option<FilterPart>, Option<u64>) {
        let (mut number, first) = parts_of(from);
        let mut filters = self.filters.iter().skip(number);
        let Some(filter) = filters.next() else { return (None, None) };
        let (plane, lane) = self.split(filter.lane);
        let lanes = self.planes.get(plane).map(|plane| plane.lanes.words(lane, first));
        let words = lanes.into_iter().flatten().take(blocks * self.sizes.words).collect();
        let mut next = first + blocks;
        if next >= self.sizes.blocks as usize {
            (number, next) = (number + 1, 0);
        }
        let more = next > 0 || filters.next().is_some();
        let part = FilterPart { generation: filter.generation, count: filter.count, first, words };
        (Some(part), more.then_some((number as u64) << 32 | next as u64))
    }

    /// Puts back what [`Bloom::part`] gave, in that order; false: it cannot have been in there.
    pub(crate) fn restore(&mut self, part: &FilterPart) -> bool {
        if part.first == 0 {
            let fits = self.filters.len() < self.sizes.max_filters();
            if !fits || part.count == 0 || part.count > self.sizes.per_filter {
                return false;
            }
            self.begin(part.generation, part.count);
        }
        let Some(filter) = self.filters.last() else { return false };
        let same = filter.generation == part.generation && filter.count == part.count;
        let whole = !part.words.is_empty() && part.words.len().is_multiple_of(self.sizes.words);
        let (plane, lane) = self.split(filter.lane);
        let plane = self.planes.get_mut(plane).filter(|_| same && whole);
        plane.is_some_and(|plane| plane.lanes.set_words(lane, part.first, &part.words))
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the halves of a place")]
fn parts_of(place: u64) -> (usize, usize) {
    ((place >> 32) as usize, place as u32 as usize)
}
