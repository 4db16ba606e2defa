//! Pushes blocks of events as a host of the module does: `pipeline, block`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use stream_processor_core::wire::{batch_len, decode_batch, encode_batch};
use stream_processor_core::{Engine, Options};
use stream_processor_fuzz::drive::{Output, check_own_snapshot, finish, push};
use stream_processor_fuzz::pipelines::{self, Pipeline};

static PIPELINES: LazyLock<Vec<Pipeline>> = LazyLock::new(pipelines::all);

fuzz_target!(|input: &[u8]| {
    let [pipeline, bytes @ ..] = input else { return };
    let Some(pipeline) = PIPELINES.get(usize::from(*pipeline)) else { return };
    // Blocks are aligned to 8 bytes.
    let mut words = vec![0_u64; bytes.len().div_ceil(8)];
    let aligned = &mut bytemuck::cast_slice_mut(&mut words)[..bytes.len()];
    aligned.copy_from_slice(bytes);
    let Ok(decoded) = decode_batch(aligned) else { return };
    let batch = decoded.batch();
    let mut again = vec![0; batch_len(&batch)];
    encode_batch(&batch, &mut again);
    assert!(again.len() <= bytes.len(), "a block has more sections than it was decoded from");
    let Ok(mut engine) = Engine::open(&pipeline.spec, Options::default()) else { return };
    let mut output = Output::default();
    push(&mut engine, &batch, &mut output);
    check_own_snapshot(&pipeline.spec, &mut engine);
    finish(&mut engine, &mut output);
});
