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
        let mut tables = Box::new([[0; 256]; STEP]);
        let [first, others @ ..] = &mut *tables;
        for (byte, rest) in (0_u32..).zip(first.iter_mut()) {
            *rest =
                (0..8).fold(byte, |rest, _| rest >> 1 ^ (POLYNOMIAL & (rest & 1).wrapping_neg()));
        }
        let (first, mut before) = (&*first, &*first);
        for table in others {
            for (rest, before) in table.iter_mut().zip(before) {
                *rest = after_zero(first, *before);
            }
            before = table;
        }
        tables
    }

    /// Returns the checksum of `bytes`.
    pub(super) fn checksum(tables: &Tables, bytes: &[u8]) -> u32 {
        let [first, ..] = tables;
        let (steps, rest) = bytes.as_chunks::<STEP>();
        let sum = steps.iter().fold(!0_u32, |sum, step| {
            let word = u64::from_le_bytes(*step) ^ u64::from(sum);
            let bytes = word.to_le_bytes().into_iter();
            bytes.zip(tables.iter().rev()).fold(0, |sum, (byte, table)| sum ^ entry(table, byte))
        });
        !rest.iter().fold(sum, |sum, byte| after_zero(first, sum ^ u32::from(*byte)))
    }

    /// Returns the remainder of `rest` and a zero byte after it.
    fn after_zero(first: &[u32; 256], rest: u32) -> u32 {
        rest >> 8 ^ entry(first, (rest & 0xFF) as u8)
    }

    fn entry(table: &[u32; 256], byte: u8) -> u32 {
        table.get(usize::from(byte)).copied().unwrap_or_default()
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
