//! Buffered rows and dropped events in snapshots.

use super::Engine;
use crate::data::batch::Identity;
use crate::data::dropped::Dropped;
use crate::data::frame::{Frame, FrameColumn};
use crate::data::reject::RejectReason;
use crate::data::row_layout::RowLayout;
use crate::error::SnapshotError;
use crate::event_time::watermark::NO_WATERMARK;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::time::{MAX_TIME, MIN_TIME};

/// The frame number of [`Engine::pending`].
pub(super) const PENDING: u32 = u32::MAX;
/// Stands for "no stage", "no window" and "no key".
const NONE: u32 = u32::MAX;

/// Writes the rows from the cursor on.
#[inline]
pub(super) fn save_frame(frame: &Frame, positions: &[u32], writer: &mut SectionWriter<'_>) {
    let from = frame.cursor;
    writer.i64(frame.watermark);
    writer.length(frame.len() - from);
    let position = |key: &u32| positions.get(*key as usize).copied().unwrap_or(NONE);
    writer.i64s(frame.timestamps.iter().skip(from).copied());
    writer.u32s(frame.keys.iter().skip(from).map(position));
    writer.i64s(frame.watermarks.iter().skip(from).copied());
    writer.u64s(frame.ordinals.iter().skip(from).copied());
    writer.length(frame.firing.len().saturating_sub(from));
    writer.i64s(frame.firing.iter().skip(from).copied());
    writer.length(frame.columns.len());
    for column in &frame.columns {
        match column {
            FrameColumn::Time(times) => {
                writer.u32(0);
                writer.i64s(times.iter().skip(from).copied());
            }
            FrameColumn::Number(numbers) => {
                writer.u32(1);
                writer.f64s(numbers.iter().skip(from).copied());
            }
            FrameColumn::Bool(bools) => {
                writer.u32(2);
                writer.raw(bools.get(from..).unwrap_or_default());
            }
        }
    }
    // Ranks are written only if one is not 0. Older versions had no ranks: all their rows were on
    // time.
    let ranks = frame.ranks.get(from..).unwrap_or_default();
    if ranks.iter().any(|rank| *rank != 0) {
        writer.u64s(ranks.iter().copied());
    }
    for column in &frame.identities {
        writer.u64s(column.iter().skip(from).flatten().copied());
    }
}

/// Reads the identity columns of `rows` events. The section has none if the pipeline uses none.
fn load_identities(
    reader: &mut SectionReader<'_>,
    identity_columns: usize,
    rows: usize,
) -> Result<Vec<Vec<Identity>>, SnapshotError> {
    let mut all = Vec::new();
    for _ in 0..identity_columns {
        let halves: Vec<u64> = reader.u64s(rows.saturating_mul(2))?.collect();
        let (pairs, _) = halves.as_chunks::<2>();
        all.push(pairs.to_vec());
    }
    Ok(all)
}

/// Returns the flags `bytes`, each 0 or 1.
fn load_bools(bytes: &[u8]) -> Result<Vec<u8>, SnapshotError> {
    match bytes.iter().all(|byte| *byte < 2) {
        true => Ok(bytes.to_vec()),
        false => Err(SnapshotError::Damaged("a flag is neither 0 nor 1")),
    }
}

