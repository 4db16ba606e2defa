//! Bits of several Bloom filters, interleaved so that a look-up in all of them reads one cache
//! line.
//!
//! ```text
//! block:  position 0          position 1          ...
//!         f0 f1 f2 ... f7     f0 f1 f2 ... f7          one bit of each filter, side by side
//! ```
//!
//! A column is one filter's bit in these groups of bits.

use super::bloom_sizes::BloomSizes;

/// Filters per group: half a byte or one byte for each position.
pub(super) const MIN_COLUMNS: usize = 4;
pub(super) const MAX_COLUMNS: usize = 8;
/// Maximum number of words in a block of one filter.
pub(super) const MAX_WORDS: usize = 8;

/// A set of columns, one bit each.
pub(super) type ColumnSet = u8;

/// One cache line, aligned to it.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line([u8; LINE_BYTES]);

const LINE_BYTES: usize = 64;

/// Positions derived from one hash, and hash bits per position: no block has more than 512
/// positions.
const POSITIONS_PER_HASH: u32 = 7;
const BITS_PER_POSITION: u32 = 9;

/// Blocks of [`BloomSizes::columns`] filters: the first bit of every filter, the second bit of
/// every filter, and so on. One access per position tests all filters.
#[derive(Debug)]
pub(super) struct InterleavedBits {
    columns: usize,
    /// Positions per block.
    positions: usize,
    /// Cache lines per block.
    lines_per_block: usize,
    lines: Vec<Line>,
}

/// Block and positions of an identity: the first line of its block, and the hash of its positions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct BlockProbe {
    line: usize,
    positions: u64,
}

/// Mixes a hash.
#[inline]
pub(super) fn mix(value: u64) -> u64 {
    let mixed = value.wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 32
}

impl BlockProbe {
    /// Computes the probe of an identity from two hashes of it.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "less than the number of blocks")]
    pub(super) fn new(block: u64, positions: u64, sizes: &BloomSizes) -> Self {
        let block = (((block >> 32) * u64::from(sizes.blocks)) >> 32) as usize;
        Self { line: block * lines_per_block(sizes.columns, sizes.words), positions }
    }

    /// Calls `take` with `count` numbers whose low bits are positions. Positions may repeat.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "only low bits count")]
    fn each_position(self, count: u32, mut take: impl FnMut(usize)) {
        let (mut hash, mut left) = (self.positions, count);
        loop {
            let mut bits = hash;
            for _ in 0..left.min(POSITIONS_PER_HASH) {
                take(bits as usize);
                bits >>= BITS_PER_POSITION;
            }
            if left <= POSITIONS_PER_HASH {
                break;
            }
            left -= POSITIONS_PER_HASH;
            hash = mix(hash ^ 0xa076_1d64_78bd_642f);
        }
    }
}

/// Returns the cache lines of a block with `words` words for each of `columns` filters.
#[inline]
fn lines_per_block(columns: usize, words: usize) -> usize {
    columns * words * size_of::<u64>() / LINE_BYTES
}

impl InterleavedBits {
    /// Makes empty filters. Columns and words must be powers of two that fill whole lines.
    pub(super) fn new(sizes: &BloomSizes) -> Self {
        let lines_per_block = lines_per_block(sizes.columns, sizes.words);
        let lines = vec![Line([0; LINE_BYTES]); sizes.blocks as usize * lines_per_block];
        Self {
            columns: sizes.columns,
            positions: sizes.words * u64::BITS as usize,
            lines_per_block,
            lines,
        }
    }

    /// Reads the first line of `probe` into the cache.
    #[inline]
    pub(super) fn prefetch(&self, probe: BlockProbe) -> u8 {
        self.lines.get(probe.line).map_or(0, |Line([first, ..])| *first)
    }

    /// Returns the byte of `position` in a block and the bit offset of its columns in that byte.
    #[inline]
    fn byte_of(&self, position: usize) -> (usize, usize) {
        let position = position & (self.positions - 1);
        if self.columns == MAX_COLUMNS { (position, 0) } else { (position / 2, 4 * (position % 2)) }
    }

