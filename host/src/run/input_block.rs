//! Blocks of input bytes with headroom, so that the unfinished line before a block can be
//! prepended.

/// Bytes that one block reads from its source at once.
pub(super) const BLOCK_BYTES: usize = 256 << 10;

/// Room in front of the data. A longer unfinished line is joined by copying the whole block.
const HEADROOM_BYTES: usize = 64 << 10;

/// A block of input bytes.
#[derive(Debug, Default)]
pub(super) struct InputBlock {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl InputBlock {
    /// Creates a block that holds `bytes` and has no headroom.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { start: 0, end: bytes.len(), buffer: bytes }
    }

    /// Empties the block and makes room for [`BLOCK_BYTES`].
    pub(super) fn reset(&mut self) {
        self.buffer.resize(HEADROOM_BYTES + BLOCK_BYTES, 0);
        self.start = HEADROOM_BYTES;
        self.end = HEADROOM_BYTES;
    }

    /// Returns the room behind the data. After writing to it, call [`InputBlock::add_filled`].
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.end..HEADROOM_BYTES + BLOCK_BYTES).unwrap_or_default()
    }

    /// Adds the first `bytes` of [`InputBlock::room`] to the data.
    pub(super) fn add_filled(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.buffer.len());
    }

    /// Puts the unfinished line of the block before in front of the data.
    pub(super) fn prepend(&mut self, unfinished: &[u8]) {
        if let Some(start) = self.start.checked_sub(unfinished.len()) {
            if let Some(headroom) = self.buffer.get_mut(start..self.start) {
                headroom.copy_from_slice(unfinished);
            }
            self.start = start;
        } else {
            let joined = [unfinished, self.data()].concat();
            self.start = 0;
            self.end = joined.len();
            self.buffer = joined;
        }
    }

    /// Returns the bytes that were not consumed yet.
    pub(super) fn data(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Removes `bytes` from the front of the data.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(data: &[u8]) -> InputBlock {
        let mut block = InputBlock::default();
        block.reset();
        block.room()[..data.len()].copy_from_slice(data);
        block.add_filled(data.len());
        block
    }

    #[test]
    fn unfinished_line_goes_before_the_data() {
        let mut block = block(b"rest\nnext");
        block.prepend(b"the ");
        assert_eq!(block.data(), b"the rest\nnext");
        block.consume(9);
        assert_eq!(block.data(), b"next");
        block.consume(4);
        assert_eq!(block.data(), b"");
    }

    #[test]
    fn unfinished_line_longer_than_the_headroom_is_joined_by_copying() {
        let long = vec![b'x'; HEADROOM_BYTES + 1];
        let mut joined = block(b"end\n");
        joined.prepend(&long);
        assert_eq!(joined.data().len(), HEADROOM_BYTES + 5);
        assert!(joined.data().ends_with(b"xend\n"));
        joined.reset();
        assert_eq!(joined.room().len(), BLOCK_BYTES);
    }
}
