//! Memory that a host or JavaScript writes into directly.

/// A cache line: columns that begin on one are copied and read fastest.
const ALIGNMENT: usize = 64;

/// Words that begin on a cache line.
#[derive(Default)]
pub(crate) struct AlignedBlock {
    words: Box<[u64]>,
    /// Words before the first that is aligned.
    skipped: usize,
}

impl AlignedBlock {
    /// A block of at least `len` bytes, all zero; `None` where there is no room.
    pub(crate) fn new(len: usize) -> Option<Self> {
        let spare = ALIGNMENT / size_of::<u64>() - 1;
        let words = len.div_ceil(size_of::<u64>()).max(1) + spare;
        let mut list = Vec::<u64>::new();
        list.try_reserve_exact(words).ok()?;
        list.resize(words, 0);
        let words = list.into_boxed_slice();
        let skipped = words.as_ptr().align_offset(ALIGNMENT).min(spare);
        Some(Self { words, skipped })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(self.words.get(self.skipped..).unwrap_or_default())
    }

    pub(crate) fn words_mut(&mut self) -> &mut [u64] {
        self.words.get_mut(self.skipped..).unwrap_or_default()
    }

    pub(crate) fn address(&self) -> u32 {
        address(self.bytes().as_ptr())
    }
}

/// A pointer in linear memory, which has 32 bits.
pub(crate) fn address<T>(pointer: *const T) -> u32 {
    u32::try_from(pointer.addr()).unwrap_or(0)
}
