//! Blocks of input bytes with room in front, so that the unfinished line before a block can be put before it.

/// Bytes that one block takes from its source at once.
pub(super) const BLOCK_BYTES: usize = 256 << 10;

/// Room in front of the data; a longer rest is joined by copying the block.
const HEADROOM_BYTES: usize = 64 << 10;

/// A run of input bytes.
#[derive(Debug, Default)]
pub(super) struct Block {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Block {
    /// A block of these bytes, and no room.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self { start: 0, end: bytes.len(), buffer: bytes }
    }

    /// Empties the block and makes room for [`BLOCK_BYTES`].
    pub(super) fn reset(&mut self) {
        self.buffer.resize(HEADROOM_BYTES + BLOCK_BYTES, 0);
        self.start = HEADROOM_BYTES;
        self.end = HEADROOM_BYTES;
    }

    /// What can still be filled; [`Block::filled`] says how much was.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.end..HEADROOM_BYTES + BLOCK_BYTES).unwrap_or_default()
    }

    pub(super) fn filled(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.buffer.len());
    }

    /// Puts `rest` before the data.
    pub(super) fn prepend(&mut self, rest: &[u8]) {
        if let Some(start) = self.start.checked_sub(rest.len()) {
            if let Some(room) = self.buffer.get_mut(start..self.start) {
                room.copy_from_slice(rest);
            }
            self.start = start;
        } else {
            let joined = [rest, self.data()].concat();
            self.start = 0;
            self.end = joined.len();
            self.buffer = joined;
        }
    }

    /// The bytes that have not been taken.
    pub(super) fn data(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Takes `bytes` from the front.
    pub(super) fn take(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(data: &[u8]) -> Block {
        let mut block = Block::default();
        block.reset();
        block.room()[..data.len()].copy_from_slice(data);
        block.filled(data.len());
        block
    }

    #[test]
    fn a_rest_goes_before_the_data() {
        let mut block = block(b"rest\nnext");
        block.prepend(b"the ");
        assert_eq!(block.data(), b"the rest\nnext");
        block.take(9);
        assert_eq!(block.data(), b"next");
        block.take(4);
        assert!(block.is_empty());
    }

    #[test]
    fn a_rest_longer_than_the_headroom_is_joined() {
        let long = vec![b'x'; HEADROOM_BYTES + 1];
        let mut joined = block(b"end\n");
        joined.prepend(&long);
        assert_eq!(joined.data().len(), HEADROOM_BYTES + 5);
        assert!(joined.data().ends_with(b"xend\n"));
        joined.reset();
        assert_eq!(joined.room().len(), BLOCK_BYTES);
    }
}
