//! Events per second of the program with a shared `dedup` stage on Redis, and identities per second
//! of `SharedDeduplicator` on the same server, in turns.
//!
//! `cargo bench -p stream-processor --bench shared_dedup`. Needs redis-server.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use processor::deduplication::{SharedDeduplicator, Strategy};
use processor::state::{RedisConfig, RedisStateBackend};
use stream_processor::DEFAULT_BATCH_EVENTS;

#[path = "../processor/tests/state/servers.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod servers;

const EVENTS: usize = 400_000;
const ROUNDS: usize = 5;

fn main() {
    let Some(server) = servers::redis(&[]) else { return };
    let url = format!("redis://127.0.0.1:{}", server.port);
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("events.ndjson");
    std::fs::write(&input, events()).unwrap();
    let (mut library, mut program) = (0.0_f64, 0.0_f64);
    for round in 0..ROUNDS {
        library = library.max(library_rate(&url, &format!("library-{round}:")));
        program = program.max(program_rate(&url, &format!("program-{round}:"), &input));
    }
    println!("SharedDeduplicator: {library:>9.0} ids/s");
    println!("program, NDJSON:    {program:>9.0} events/s; ratio {:.2}", program / library);
}

fn events() -> String {
    (0..EVENTS).fold(String::new(), |mut text, id| {
        let _ = writeln!(text, r#"{{"ts":{id},"id":"event-{id:012}","value":{}}}"#, id % 1000);
        text
    })
}

/// Checks new identities in batches of the program's size. Returns the identities per second.
fn library_rate(url: &str, prefix: &str) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let config = RedisConfig::builder().url(url).build().unwrap();
        let backend = Arc::new(RedisStateBackend::new(config).await.unwrap());
        let seen = SharedDeduplicator::builder(backend)
            .strategies([Strategy::Fields(vec!["id".into()])])
            .key_prefix(prefix)
            .build()
            .unwrap();
        let identities: Vec<[u64; 2]> =
            (1..=EVENTS as u64).map(|id| [id.wrapping_mul(0x9e37_79b9_7f4a_7c15), id]).collect();
        let start = Instant::now();
        for batch in identities.chunks(DEFAULT_BATCH_EVENTS.get()) {
            let positions: Vec<[u8; 16]> = batch
                .iter()
                .map(|[low, high]| ((u128::from(*high) << 64) | u128::from(*low)).to_le_bytes())
                .collect();
            let positions: Vec<&[u8]> = positions.iter().map(<[u8; 16]>::as_slice).collect();
            let verdicts = seen.check_identities(batch, &positions).await.unwrap();
            assert!(verdicts.iter().all(|seen| seen.passes()));
        }
        EVENTS as f64 / start.elapsed().as_secs_f64()
    })
}

/// Runs the program over `input`. Returns the events per second of the whole process.
fn program_rate(url: &str, prefix: &str, input: &Path) -> f64 {
    let pipeline = input.with_file_name("pipeline.toml");
    let text = format!(
        "[[stages]]\ntype = \"dedup\"\nstrategies = [\"id\"]\nclock = \"arrival\"\n\
         shared = {{ type = \"redis\", url = \"{url}\", key_prefix = \"{prefix}\" }}\n"
    );
    std::fs::write(&pipeline, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stream-processor"));
    command.arg("run").arg(pipeline).arg("--input").arg(input).arg("--quiet");
    command.arg("--output").arg(input.with_file_name("rows.ndjson")).stdin(Stdio::null());
    let start = Instant::now();
    assert!(command.status().unwrap().success());
    EVENTS as f64 / start.elapsed().as_secs_f64()
}
