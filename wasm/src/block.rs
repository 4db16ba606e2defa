//! Memory blocks that a host or JavaScript writes to directly.

/// The alignment of blocks, a cache line: aligned columns are copied and read fastest.
const ALIGNMENT: usize = 64;

/// A block of memory, aligned to a cache line.
#[derive(Default)]
pub(crate) struct AlignedBlock {
    words: Box<[u64]>,
    /// The number of words before the first aligned one.
    skipped: usize,
}

impl AlignedBlock {
    /// Allocates a zeroed block of at least `len` bytes; `None` if memory is exhausted.
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

/// Returns a pointer as an address in linear memory, which has 32 bits.
pub(crate) fn address<T>(pointer: *const T) -> u32 {
    u32::try_from(pointer.addr()).unwrap_or(0)
}