#[inline]
pub(super) fn load_frame(
    engine: &mut Engine,
    reader: &mut SectionReader<'_>,
    ids: &[u32],
) -> Result<(), SnapshotError> {
    const UNEXPECTED_ROWS: SnapshotError =
        SnapshotError::Damaged("buffered rows have other columns than their stage, or no stage");
    let frame_number = reader.u32()?;
    if frame_number == PENDING && !reader.flag()? {
        return Ok(());
    }
    let mut frame = Frame::new(&RowLayout::default(), 0, 0);
    frame.watermark = reader.i64()?;
    let rows = reader.length()?;
    frame.timestamps = reader.i64s(rows)?.collect();
    // Rows of the last stage may be at the end of a window that begins at the greatest event time.
    let is_last = (frame_number as usize).checked_add(1) == Some(engine.stage_outputs.len());
    let is_event_time = |time: &i64| (MIN_TIME..=MAX_TIME).contains(time);
    if !is_last && !frame.timestamps.iter().all(is_event_time) {
        return Err(SnapshotError::Damaged("the time of a buffered row is out of range"));
    }
    for position in reader.u32s(rows)? {
        let id = ids.get(position as usize).copied();
        let id = id.ok_or(SnapshotError::Damaged(
            "a buffered row refers to a key that is not in the section of keys",
        ))?;
        engine.keys.retain(id);
        frame.keys.push(id);
    }
    frame.watermarks = reader.i64s(rows)?.collect();
    frame.ordinals = reader.u64s(rows)?.collect();
    let firing = reader.length()?;
    frame.firing = reader.i64s(firing)?.collect();
    for _ in 0..reader.length()? {
        frame.columns.push(match reader.u32()? {
            0 => FrameColumn::Time(reader.i64s(rows)?.collect()),
            1 => FrameColumn::Number(reader.f64s(rows)?.collect()),
            2 => FrameColumn::Bool(load_bools(reader.raw(rows)?)?),
            _ => {
                return Err(SnapshotError::Damaged(
                    "a column of buffered rows has an unknown kind",
                ));
            }
        });
    }
    // Ranks of 0 are not written; identities may follow them.
    let identity_columns = match (frame_number, engine.stage_outputs.get(frame_number as usize)) {
        (PENDING, _) if rows > 0 => engine.plan.input.identities.len(),
        (_, Some(output)) => output.identities.len(),
        _ => 0,
    };
    let identity_bytes = rows.saturating_mul(identity_columns).saturating_mul(16);
    let has_ranks = reader.len() > identity_bytes;
    frame.ranks = match has_ranks {
        true => reader.u64s(firing)?.collect(),
        false => vec![0; firing],
    };
    if has_ranks && frame.ranks.iter().all(|rank| *rank == 0) {
        return Err(SnapshotError::Damaged("ranks of buffered rows are written, but all are 0"));
    }
    if frame_number == PENDING {
        frame.identities = load_identities(reader, identity_columns, rows)?;
        let columns = engine.plan.input.columns.len();
        if firing != 0 || (rows > 0 && frame.columns.len() != columns) {
            return Err(UNEXPECTED_ROWS);
        }
        engine.pending = Some(frame);
        return Ok(());
    }
    let output = engine.stage_outputs.get_mut(frame_number as usize).ok_or(UNEXPECTED_ROWS)?;
    frame.identities = load_identities(reader, identity_columns, rows)?;
    let kinds =
        |frame: &Frame| frame.columns.iter().map(core::mem::discriminant).collect::<Vec<_>>();
    if firing != rows || kinds(&frame) != kinds(output) {
        return Err(UNEXPECTED_ROWS);
    }
    frame.capacity = output.capacity;
    *output = frame;
    Ok(())
}

pub(super) fn save_drops(drops: &[Dropped], writer: &mut SectionWriter<'_>) {
    writer.length(drops.len());
    for dropped in drops {
        writer.u64(dropped.ordinal);
        writer.length(dropped.reason.number());
        writer.u32(dropped.stage.unwrap_or(NONE));
        writer.i64(dropped.watermark);
        writer.i64(dropped.window_end.unwrap_or(NO_WATERMARK));
    }
}

pub(super) fn load_drops(reader: &mut SectionReader<'_>) -> Result<Vec<Dropped>, SnapshotError> {
    let count = reader.length()?;
    let mut drops = Vec::new();
    for _ in 0..count {
        let ordinal = reader.u64()?;
        let reason = usize::try_from(reader.u64()?).ok();
        let reason = reason.and_then(|number| RejectReason::ALL.get(number)).copied();
        let reason =
            reason.ok_or(SnapshotError::Damaged("the reason of a dropped event is unknown"))?;
        let stage = Some(reader.u32()?).filter(|stage| *stage != NONE);
        let watermark = reader.i64()?;
        let window_end = Some(reader.i64()?).filter(|end| *end != NO_WATERMARK);
        drops.push(Dropped { ordinal, reason, stage, watermark, window_end });
    }
    Ok(drops)
}
