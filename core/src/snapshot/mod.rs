//! The form of snapshots: sections of raw little-endian columns, each versioned and checksummed.
//!
//! A section is a header of 24 bytes (kind `u32`, version `u32`, payload length `u64`, CRC-32 of the payload `u32`, zero
//! `u32`) and its payload, padded with zeros to a multiple of 8. The first section starts the file and its payload starts
//! with [`MAGIC`]; the last one is [`Kind::End`] and counts the others. Equal state gives equal bytes.

mod read;
mod write;

pub(crate) use read::{SectionReader, Sections};
pub(crate) use write::{SectionWriter, write_section};

/// What every snapshot starts with, behind the header of its first section.
pub(crate) const MAGIC: [u8; 8] = *b"SPSNAP\r\n";

/// The same for partial state.
pub(crate) const PARTIAL_MAGIC: [u8; 8] = *b"SPPART\r\n";

/// Bytes of a section's header.
pub(crate) const HEADER_BYTES: usize = 24;

/// What a section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The magic, and the pipeline it belongs to.
    Pipeline,
    /// Watermark, counters and place in the stream.
    Source,
    /// The keys that others refer to, in the order of their bytes.
    Keys,
    /// A part of a stage.
    Stage,
    /// Events or rows that wait.
    Frame,
    /// Dropped events that wait to be reported.
    Drops,
    /// The number of sections before it.
    End,
    /// Partitions of the source, where time is more than one watermark.
    Time,
    /// What has gone out as partial state, and what has come in.
    Exchange,
    /// The head of partial state: where it comes from.
    Partial,
    /// All of a [`crate::dedup::Deduplicator`].
    Deduplicator,
}

impl Kind {
    /// Kinds with their numbers and the newest version of each.
    const ALL: [(Self, u32, u32); 11] = [
        (Self::Pipeline, 1, 1),
        (Self::Source, 2, 1),
        (Self::Keys, 3, 1),
        (Self::Stage, 4, 1),
        (Self::Frame, 5, 1),
        (Self::Drops, 6, 1),
        (Self::End, 7, 1),
        (Self::Time, 8, 1),
        (Self::Exchange, 9, 1),
        (Self::Partial, 10, 1),
        (Self::Deduplicator, 11, 1),
    ];

    fn number_and_version(self) -> (u32, u32) {
        let known = Self::ALL.iter().find(|(kind, _, _)| *kind == self);
        known.map_or((0, 0), |(_, number, version)| (*number, *version))
    }
}
