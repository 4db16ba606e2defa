//! The bits of several Bloom filters side by side, so that a look into all of them reads one line of the caches.

/// As long as a line of the caches, and where one begins.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line([u64; LINE_WORDS]);

const LINE_WORDS: usize = 8;

/// Filters side by side, at most.
pub(super) const MAX_LANES: usize = 8;
/// Words of a block, at most.
pub(super) const MAX_WORDS: usize = 8;

/// A bit for each lane.
pub(super) type LaneSet = u32;

/// Blocks of a few words, each for [`Lanes::lanes`] filters: of the first word that of each filter, then of the second word.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: usize,
    /// Lines of one block of all filters.
    span: usize,
    blocks: usize,
    lines: Vec<Line>,
}

/// The bits of an identity: its block by `first`, its places in that by `mask`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits {
    pub(super) first: u64,
    pub(super) mask: [u64; MAX_WORDS],
}

impl Lanes {
    /// Empty filters of `blocks` of `words`, `lanes` of them: both are powers of two, at most 8, and no line is left unused.
    pub(super) fn new(lanes: usize, words: usize, blocks: usize) -> Self {
        let span = lanes * words / LINE_WORDS;
        Self { lanes, span, blocks, lines: vec![Line([0; LINE_WORDS]); blocks * span] }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "less than the number of blocks")]
    fn line(&self, first: u64) -> usize {
        (((first >> 32) * self.blocks as u64) >> 32) as usize * self.span
    }

    /// Reads the first line that `first` belongs to.
    #[inline]
    pub(super) fn touch(&self, first: u64) -> u64 {
        self.lines.get(self.line(first)).map_or(0, |Line([first, ..])| *first)
    }

    /// The lanes that have all of `bits`.
    #[inline]
    pub(super) fn hits(&self, bits: &Bits) -> LaneSet {
        match self.lanes {
            8 => self.hits_of::<8>(bits),
            4 => self.hits_of::<4>(bits),
            2 => self.hits_of::<2>(bits),
            _ => self.hits_of::<1>(bits),
        }
    }

    #[inline]
    fn hits_of<const LANES: usize>(&self, bits: &Bits) -> LaneSet {
        let start = self.line(bits.first);
        let mut missing = [0; LANES];
        let lines = self.lines.get(start..start + self.span).unwrap_or_default();
        for (line, masks) in lines.iter().zip(bits.mask.chunks(LINE_WORDS / LANES)) {
            for (words, mask) in line.0.as_chunks::<LANES>().0.iter().zip(masks) {
                missing.iter_mut().zip(words).for_each(|(missing, word)| *missing |= mask & !word);
            }
        }
        missing.iter().rev().fold(0, |set, missing| set << 1 | LaneSet::from(*missing == 0))
    }

    /// Sets `bits` in lane `lane`.
    #[inline]
    pub(super) fn insert(&mut self, bits: &Bits, lane: usize) {
        match self.lanes {
            8 => self.insert_into::<8>(bits, lane),
            4 => self.insert_into::<4>(bits, lane),
            2 => self.insert_into::<2>(bits, lane),
            _ => self.insert_into::<1>(bits, lane),
        }
    }

    #[inline]
    fn insert_into<const LANES: usize>(&mut self, bits: &Bits, lane: usize) {
        let start = self.line(bits.first);
        let lines = self.lines.get_mut(start..start + self.span).unwrap_or_default();
        for (Line(words), masks) in lines.iter_mut().zip(bits.mask.chunks(LINE_WORDS / LANES)) {
            for (words, mask) in words.as_chunks_mut::<LANES>().0.iter_mut().zip(masks) {
                if let Some(word) = words.get_mut(lane) {
                    *word |= mask;
                }
            }
        }
    }

    /// Empties the lanes of `set`.
    pub(super) fn clear(&mut self, set: LaneSet) {
        let keep = core::array::from_fn::<u64, LINE_WORDS, _>(|at| {
            if set >> (at % self.lanes) & 1 == 1 { 0 } else { u64::MAX }
        });
        for Line(words) in &mut self.lines {
            words.iter_mut().zip(&keep).for_each(|(word, keep)| *word &= keep);
        }
    }

    /// The words of lane `lane`, block by block, from block `block` on.
    pub(super) fn words(&self, lane: usize, block: usize) -> impl Iterator<Item = u64> {
        let lines = self.lines.get(block * self.span..).unwrap_or_default();
        lines
            .iter()
            .flat_map(move |Line(words)| words.iter().skip(lane).step_by(self.lanes))
            .copied()
    }

    /// Puts `words` into lane `lane`, from block `block` on; false: there is no room for them.
    pub(super) fn set_words(&mut self, lane: usize, block: usize, words: &[u64]) -> bool {
        let lanes = self.lanes;
        let Some(start) = block.checked_mul(self.span) else { return false };
        let Some(lines) = self.lines.get_mut(start..) else { return false };
        let mut places =
            lines.iter_mut().flat_map(|Line(words)| words.iter_mut().skip(lane).step_by(lanes));
        words.iter().all(|word| places.next().map(|place| *place = *word).is_some())
    }
}
