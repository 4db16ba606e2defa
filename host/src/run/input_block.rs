//! Blocks of input bytes with headroom, so that the unfinished line before a block can be
//! prepended.

use std::mem;

/// Bytes that one block reads from its source at once.
pub(super) const BLOCK_BYTES: usize = 256 << 10;

/// Room in front of the data. The data is appended to a longer unfinished line instead.
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

    /// Puts the unfinished line of the block before in front of the data, and empties it.
    pub(super) fn prepend(&mut self, unfinished: &mut Vec<u8>) {
        if let Some(start) = self.start.checked_sub(unfinished.len()) {
            if let Some(headroom) = self.buffer.get_mut(start..self.start) {
                headroom.copy_from_slice(unfinished);
            }
            self.start = start;
        } else {
            unfinished.extend_from_slice(self.data());
            mem::swap(&mut self.buffer, unfinished);
            self.start = 0;
            self.end = self.buffer.len();
        }
        unfinished.clear();
    }

    /// Moves the rest of the data to `unfinished`, which is empty. Does not copy a line to which
    /// this block was appended.
    pub(super) fn take_rest(&mut self, unfinished: &mut Vec<u8>) {
        if self.start == 0 {
            self.buffer.truncate(self.end);
            mem::swap(&mut self.buffer, unfinished);
        } else {
            unfinished.extend_from_slice(self.data());
        }
        self.start = self.end;
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
        let mut unfinished = b"the ".to_vec();
        block.prepend(&mut unfinished);
        assert!(unfinished.is_empty());
        assert_eq!(block.data(), b"the rest\nnext");
        block.consume(9);
        block.take_rest(&mut unfinished);
        assert_eq!((block.data(), &*unfinished), (&b""[..], &b"next"[..]));
    }

    #[test]
    fn data_is_appended_to_an_unfinished_line_longer_than_the_headroom() {
        let mut unfinished = Vec::with_capacity(4 * HEADROOM_BYTES);
        unfinished.resize(HEADROOM_BYTES + 1, b'x');
        let place = unfinished.as_ptr();
        let mut joined = block(b"more");
        joined.prepend(&mut unfinished);
        joined.take_rest(&mut unfinished);
        assert_eq!((unfinished.as_ptr(), unfinished.len()), (place, HEADROOM_BYTES + 5));
        let mut joined = block(b"end\n");
        joined.prepend(&mut unfinished);
        assert_eq!(joined.data().len(), HEADROOM_BYTES + 9);
        assert!(joined.data().ends_with(b"xmoreend\n"));
        joined.reset();
        assert_eq!(joined.room().len(), BLOCK_BYTES);
    }
}
