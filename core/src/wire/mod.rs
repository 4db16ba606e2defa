//! The blocks of the module's C ABI (docs/abi.md): batches, key and partition definitions, rows and
//! dropped events as bytes.
//!
//! ```text
//! host                                         module
//! encode_batch            ── events ──>        decode_batch
//! encode_key_definitions  ── definitions ──>   decode_key_definitions
//! decode_rows             <── rows ──          encode_rows
//! decode_drops            <── drops ──         encode_drops
//! decode_error            <── error ──         encode_error
//! ```
//!
//! Each file contains the writer and the reader of one block, so that host and module cannot
//! disagree. Readers borrow from the block, which must be aligned to 8 bytes on a little-endian
//! machine.

mod drops;
mod errors;
mod events;
mod keys;
mod rows;

pub use drops::{decode_drops, encode_drops};
pub use errors::{ReportedError, decode_error, encode_error};
pub use events::{BatchColumns, BatchShape, DecodedBatch, batch_len, decode_batch, encode_batch};
pub use keys::{
    decode_key_definitions, decode_partition_definitions, encode_key_definitions,
    encode_partition_definitions, key_definitions_len,
};
pub use rows::{decode_rows, encode_rows};

use crate::error::Error;

const _: () = assert!(cfg!(target_endian = "little"), "blocks are used where they lie");

/// A block that the module returns: bytes aligned to 8.
#[derive(Debug, Default)]
pub struct Block {
    words: Vec<u64>,
    len: usize,
}

impl Block {
    /// Resizes the block to `len` bytes, all zero.
    pub fn clear_to(&mut self, len: usize) {
        self.words.clear();
        self.words.resize(len.div_ceil(8), 0);
        self.len = len;
    }

    /// Returns the bytes of the block.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words).get(..self.len).unwrap_or_default()
    }

    fn as_bytes_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.words).get_mut(..self.len).unwrap_or_default()
    }
}

fn padded(len: usize) -> usize {
    len.saturating_add(7) / 8 * 8
}

/// Writes a header and sections into a block of exactly their length.
struct BlockWriter<'a> {
    bytes: &'a mut [u8],
}

impl<'a> BlockWriter<'a> {
    fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes }
    }

    fn put(&mut self, bytes: &[u8]) {
        let all = core::mem::take(&mut self.bytes);
        match all.split_at_mut_checked(bytes.len()) {
            Some((place, rest)) => {
                place.copy_from_slice(bytes);
                self.bytes = rest;
            }
            None => debug_assert!(false, "a block is longer than its length says"),
        }
    }

    fn u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn length(&mut self, value: usize) {
        self.u32(u32::try_from(value).unwrap_or(u32::MAX));
    }

    /// Writes a section: the bytes of `values`, padded.
    fn section<T: bytemuck::NoUninit>(&mut self, values: &[T]) {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        self.put(bytes);
        self.put([0; 8].get(..padded(bytes.len()) - bytes.len()).unwrap_or_default());
    }

    /// Reserves a section of `count` values, which the caller writes.
    fn room<T: bytemuck::Pod>(&mut self, count: usize) -> Result<&'a mut [T], Error> {
        let len = count.saturating_mul(size_of::<T>());
        let all = core::mem::take(&mut self.bytes);
        let (section, rest) = all.split_at_mut_checked(padded(len)).ok_or(ENDS_EARLY)?;
        self.bytes = rest;
        let (section, padding) = section.split_at_mut_checked(len).ok_or(ENDS_EARLY)?;
        padding.fill(0);
        bytemuck::try_cast_slice_mut(section).map_err(|_| UNALIGNED)
    }
}

/// Reads a block and checks every length.
struct BlockReader<'a> {
    bytes: &'a [u8],
}

impl<'a> BlockReader<'a> {
    fn new(bytes: &'a [u8], magic: [u8; 4], wrong: &'static str) -> Result<Self, Error> {
        match bytes.split_first_chunk() {
            Some((found, rest)) if *found == magic => Ok(Self { bytes: rest }),
            _ => Err(Error::MalformedBlock(wrong)),
        }
    }

    fn u32(&mut self) -> Result<u32, Error> {
        let (value, rest) = self.bytes.split_first_chunk().ok_or(ENDS_EARLY)?;
        self.bytes = rest;
        Ok(u32::from_le_bytes(*value))
    }

    fn length(&mut self) -> Result<usize, Error> {
        Ok(self.u32()? as usize)
    }

    fn skip(&mut self, len: usize) -> Result<(), Error> {
        self.bytes = self.bytes.get(len..).ok_or(ENDS_EARLY)?;
        Ok(())
    }

    /// Reads a section of `count` values.
    fn section<T: bytemuck::AnyBitPattern>(&mut self, count: usize) -> Result<&'a [T], Error> {
        let len = count.checked_mul(size_of::<T>()).ok_or(ENDS_EARLY)?;
        let (section, rest) = self.bytes.split_at_checked(padded(len)).ok_or(ENDS_EARLY)?;
        self.bytes = rest;
        bytemuck::try_cast_slice(section.get(..len).unwrap_or_default()).map_err(|_| UNALIGNED)
    }

    fn end(self) -> Result<(), Error> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(Error::MalformedBlock("bytes follow the end of a block"))
        }
    }
}

const UNALIGNED: Error = Error::MalformedBlock("a block is not aligned to 8 bytes");
const ENDS_EARLY: Error = Error::MalformedBlock("a block ends before its sections do");
