//! A process that writes to a local store is killed at random moments: no acknowledged write is
//! lost, and none is invented.
//!
//! `STREAM_PROCESSOR_CRASHES` sets the number of kills for each store.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use processor::state::{EmbeddedStateBackend, SledStateBackend, StateBackend};

const BATCH: u64 = 16;

fn open(kind: &str, path: &Path) -> Box<dyn StateBackend> {
    match kind {
        "sled" => Box::new(SledStateBackend::new(path).unwrap()),
        _ => Box::new(EmbeddedStateBackend::new(path).unwrap()),
    }
}

/// The value of a key, longer than one that a torn write could leave by chance.
fn value_of(key: u64) -> Vec<u8> {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes().repeat(1 + (key % 40) as usize)
}

/// Writes batches until it is killed, and prints the number of each that is acknowledged.
#[tokio::test]
#[ignore = "the writer of the tests below"]
async fn writer() {
    let path = std::env::var("CRASH_PATH").unwrap();
    let backend = open(&std::env::var("CRASH_STORE").unwrap(), Path::new(&path));
    let first: u64 = std::env::var("CRASH_FIRST").unwrap().parse().unwrap();
    for batch in first.. {
        let entries: Vec<([u8; 8], Vec<u8>)> = (batch * BATCH..(batch + 1) * BATCH)
            .map(|key| (key.to_be_bytes(), value_of(key)))
            .collect();
        let entries: Vec<(&[u8], &[u8])> =
            entries.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
        backend.put_if_absent_all(&entries, None).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged={batch}").unwrap();
        out.flush().unwrap();
    }
}

/// Starts a writer, kills it after some milliseconds, and returns the number of batches that are
/// acknowledged.
fn write_and_kill(kind: &str, path: &Path, first: u64, after: Duration) -> u64 {
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "crash::writer", "--nocapture"])
        .env("CRASH_PATH", path)
        .env("CRASH_STORE", kind)
        .env("CRASH_FIRST", first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let mut acknowledged = first;
    let mut take = |line: String| {
        if let Some(batch) = line.split("acknowledged=").nth(1) {
            acknowledged = batch.parse::<u64>().unwrap() + 1;
            return true;
        }
        false
    };
    while let Some(Ok(line)) = lines.next() {
        if take(line) {
            break;
        }
    }
    std::thread::sleep(after);
    writer.kill().unwrap();
    writer.wait().unwrap();
    // The lines that the writer printed before its end, also those not read yet.
    for line in lines.map_while(Result::ok) {
        take(line);
    }
    acknowledged
}

async fn survives_kills(kind: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let crashes = std::env::var("STREAM_PROCESSOR_CRASHES");
    let crashes: u64 = crashes.ok().and_then(|it| it.parse().ok()).unwrap_or(5);
    let mut next = 0;
    for crash in 0..crashes {
        let pause = Duration::from_micros((crash * 7919 + u64::from(std::process::id())) % 60_000);
        let acknowledged = write_and_kill(kind, &path, next, pause);
        let backend = open(kind, &path);
        let entries = backend.scan(b"", None, usize::MAX).await.unwrap();
        // Keys are numbers in order, so the n-th entry is that of n.
        for (index, (key, value)) in entries.iter().enumerate() {
            let index = index as u64;
            assert_eq!(*key, index.to_be_bytes(), "a gap");
            assert_eq!(*value, value_of(index), "key {index} is damaged");
        }
        let (found, whole) = (entries.len() as u64, acknowledged * BATCH);
        assert!(found >= whole, "{} acknowledged writes are lost", whole - found);
        // One batch may be written and not acknowledged, as a whole.
        assert!(found == whole || found == whole + BATCH, "{found} entries, {whole} acknowledged");
        next = found / BATCH;
    }
    assert!(next >= crashes, "the writer makes no progress: {next} batches");
    println!("{kind}: {crashes} kills, {next} batches");
}

#[tokio::test]
async fn sled_loses_no_acknowledged_write_when_killed() {
    survives_kills("sled").await;
}

#[tokio::test]
async fn embedded_loses_no_acknowledged_write_when_killed() {
    survives_kills("fjall").await;
}
