//! The rare calls of the module: those that open, save and exchange an engine.
//!
//! The module's code is compiled for speed, but this crate for size (`[profile.module.package]` in
//! the workspace's Cargo.toml). What these calls reach in core is `#[inline]` there, so the compiler
//! makes its code in this crate. That saves a quarter of the module's bytes.

use stream_processor_core::text::Identifier;
use stream_processor_core::{
    Engine, Error, Merged, Options, PipelineSpec, Restore, SnapshotCursor, SpecError, wire,
};

/// Parses a pipeline from JSON.
///
/// # Errors
/// See [`PipelineSpec::from_json`].
#[inline(never)]
pub fn parse_pipeline(text: &str) -> Result<PipelineSpec, SpecError> {
    PipelineSpec::from_json(text)
}

/// Parses options from JSON; returns the defaults for no bytes.
///
/// # Errors
/// [`Error::MalformedBlock`].
#[inline(never)]
pub fn parse_options(bytes: &[u8]) -> Result<Options, Error> {
    if bytes.is_empty() {
        return Ok(Options::default());
    }
    serde_json::from_slice(bytes).map_err(|_| {
        Error::MalformedBlock("options are {\"table_seed\": number, \"report_drops\": bool, \"emits_partials\": bool}")
    })
}

/// Compiles the strategies of a `dedup` stage from JSON.
///
/// # Errors
/// See [`Identifier::from_json`].
#[inline(never)]
pub fn parse_strategies(text: &str) -> Result<Identifier, SpecError> {
    Identifier::from_json(text)
}

/// Opens an engine.
///
/// # Errors
/// See [`Engine::open`].
#[inline(never)]
pub fn open(spec: &PipelineSpec, options: Options) -> Result<Engine, Error> {
    Engine::open(spec, options)
}

/// Returns the counters of an engine as JSON.
#[inline(never)]
#[must_use]
pub fn stats(engine: &Engine) -> String {
    serde_json::to_string(&engine.stats()).unwrap_or_default()
}

/// Returns an error as JSON.
#[inline(never)]
#[must_use]
pub fn encode_error(error: &Error) -> Vec<u8> {
    wire::encode_error(error)
}

/// Begins a snapshot of an engine.
#[inline(never)]
pub fn begin_snapshot(engine: &mut Engine) -> SnapshotCursor {
    engine.begin_snapshot()
}

/// Appends the next section of a snapshot. Returns `false` if there are no more sections.
///
/// # Errors
/// See [`Engine::write_section`].
#[inline(never)]
pub fn write_section(
    engine: &mut Engine,
    cursor: &mut SnapshotCursor,
    section: &mut Vec<u8>,
) -> Result<bool, Error> {
    engine.write_section(cursor, section)
}

/// Reads the next piece of a snapshot of the pipeline `spec`. `started` is what the earlier pieces
/// have restored.
///
/// # Errors
/// See [`Restore::new`] and [`Restore::push`].
#[inline(never)]
pub fn restore_piece(
    started: Option<Restore>,
    spec: &PipelineSpec,
    options: Options,
    piece: &[u8],
) -> Result<Restore, Error> {
    let mut restore = match started {
        Some(restore) => restore,
        None => Restore::new(spec, options)?,
    };
    restore.push(piece)?;
    Ok(restore)
}

/// Returns the engine of a complete snapshot.
///
/// # Errors
/// See [`Restore::finish`].
#[inline(never)]
pub fn finish_restore(restore: Restore) -> Result<Engine, Error> {
    restore.finish()
}

/// Removes and returns the state of the windows of an engine, which is named `source`.
///
/// # Errors
/// See [`Engine::partial`].
#[inline(never)]
pub fn partial(engine: &mut Engine, source: &str) -> Result<Vec<u8>, Error> {
    engine.partial(source)
}

/// Merges the state of the windows of another engine.
///
/// # Errors
/// See [`Engine::merge`].
#[inline(never)]
pub fn merge(engine: &mut Engine, partial: &[u8]) -> Result<Merged, Error> {
    engine.merge(partial)
}
