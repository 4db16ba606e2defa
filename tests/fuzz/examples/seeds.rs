//! Writes the first corpus of each target into the folder given as argument, from the vectors.

use std::path::Path;

use stream_processor_core::text::{EventBuffer, Reader, ReaderOptions};
use stream_processor_core::wire::{batch_len, encode_batch};
use stream_processor_core::{Batch, Column, Engine, Identity, KeyColumn, Options};
use stream_processor_fuzz::drive;
use stream_processor_fuzz::pipelines::{self, Pipeline};

/// Bytes of the largest seed: mutations of longer ones find little.
const MAX_SEED_BYTES: usize = 60_000;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).expect("the folder of the corpora");
    let folder = Path::new(&folder);
    for target in ["snapshot", "partial", "events", "pipeline", "ndjson", "csv"] {
        std::fs::create_dir_all(folder.join(target))?;
    }
    for (number, pipeline) in (0_u8..).zip(pipelines::all()) {
        let write = |target: &str, part: &str, seed: &[u8]| {
            let path = folder.join(target).join(format!("{}_{number}_{part}", pipeline.name));
            if seed.len() <= MAX_SEED_BYTES { std::fs::write(path, seed) } else { Ok(()) }
        };
        let numbered = |bytes: &[u8]| [&[number], bytes].concat();
        write("pipeline", "json", format!("j{}", pipeline.spec.to_json()).as_bytes())?;
        write("pipeline", "toml", format!("t{}", pipeline.spec.to_toml()).as_bytes())?;
        let text_target = if pipeline.is_csv { "csv" } else { "ndjson" };
        for (part, length) in [("short", 300), ("long", 3_000)] {
            let text = pipelines::lines(&pipeline.input, length);
            write(text_target, part, &[&[number, 50], text].concat())?;
            for options in pipeline.roles() {
                if let Some(state) = drive::snapshot(&pipeline.spec, options, text) {
                    let role_of = [number, u8::from(options.emits_partials)];
                    let name = format!("{part}_{}", role_of[1]);
                    write("snapshot", &name, &[&role_of, &*state].concat())?;
                }
            }
            if let Some(state) = drive::partial(&pipeline.spec, text) {
                write("partial", part, &numbered(&state))?;
            }
            if let Some(block) = block(&pipeline, text) {
                write("events", part, &numbered(&block))?;
            }
        }
    }
    Ok(())
}

/// Returns the block of the events of `text`.
fn block(pipeline: &Pipeline, text: &[u8]) -> Option<Vec<u8>> {
    let plan = Engine::open(&pipeline.spec, Options::default()).ok()?.plan().clone();
    let mut reader = Reader::new(&plan.input, ReaderOptions::of(&pipeline.spec));
    let mut events = EventBuffer::new();
    reader.read(text, true, 10_000, &mut events).ok()?;
    let columns: Vec<Column<'_>> =
        events.columns().iter().map(|values| Column::F64(values)).collect();
    let identities: Vec<&[Identity]> = events.identities().iter().map(Vec::as_slice).collect();
    let keys = events.new_keys();
    let of_key = |id: &u32| {
        let at = keys.ids.iter().position(|known| known == id).expect("a defined key");
        &keys.bytes[keys.offsets[at] as usize..keys.offsets[at + 1] as usize]
    };
    let (mut offsets, mut bytes) = (vec![0], Vec::new());
    for key in events.keys() {
        bytes.extend_from_slice(of_key(key));
        offsets.push(u32::try_from(bytes.len()).expect("short keys"));
    }
    let is_keyed = !plan.input.key.is_empty();
    let batch = Batch {
        timestamps: events.timestamps(),
        keys: match is_keyed {
            true => KeyColumn::Encoded { offsets: &offsets, bytes: &bytes },
            false => KeyColumn::Unkeyed,
        },
        columns: &columns,
        identities: &identities,
        ordinals: Some(events.lines()),
        watermarks: None,
        partitions: None,
    };
    let mut block = vec![0; batch_len(&batch)];
    encode_batch(&batch, &mut block);
    Some(block)
}
