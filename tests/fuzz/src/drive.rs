//! Runs an engine to its end, and checks what must hold for state from outside.

use stream_processor_core::text::{Feed, Format, write_rows};
use stream_processor_core::{
    Batch, Engine, Error, Options, PipelineSpec, Progress, Restore, SnapshotError,
};

/// Maximum number of calls of one kind until the engine has taken a small input, or has ended.
const MAX_CALLS: usize = 20_000;
/// Maximum number of rows that a small input and a restored state give. `normalize` fills up to
/// `limits.max_fill_points` points for each key; the cap only tells bounded from endless.
const MAX_ROWS: usize = 20_000_000;
/// Bytes of the header of a section.
const HEADER_BYTES: usize = 24;

/// Returns the ranges of the payloads of the sections of `bytes`.
pub fn sections(bytes: &[u8]) -> Vec<core::ops::Range<usize>> {
    let (mut at, mut found) = (0_usize, Vec::new());
    while let Some(length) = bytes.get(at + 8..at + 16) {
        let length = u64::from_le_bytes(length.try_into().expect("8 bytes"));
        let start = at + HEADER_BYTES;
        let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
        let Some(end) = end.filter(|end| *end <= bytes.len()) else { break };
        found.push(start..end);
        at = end.next_multiple_of(8);
    }
    found
}

