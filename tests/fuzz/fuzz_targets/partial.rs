//! Merges forged partial state: `pipeline, partial`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use stream_processor_fuzz::drive::{check_partial, seal};
use stream_processor_fuzz::pipelines::{self, Pipeline};

static PIPELINES: LazyLock<Vec<Pipeline>> = LazyLock::new(pipelines::all);

fuzz_target!(|input: &[u8]| {
    let [pipeline, partial @ ..] = input else { return };
    let Some(pipeline) = PIPELINES.get(usize::from(*pipeline)) else { return };
    let mut partial = partial.to_vec();
    seal(&mut partial);
    check_partial(&pipeline.spec, &partial);
});
