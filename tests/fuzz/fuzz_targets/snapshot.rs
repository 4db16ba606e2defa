//! Restores forged snapshots: `pipeline, role, snapshot`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use stream_processor_core::Options;
use stream_processor_fuzz::drive::{check_snapshot, seal};
use stream_processor_fuzz::pipelines::{self, Pipeline};

static PIPELINES: LazyLock<Vec<Pipeline>> = LazyLock::new(pipelines::all);

fuzz_target!(|input: &[u8]| {
    let [pipeline, role, snapshot @ ..] = input else { return };
    let Some(pipeline) = PIPELINES.get(usize::from(*pipeline)) else { return };
    let options = Options { emits_partials: *role & 1 == 1, ..Options::default() };
    let mut snapshot = snapshot.to_vec();
    seal(&mut snapshot);
    let text = pipeline.input.get(..2_000).unwrap_or(&pipeline.input);
    check_snapshot(&pipeline.spec, options, &snapshot, text);
});
