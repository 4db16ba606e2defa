//! Fast path to a canonical form: simple values are copied into a buffer with spare room, in moves
//! of fixed length.

use super::canonical::{Canonical, NUMBER, OBJECT, STRING};
use crate::text::read::value::{Kind, Value};

/// Number of bytes that are copied at once.
const CHUNK: usize = 32;
const HALF: usize = CHUNK / 2;

/// A form under construction.
#[derive(Debug)]
pub(super) struct Form {
    bytes: Vec<u8>,
    /// Number of bytes that are part of the form.
    length: usize,
}

/// A part of forms that is known in advance.
#[derive(Debug)]
pub(super) struct Piece {
    /// The part, padded with zeros, if it fits.
    chunk: [u8; CHUNK],
    bytes: Box<[u8]>,
}

impl Piece {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut chunk = [0; CHUNK];
        chunk.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
        Self { chunk, bytes: bytes.into() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Form {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; 4 * CHUNK], length: 0 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    #[inline]
    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    /// Reserves room for `more` bytes and a chunk.
    #[inline]
    fn reserve(&mut self, more: usize) {
        if self.bytes.len() - self.length < more + CHUNK {
            self.grow(more);
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        self.bytes.resize(2 * (self.length + more + CHUNK), 0);
    }

    /// Writes `chunk` at `at`, where there is room.
    #[inline]
    fn write<const N: usize>(&mut self, at: usize, chunk: &[u8; N]) {
        if let Some(room) = self.bytes.get_mut(at..).and_then(|room| room.first_chunk_mut::<N>()) {
            *room = *chunk;
        }
    }

    #[inline]
    pub(super) fn push(&mut self, byte: u8) {
        self.reserve(1);
        self.write(self.length, &[byte]);
        self.length += 1;
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        let room = self.bytes.get_mut(self.length..).and_then(|room| room.get_mut(..bytes.len()));
        if let Some(room) = room {
            room.copy_from_slice(bytes);
            self.length += bytes.len();
        }
    }

    #[inline]
    pub(super) fn push_piece(&mut self, piece: &Piece) {
        if piece.bytes.len() > CHUNK {
            return self.extend(&piece.bytes);
        }
        self.reserve(CHUNK);
        self.write(self.length, &piece.chunk);
        self.length += piece.bytes.len();
    }

    /// Appends a value that a reader has found in `text`. Returns false if it is missing, null, or
    /// empty in CSV.
    #[inline(always)]
    pub(super) fn push_value(
        &mut self,
        value: &Value,
        text: &[u8],
        canonical: &mut Canonical,
    ) -> bool {
        match value.kind {
            Kind::String => self.push_string(text, value.start, value.end),
            Kind::Number if value.number.exact && value.number.exponent.unsigned_abs() <= 1000 => {
                self.push_number(value);
            }
            Kind::Missing | Kind::Null => return false,
            _ => return self.push_canonical(value, text, canonical),
        }
        true
    }

    /// Appends a string without escapes.
    #[inline(always)]
    fn push_string(&mut self, text: &[u8], start: usize, end: usize) {
        let length = end - start;
        self.reserve(length + 2);
        self.write(self.length, &[STRING]);
        let to = self.length + 1;
        // Copies both ends, which may overlap or coincide, so lengths above and below a half need
        // no branch.
        let reach = length.max(HALF);
        let ends = text
            .get(start..start + reach)
            .and_then(|text| Some((text.first_chunk::<HALF>()?, text.last_chunk::<HALF>()?)));
        match ends {
            Some((first, last)) if length <= CHUNK => {
                self.write(to, first);
                self.write(to + reach - HALF, last);
            }
            _ => self.copy(to, text.get(start..end).unwrap_or_default()),
        }
        self.length = to + length;
        self.write(self.length, &[0]);
        self.length += 1;
    }

    #[inline(never)]
    fn copy(&mut self, to: usize, text: &[u8]) {
        if let Some(room) = self.bytes.get_mut(to..).and_then(|room| room.get_mut(..text.len())) {
            room.copy_from_slice(text);
        }
    }

    /// Appends a number whose digits fit, with a small exponent.
    #[inline]
    fn push_number(&mut self, value: &Value) {
        let (mut mantissa, mut exponent) = (value.number.mantissa, value.number.exponent);
        let negative = value.number.negative && mantissa != 0;
        if mantissa == 0 {
            exponent = 0;
        }
        while mantissa != 0 && mantissa.is_multiple_of(10) {
            mantissa /= 10;
            exponent += 1;
        }
        let head = u64::from(NUMBER)
            | u64::from(negative) << 8
            | u64::from(exponent.cast_unsigned()) << 16
            | mantissa << 48;
        self.reserve(HALF);
        self.write(self.length, &head.to_le_bytes());
        self.write(self.length + 8, &(mantissa >> 16).to_le_bytes());
        self.length += 14;
    }

    /// Appends a value through `canonical`.
    #[inline(never)]
    fn push_canonical(&mut self, value: &Value, text: &[u8], canonical: &mut Canonical) -> bool {
        canonical.clear();
        let pushed = canonical.push_found(value, text);
        if pushed {
            self.extend(&canonical.bytes);
        }
        pushed
    }

    /// Appends a member that a reader has found in `text`. If `skip_null`, null and missing values
    /// are omitted.
    #[inline]
    pub(super) fn push_named(
        &mut self,
        name: &Piece,
        value: &Value,
        text: &[u8],
        canonical: &mut Canonical,
        skip_null: bool,
    ) {
        let before = self.length;
        self.push_piece(name);
        if self.push_value(value, text, canonical) {
            return;
        }
        if skip_null {
            self.length = before;
        } else {
            self.push(super::canonical::NULL);
        }
    }

    /// Appends the name of a member that is an object, whose members follow.
    pub(super) fn open_object(&mut self, name: &Piece) {
        self.push_piece(name);
        self.push(OBJECT);
    }

    /// Ends an object.
    pub(super) fn close(&mut self) {
        self.push(0);
    }
}
