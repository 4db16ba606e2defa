//! Reads NDJSON at once and in pieces, which must give the same rows: `pipeline, bytes of a piece, text`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use stream_processor_fuzz::drive::check_text;
use stream_processor_fuzz::pipelines::{self, Pipeline};

static PIPELINES: LazyLock<Vec<Pipeline>> = LazyLock::new(pipelines::all);

fuzz_target!(|input: &[u8]| {
    let [pipeline, piece, text @ ..] = input else { return };
    let pipeline = PIPELINES.get(usize::from(*pipeline)).filter(|pipeline| !pipeline.is_csv);
    let Some(pipeline) = pipeline else { return };
    check_text(&pipeline.spec, text, usize::from(*piece));
});
