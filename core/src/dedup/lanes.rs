//! The bits of several Bloom filters side by side, so that a look into all of them reads one line of the caches.

use super::sizes::Sizes;

/// Filters side by side: a bit of a byte for each, or one of half a byte.
pub(super) const MIN_LANES: usize = 4;
pub(super) const MAX_LANES: usize = 8;
/// Words of a block of one filter, at most.
pub(super) const MAX_WORDS: usize = 8;

/// A bit for each lane.
pub(super) type LaneSet = u8;

/// As long as a line of the caches, and where one begins.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line([u8; LINE_BYTES]);

const LINE_BYTES: usize = 64;

/// Places that one hash tells, and the bits of it that each takes: no block has more than 512 places.
const PLACES_OF_HASH: u32 = 7;
const BITS_OF_PLACE: u32 = 9;

/// Blocks of a few words for each of [`Sizes::lanes`] filters: the first bit of every one, the second bit of every one, and
/// so on. So each place that is looked at tells of all filters at once.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: usize,
    /// Places of a block.
    places: usize,
    /// Lines of a block.
    span: usize,
    lines: Vec<Line>,
}

/// Where an identity is looked for: the first line of its block, and the hash that tells its places in that.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spot {
    line: usize,
    places: u64,
}

/// Mixes a hash.
#[inline]
pub(super) fn mix(value: u64) -> u64 {
    let mixed = value.wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 32
}

impl Spot {
    /// In filters of `sizes`, by two hashes of the identity.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "less than the number of blocks")]
    pub(super) fn new(block: u64, places: u64, sizes: &Sizes) -> Self {
        let block = (((block >> 32) * u64::from(sizes.blocks)) >> 32) as usize;
        Self { line: block * span(sizes.lanes, sizes.words), places }
    }

    /// Gives `count` numbers, whose low bits are the places of the identity; some may be the same.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "only low bits count")]
    fn each_place(self, count: u32, mut take: impl FnMut(usize)) {
        let (mut hash, mut left) = (self.places, count);
        loop {
            let mut bits = hash;
            for _ in 0..left.min(PLACES_OF_HASH) {
                take(bits as usize);
                bits >>= BITS_OF_PLACE;
            }
            if left <= PLACES_OF_HASH {
                break;
            }
            left -= PLACES_OF_HASH;
            hash = mix(hash ^ 0xa076_1d64_78bd_642f);
        }
    }
}

/// Lines of a block of `words` for each of `lanes` filters.
#[inline]
fn span(lanes: usize, words: usize) -> usize {
    lanes * words * size_of::<u64>() / LINE_BYTES
}

impl Lanes {
    /// Empty filters: lanes and words are powers of two, and no line is left unused.
    pub(super) fn new(sizes: &Sizes) -> Self {
        let span = span(sizes.lanes, sizes.words);
        let lines = vec![Line([0; LINE_BYTES]); sizes.blocks as usize * span];
        Self { lanes: sizes.lanes, places: sizes.words * u64::BITS as usize, span, lines }
    }

    /// Reads the first line of `spot`.
    #[inline]
    pub(super) fn touch(&self, spot: Spot) -> u8 {
        self.lines.get(spot.line).map_or(0, |Line([first, ..])| *first)
    }

    /// The byte of a block's `place`, and how far in that its lanes are.
    #[inline]
    fn byte_of(&self, place: usize) -> (usize, usize) {
        let place = place & (self.places - 1);
        if self.lanes == MAX_LANES { (place, 0) } else { (place / 2, 4 * (place % 2)) }
    }

    /// The lanes that have all `count` places of `spot`.
    #[inline]
    pub(super) fn hits(&self, spot: Spot, count: u32) -> LaneSet {
        let mut set = LaneSet::MAX;
        match self.lines.get(spot.line..spot.line + self.span) {
            Some([Line(bytes)]) if self.lanes == MAX_LANES => spot.each_place(count, |place| {
                set &= bytes.get(place % LINE_BYTES).copied().unwrap_or_default();
            }),
            lines => spot.each_place(count, |place| {
                let (byte, shift) = self.byte_of(place);
                let line = lines.and_then(|lines| lines.get(byte / LINE_BYTES));
                let found = line.and_then(|Line(bytes)| bytes.get(byte % LINE_BYTES));
                set &= found.copied().unwrap_or_default() >> shift;
            }),
        }
        set
    }

    /// Sets all `count` places of `spot` in lane `lane`.
    #[inline]
    pub(super) fn insert(&mut self, spot: Spot, count: u32, lane: usize) {
        if self.span == 1 && self.lanes == MAX_LANES {
            let Some(Line(bytes)) = self.lines.get_mut(spot.line) else { return };
            spot.each_place(count, |place| {
                if let Some(byte) = bytes.get_mut(place % LINE_BYTES) {
                    *byte |= 1 << lane;
                }
            });
        } else {
            spot.each_place(count, |place| {
                if let Some((byte, shift)) = self.byte_mut(spot.line, place) {
                    *byte |= 1 << lane << shift;
                }
            });
        }
    }

    /// The byte of `place` in the block at `line`, and how far in that its lanes are.
    #[inline]
    fn byte_mut(&mut self, line: usize, place: usize) -> Option<(&mut u8, usize)> {
        let (byte, shift) = self.byte_of(place);
        let Line(bytes) = self.lines.get_mut(line + byte / LINE_BYTES)?;
        Some((bytes.get_mut(byte % LINE_BYTES)?, shift))
    }

    /// Empties the lanes of `set`.
    pub(super) fn clear(&mut self, set: LaneSet) {
        let in_byte = if self.lanes == MAX_LANES { set } else { set | set << MIN_LANES };
        for Line(bytes) in &mut self.lines {
            bytes.iter_mut().for_each(|byte| *byte &= !in_byte);
        }
    }

    /// The words of lane `lane`, block by block, from block `block` on.
    pub(super) fn words(&self, lane: usize, block: usize) -> impl Iterator<Item = u64> {
        let bytes_of_word = self.lanes * size_of::<u64>();
        let lines = self.lines.get(block * self.span..).unwrap_or_default();
        let words = lines.iter().flat_map(move |Line(bytes)| bytes.chunks(bytes_of_word));
        words.map(move |bytes| self.word(lane, bytes))
    }

    /// The word of lane `lane` whose places are in `bytes`.
    fn word(&self, lane: usize, bytes: &[u8]) -> u64 {
        bytes.iter().rev().fold(0, |word, byte| {
            if self.lanes == MAX_LANES {
                word << 1 | u64::from(byte >> lane & 1)
            } else {
                word << 2 | u64::from(byte >> lane & 1) | u64::from(byte >> lane >> 4 & 1) << 1
            }
        })
    }

    /// Puts `words` into lane `lane`, from block `block` on; false: there is no room for them.
    pub(super) fn set_words(&mut self, lane: usize, block: usize, words: &[u64]) -> bool {
        let words_of_block = self.places / u64::BITS as usize;
        let Some(first) = block.checked_mul(self.span) else { return false };
        for (number, word) in words.iter().enumerate() {
            let line = first.saturating_add(number / words_of_block * self.span);
            for bit in 0..u64::BITS as usize {
                let place = number % words_of_block * u64::BITS as usize + bit;
                let Some((byte, shift)) = self.byte_mut(line, place) else { return false };
                let clear = *byte & !(1 << lane << shift);
                *byte = clear | ((word >> bit & 1) as u8) << lane << shift;
            }
        }
        true
    }
}
