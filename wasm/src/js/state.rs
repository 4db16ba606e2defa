//! Snapshots in pieces, and partial state.

use stream_processor_control as control;
use stream_processor_core::SnapshotCursor;
use wasm_bindgen::prelude::*;

use super::{Processor, thrown};

/// The sections of a snapshot are padded to a multiple of this many bytes.
const SECTION_ALIGNMENT: usize = 8;

/// A snapshot that JavaScript is reading.
pub(super) struct SnapshotRead {
    cursor: SnapshotCursor,
    /// The sections that were written, and the number of their bytes that were read.
    bytes: Vec<u8>,
    read: usize,
}

#[wasm_bindgen]
impl Processor {
    /// Begins a snapshot of the whole state, except spilled rows and a partial line.
    pub fn begin_snapshot(&mut self) {
        let cursor = control::begin_snapshot(&mut self.engine);
        self.snapshot = Some(SnapshotRead { cursor, bytes: Vec::new(), read: 0 });
    }

    /// Returns the next `max_bytes` of the snapshot; fewer at its end, and then none.
    pub fn read_snapshot(&mut self, max_bytes: usize) -> Result<Vec<u8>, JsValue> {
        let Some(SnapshotRead { cursor, bytes, read }) = &mut self.snapshot else {
            return Ok(Vec::new());
        };
        while bytes.len() - *read < max_bytes {
            // Sections are padded by the length of `bytes`, which must stay a multiple of the padding.
            let whole = *read - *read % SECTION_ALIGNMENT;
            bytes.drain(..whole);
            *read -= whole;
            let more = control::write_section(&mut self.engine, cursor, bytes);
            if !more.map_err(|error| thrown(&error))? {
                break;
            }
        }
        if *read == 0 && bytes.len() <= max_bytes {
            return Ok(core::mem::take(bytes));
        }
        let rest = bytes.get(*read..).unwrap_or_default();
        let piece = rest.get(..max_bytes).unwrap_or(rest).to_vec();
        *read += piece.len();
        Ok(piece)
    }

    /// Restores a snapshot of the same pipeline, piece by piece. A failure leaves the processor
    /// unchanged.
    pub fn restore(&mut self, piece: &[u8], is_last: bool) -> Result<(), JsValue> {
        let (started, options) = (self.restore.take(), self.engine.options());
        let restore = control::restore_piece(started, &self.spec, options, piece)
            .map_err(|error| thrown(&error))?;
        if is_last {
            self.engine = control::finish_restore(restore).map_err(|error| thrown(&error))?;
        } else {
            self.restore = Some(restore);
        }
        Ok(())
    }

    /// Removes and returns the state of the windows; `source` names this engine among all senders.
    pub fn partial(&mut self, source: &str) -> Result<Vec<u8>, JsValue> {
        control::partial(&mut self.engine, source).map_err(|error| thrown(&error))
    }

    /// Merges the result of [`Processor::partial`] of another engine; returns true if it is new.
    pub fn merge(&mut self, partial: &[u8]) -> Result<bool, JsValue> {
        let merged = control::merge(&mut self.engine, partial).map_err(|error| thrown(&error))?;
        self.full = merged.full;
        Ok(merged.is_new)
    }
}
