//! The checksum of sections: CRC-32 with the polynomial of zlib and Ethernet.

/// Returns the checksum of `bytes`.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Returns the checksum of `bytes`.
///
/// In the module the tables are computed at the first use: stored, they are 16 KB that no
/// compression makes smaller, and crc32fast has no instructions to use there.
#[cfg(target_arch = "wasm32")]
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    use std::sync::LazyLock;

    static TABLES: LazyLock<Box<computed::Tables>> = LazyLock::new(computed::tables);
    computed::checksum(&TABLES, bytes)
}

#[cfg(any(test, target_arch = "wasm32"))]
mod computed {
    /// The polynomial, lowest power first.
    const POLYNOMIAL: u32 = 0xEDB8_8320;
    /// Bytes that are taken at once.
    const STEP: usize = 8;

    /// Entry `b` of table `n` is the remainder of the byte `b` and `n` zero bytes after it.
    pub(super) type Tables = [[u32; 256]; STEP];

    /// Returns the tables.
    pub(super) fn tables() -> Box<Tables> {
        let by_byte = (0..=255).map(|byte| {
            (0..8).fold(byte, |rest: u32, _| rest >> 1 ^ (POLYNOMIAL & (rest & 1).wrapping_neg()))
        });
        let mut tables = Box::new([[0; 256]; STEP]);
        for (byte, rest) in by_byte.enumerate() {
            tables[0][byte] = rest;
        }
        for zeros in 1..STEP {
            for byte in 0..256 {
                tables[zeros][byte] = after_zero(&tables[0], tables[zeros - 1][byte]);
            }
        }
        tables
    }

    /// Returns the checksum of `bytes`.
    pub(super) fn checksum(tables: &Tables, bytes: &[u8]) -> u32 {
        let (steps, rest) = bytes.as_chunks::<STEP>();
        let mut sum = steps.iter().fold(!0_u32, |sum, step| {
            let word = u64::from_le_bytes(*step) ^ u64::from(sum);
            let bytes = word.to_le_bytes().into_iter();
            let remainders =
                bytes.zip(tables.iter().rev()).map(|(byte, table)| table[usize::from(byte)]);
            remainders.fold(0, |sum, remainder| sum ^ remainder)
        });
        for byte in rest {
            sum = after_zero(&tables[0], sum ^ u32::from(*byte));
        }
        !sum
    }

    /// Returns the remainder of `rest` and a zero byte after it.
    fn after_zero(by_byte: &[u32; 256], rest: u32) -> u32 {
        rest >> 8 ^ by_byte[(rest & 0xFF) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computed_checksums_are_those_of_crc32fast() {
        let tables = computed::tables();
        assert_eq!(computed::checksum(&tables, b"123456789"), 0xCBF4_3926);
        let bytes: Vec<u8> = (0_u32..200).map(|n| (n.wrapping_mul(n) >> 3) as u8).collect();
        for length in 0..bytes.len() {
            let bytes = &bytes[..length];
            assert_eq!(computed::checksum(&tables, bytes), checksum(bytes), "{length} bytes");
        }
    }
}
