//! The snapshot format: sections of raw little-endian columns, each with a version and a checksum.
//!
//! A section is a header of 24 bytes (kind `u32`, version `u32`, payload length `u64`, CRC-32 of
//! the payload `u32`, zero `u32`) and its payload, padded with zeros to a multiple of 8. The first
//! section starts the file, and its payload starts with [`MAGIC`]. The last one is [`Kind::End`]
//! and counts the others. Equal state gives equal bytes.
//!
//! ```text
//! | header, 24 | payload of Pipeline: magic, identity | pad | header | payload | pad | ... | End |
//! ```
//!
//! [`SectionWriter`] writes the values of a payload, and [`SectionReader`] reads them
//! with checks. [`Sections`] splits a stream of bytes into sections. A [`Codec`] does both from one
//! list of fields.

mod checksum;
mod codec;
mod read;
mod state;
mod write;

pub(crate) use codec::Codec;
pub(crate) use read::{MAX_COUNT, SectionReader, Sections, read_section};
pub(crate) use state::{StateReader, StateWriter};
pub(crate) use write::{SectionWriter, write_section};

/// The first bytes of a snapshot after the header of its first section.
pub(crate) const MAGIC: [u8; 8] = *b"SPSNAP\r\n";

/// The first bytes of partial state after the header of its first section.
pub(crate) const PARTIAL_MAGIC: [u8; 8] = *b"SPPART\r\n";

/// Length of a section header in bytes.
pub(crate) const HEADER_BYTES: usize = 24;

/// The content of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The magic, and the pipeline that the state belongs to.
    Pipeline,
    /// Watermark, counters and position in the stream.
    Source,
    /// The referenced keys, in the order of their bytes.
    Keys,
    /// A part of a stage.
    Stage,
    /// Events or rows that are not yet processed or polled.
    Frame,
    /// Dropped events that are not yet reported.
    Drops,
    /// The number of sections before it.
    End,
    /// Partitions of the source, if event time has more than one watermark.
    Time,
    /// Partial state that was exported and imported.
    Exchange,
    /// The head of partial state: its origin.
    Partial,
    /// The whole state of a [`crate::dedup::Deduplicator`].
    Deduplicator,
    /// The whole state of a [`crate::aggregation::Group`].
    Group,
}

impl Kind {
    /// The kinds with their numbers and their newest versions.
    const ALL: [(Self, u32, u32); 12] = [
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
        (Self::Group, 12, 1),
    ];

    fn number_and_version(self) -> (u32, u32) {
        let known = Self::ALL.iter().find(|(kind, _, _)| *kind == self);
        known.map_or((0, 0), |(_, number, version)| (*number, *version))
    }
}