/// Writes the checksum of each section into its header, as a forger would.
pub fn seal(bytes: &mut [u8]) {
    for section in sections(bytes) {
        let checksum = crc32fast::hash(&bytes[section.clone()]);
        let place = section.start - HEADER_BYTES + 16;
        bytes[place..place + 4].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// The rows that an engine gave.
#[derive(Default)]
pub struct Output {
    /// The number of rows.
    pub rows: usize,
    /// The rows as NDJSON, and the events that passed, if [`Output::text`] was called.
    pub text: Option<Vec<u8>>,
}

impl Output {
    /// Makes an output that keeps the text of rows.
    pub fn text() -> Self {
        Self { rows: 0, text: Some(Vec::new()) }
    }

    /// Takes the rows and dropped events that wait in `engine`.
    fn poll(&mut self, engine: &mut Engine) {
        while let Some(rows) = engine.poll(4096) {
            self.rows += rows.firing.len();
            assert!(self.rows < MAX_ROWS, "the rows never end");
            if let (Some(text), Some(schema)) = (&mut self.text, rows.schema) {
                write_rows(Format::Ndjson, schema, &rows, text);
            }
        }
        let _ = engine.drops(usize::MAX);
    }

    /// Takes what waits in `feed` and `engine`.
    fn take(&mut self, feed: &mut Feed, engine: &mut Engine) {
        let (passed, _) = feed.take_passed();
        if let Some(text) = &mut self.text {
            text.extend(passed);
        }
        if !engine.plan().output.passes_events {
            self.poll(engine);
        }
    }
}

/// Feeds `text` to `engine` in pieces of `piece` bytes, until it is taken or an error ends it.
pub fn feed(
    engine: &mut Engine,
    spec: &PipelineSpec,
    text: &[u8],
    piece: usize,
    output: &mut Output,
) -> Result<(), Error> {
    let mut feed = Feed::new(spec, engine.plan(), 0);
    for piece in text.chunks(piece.max(1)) {
        let mut progress = feed.push(engine, piece);
        for call in 0.. {
            assert!(call < MAX_CALLS, "text is never taken");
            output.take(&mut feed, engine);
            progress = match progress {
                Ok(Progress::Done) => break,
                Ok(Progress::Full) | Err(Error::LimitReached(_)) => feed.resume(engine),
                Err(error) => return Err(error),
            };
        }
    }
    for call in 0.. {
        assert!(call < MAX_CALLS, "the text never ends");
        let progress = feed.end(engine);
        output.take(&mut feed, engine);
        match progress {
            Ok(Progress::Done) => break,
            Ok(Progress::Full) | Err(Error::LimitReached(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Repeats `call` until it is done, and takes all rows.
fn complete(
    engine: &mut Engine,
    output: &mut Output,
    call: impl Fn(&mut Engine) -> Result<Progress, Error>,
) {
    for calls in 0.. {
        assert!(calls < MAX_CALLS, "the stream never ends");
        let progress = call(engine);
        output.poll(engine);
        match progress {
            Ok(Progress::Full) | Err(Error::LimitReached(_)) => {}
            _ => break,
        }
    }
}

/// Ends the stream of `engine`.
pub fn finish(engine: &mut Engine, output: &mut Output) {
    complete(engine, output, Engine::finish);
}

/// Returns a snapshot of an engine that has taken `text`, with rows that wait. `None` if the engine
/// cannot be opened or its text is invalid.
pub fn snapshot(spec: &PipelineSpec, options: Options, text: &[u8]) -> Option<Vec<u8>> {
    let mut engine = Engine::open(spec, options).ok()?;
    feed(&mut engine, spec, text, 2000, &mut Output::default()).ok()?;
    let _ = engine.advance_watermark(engine.watermark().saturating_add(1_500_000));
    engine.snapshot().ok()
}

/// Returns the partial state of an engine that has taken `text`; `None` as for [`snapshot`].
pub fn partial(spec: &PipelineSpec, text: &[u8]) -> Option<Vec<u8>> {
    let options = Options { emits_partials: true, ..Options::default() };
    let mut engine = Engine::open(spec, options).ok()?;
    feed(&mut engine, spec, text, 2000, &mut Output::default()).ok()?;
    engine.partial("edge").ok()
}

/// Restores `snapshot` in pieces; `None` if it is refused.
pub fn restored(spec: &PipelineSpec, options: Options, snapshot: &[u8]) -> Option<Engine> {
    let mut restore = Restore::new(spec, options).ok()?;
    for piece in snapshot.chunks(1000) {
        restore.push(piece).ok()?;
    }
    restore.finish().ok()
}

/// Restores `snapshot`, which may be forged, and runs the engine to its end. Returns true if it was
/// not refused.
///
/// # Panics
/// Panics if the restored engine has another snapshot, if a later snapshot of it cannot be
/// restored, or if it does not end.
pub fn check_snapshot(spec: &PipelineSpec, options: Options, snapshot: &[u8], text: &[u8]) -> bool {
    let Some(mut engine) = restored(spec, options, snapshot) else { return false };
    let again = engine.snapshot().expect("a restored engine has a snapshot");
    if again != snapshot && !is_older_layout(spec, options, &again) {
        panic!("a restored engine has another snapshot: {}", first_difference(snapshot, &again));
    }
    let mut output = Output::default();
    let _ = feed(&mut engine, spec, text, 2000, &mut output);
    check_own_snapshot(spec, &mut engine);
    let watermark = engine.watermark().saturating_add(3_000_000);
    complete(&mut engine, &mut output, |engine| engine.advance_watermark(watermark));
    finish(&mut engine, &mut output);
    check_own_snapshot(spec, &mut engine);
    true
}

/// Describes the first difference of two snapshots: its section, its place in that, and the bytes
/// around it.
fn first_difference(snapshot: &[u8], again: &[u8]) -> String {
    let pairs = sections(snapshot).into_iter().zip(sections(again)).enumerate();
    for (section, (left, right)) in pairs {
        let kind = snapshot[left.start - HEADER_BYTES];
        let (left, right) = (&snapshot[left], &again[right]);
        let length = left.len().min(right.len());
        let different = (0..length).find(|at| left[*at] != right[*at]);
        if let Some(at) = different.or((left.len() != right.len()).then_some(length)) {
            let around = |payload: &[u8]| {
                let start = at / 4 * 4;
                payload.get(start..payload.len().min(start + 8)).map(<[u8]>::to_vec)
            };
            let (before, after) = (around(left), around(right));
            return format!("section {section} of kind {kind}, byte {at}: {before:?}, {after:?}");
        }
    }
    format!("lengths {} and {}", snapshot.len(), again.len())
}

/// Returns true if `snapshot` may have slices in the layout of an earlier version, which only windows
/// with early rows have: the engine writes them in the new layout.
fn is_older_layout(spec: &PipelineSpec, options: Options, again: &[u8]) -> bool {
    let second = restored(spec, options, again).and_then(|mut engine| engine.snapshot().ok());
    spec.to_json().contains("\"early\"") && second.as_deref() == Some(again)
}

/// Checks that the snapshot of `engine` can be restored and has the same bytes then. There is none
/// beyond `limits.max_snapshot_bytes`.
pub fn check_own_snapshot(spec: &PipelineSpec, engine: &mut Engine) {
    let options = engine.options();
    let own = match engine.snapshot() {
        Err(Error::Snapshot(SnapshotError::TooLarge { .. })) => return,
        own => own.expect("an engine has a snapshot"),
    };
    let mut restored = Engine::restore(spec, options, &own).expect("its own snapshot is restored");
    assert!(
        restored.snapshot().expect("a snapshot") == own,
        "a restored engine has another snapshot"
    );
}

/// Merges `partial`, which may be forged, into an engine and runs that to its end. Returns true if
/// it was not refused.
///
/// # Panics
/// Panics if a refused partial changes the engine, and as [`check_snapshot`].
pub fn check_partial(spec: &PipelineSpec, partial: &[u8]) -> bool {
    let Ok(mut engine) = Engine::open(spec, Options::default()) else { return false };
    let before = engine.snapshot().expect("an engine has a snapshot");
    let mut merged = engine.merge(partial);
    match merged {
        Err(Error::LimitReached(_)) | Ok(_) => {}
        Err(_) => {
            let after = engine.snapshot().expect("an engine has a snapshot");
            assert!(after == before, "a refused partial changes the engine");
            return false;
        }
    }
    let mut output = Output::default();
    for call in 0.. {
        assert!(call < MAX_CALLS, "partial state is never merged");
        output.poll(&mut engine);
        merged = match merged {
            Ok(merged) if !merged.full => break,
            Ok(_) | Err(Error::LimitReached(_)) => engine.merge(partial),
            Err(_) => break,
        };
    }
    check_own_snapshot(spec, &mut engine);
    finish(&mut engine, &mut output);
    check_own_snapshot(spec, &mut engine);
    true
}

/// Pushes `batch` to `engine`, repeating the call for the rest until it is taken or refused.
pub fn push(engine: &mut Engine, batch: &Batch<'_>, output: &mut Output) {
    // A batch is pushed again as a whole: what was consumed may repeat.
    for _ in 0..2 {
        let pushed = engine.push(batch);
        output.poll(engine);
        if !pushed.is_ok_and(|pushed| pushed.full) {
            break;
        }
    }
}

/// Reads `text` at once and in pieces of `piece` bytes.
///
/// # Panics
/// Panics if the rows or the counters differ.
pub fn check_text(spec: &PipelineSpec, text: &[u8], piece: usize) {
    let run = |piece: usize| {
        let mut engine = Engine::open(spec, Options::default()).ok()?;
        let mut output = Output::text();
        let fed = feed(&mut engine, spec, text, piece, &mut output).map_err(|error| error.code());
        finish(&mut engine, &mut output);
        let text = String::from_utf8_lossy(&output.text.unwrap_or_default()).into_owned();
        Some((fed, text, engine.stats()))
    };
    let whole = run(usize::MAX);
    let pieces = run(piece);
    if whole != pieces {
        let whole = format!("{whole:#?}");
        let pieces = format!("{pieces:#?}");
        let differ = whole.lines().zip(pieces.lines()).find(|(whole, pieces)| whole != pieces);
        panic!("text in pieces of {piece} bytes gives another output: {differ:?}");
    }
}