    /// Returns the columns that have all `count` positions of `probe` set.
    #[inline]
    pub(super) fn columns_with_all(&self, probe: BlockProbe, count: u32) -> ColumnSet {
        let mut set = ColumnSet::MAX;
        match self.lines.get(probe.line..probe.line + self.lines_per_block) {
            Some([Line(bytes)]) if self.columns == MAX_COLUMNS => {
                probe.each_position(count, |position| {
                    set &= bytes.get(position % LINE_BYTES).copied().unwrap_or_default();
                })
            }
            lines => probe.each_position(count, |position| {
                let (byte, shift) = self.byte_of(position);
                let line = lines.and_then(|lines| lines.get(byte / LINE_BYTES));
                let found = line.and_then(|Line(bytes)| bytes.get(byte % LINE_BYTES));
                set &= found.copied().unwrap_or_default() >> shift;
            }),
        }
        set
    }

    /// Sets all `count` positions of `probe` in `column`.
    #[inline]
    pub(super) fn insert(&mut self, probe: BlockProbe, count: u32, column: usize) {
        if self.lines_per_block == 1 && self.columns == MAX_COLUMNS {
            let Some(Line(bytes)) = self.lines.get_mut(probe.line) else { return };
            probe.each_position(count, |position| {
                if let Some(byte) = bytes.get_mut(position % LINE_BYTES) {
                    *byte |= 1 << column;
                }
            });
        } else {
            probe.each_position(count, |position| {
                if let Some((byte, shift)) = self.byte_mut(probe.line, position) {
                    *byte |= 1 << column << shift;
                }
            });
        }
    }

    /// Returns the byte of `position` in the block at `line` and the bit offset of its columns.
    #[inline]
    fn byte_mut(&mut self, line: usize, position: usize) -> Option<(&mut u8, usize)> {
        let (byte, shift) = self.byte_of(position);
        let Line(bytes) = self.lines.get_mut(line + byte / LINE_BYTES)?;
        Some((bytes.get_mut(byte % LINE_BYTES)?, shift))
    }

    /// Clears all `count` positions of `probe` in `column`.
    pub(super) fn remove(&mut self, probe: BlockProbe, count: u32, column: usize) {
        probe.each_position(count, |position| {
            if let Some((byte, shift)) = self.byte_mut(probe.line, position) {
                *byte &= !(1 << column << shift);
            }
        });
    }

    /// Clears the columns of `set`.
    pub(super) fn clear(&mut self, set: ColumnSet) {
        let in_byte = if self.columns == MAX_COLUMNS { set } else { set | set << MIN_COLUMNS };
        for Line(bytes) in &mut self.lines {
            bytes.iter_mut().for_each(|byte| *byte &= !in_byte);
        }
    }

    /// Returns the words of `column`, block by block, from block `block` on.
    pub(super) fn words(&self, column: usize, block: usize) -> impl Iterator<Item = u64> {
        let bytes_of_word = self.columns * size_of::<u64>();
        let lines = self.lines.get(block * self.lines_per_block..).unwrap_or_default();
        let words = lines.iter().flat_map(move |Line(bytes)| bytes.chunks(bytes_of_word));
        words.map(move |bytes| self.word(column, bytes))
    }

    /// Returns the word of `column` whose positions are in `bytes`.
    fn word(&self, column: usize, bytes: &[u8]) -> u64 {
        bytes.iter().rev().fold(0, |word, byte| {
            if self.columns == MAX_COLUMNS {
                word << 1 | u64::from(byte >> column & 1)
            } else {
                word << 2 | u64::from(byte >> column & 1) | u64::from(byte >> column >> 4 & 1) << 1
            }
        })
    }

    /// Writes `words` to `column` from block `block` on. Returns false if they do not fit.
    pub(super) fn set_words(&mut self, column: usize, block: usize, words: &[u64]) -> bool {
        let words_of_block = self.positions / u64::BITS as usize;
        let Some(first) = block.checked_mul(self.lines_per_block) else { return false };
        for (number, word) in words.iter().enumerate() {
            let line = first.saturating_add(number / words_of_block * self.lines_per_block);
            for bit in 0..u64::BITS as usize {
                let position = number % words_of_block * u64::BITS as usize + bit;
                let Some((byte, shift)) = self.byte_mut(line, position) else { return false };
                let clear = *byte & !(1 << column << shift);
                *byte = clear | ((word >> bit & 1) as u8) << column << shift;
            }
        }
        true
    }
}
