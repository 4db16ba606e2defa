//! Identities per second that `SharedDeduplicator` checks on each backend, and what redis-benchmark
//! reaches with pipelined SET NX on the same server in the same run.
//!
//! `cargo bench -p processor --all-features --bench state`; an argument selects backends by name.
//! Servers that are not installed are skipped.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use processor::deduplication::{SharedDeduplicator, Strategy};
use processor::engine::Identity;
use processor::state::{
    EmbeddedStateBackend, MemoryStateBackend, RedisConfig, RedisStateBackend, SledStateBackend,
    StateBackend,
};

const BATCH: usize = 5000;
const ROUNDS: usize = 5;
const TTL: Duration = Duration::from_secs(3600);

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let wanted =
        |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    if wanted("memory") {
        measure("memory", Arc::new(MemoryStateBackend::new(None)), 1, 300_000).await;
    }
    let folder = tempfile::tempdir().unwrap();
    if wanted("embedded") {
        let backend = EmbeddedStateBackend::new(folder.path().join("embedded")).unwrap();
        measure("embedded", Arc::new(backend), 2, 300_000).await;
    }
    if wanted("sled") {
        let backend = SledStateBackend::new(folder.path().join("sled")).unwrap();
        measure("sled", Arc::new(backend), 2, 300_000).await;
    }
    if wanted("redis") {
        redis().await;
    }
}

async fn redis() {
    let Some(server) = Redis::start() else {
        println!("redis: skipped, redis-server is not installed");
        return;
    };
    let url = format!("redis://127.0.0.1:{}", server.port);
    let config = RedisConfig::builder().url(url).command_timeout(Duration::from_secs(60));
    let backend = RedisStateBackend::new(config.build().unwrap()).await.unwrap();
    let (ours, theirs) =
        (measure("redis", Arc::new(backend), 2, 300_000).await, server.benchmark());
    println!(
        "redis-benchmark, pipelined SET NX: {:>9.0} ids/s; ratio {:.2}",
        theirs,
        ours / theirs
    );
}

/// Checks new identities in batches, on as many tasks as `tasks`, and prints the best round.
async fn measure(name: &str, backend: Arc<dyn StateBackend>, tasks: usize, count: usize) -> f64 {
    let seen = SharedDeduplicator::builder(backend)
        .strategies([Strategy::Fields(vec!["id".into()])])
        .ttl(TTL)
        .build()
        .unwrap();
    let seen = Arc::new(seen);
    let mut best: f64 = 0.0;
    for round in 0..ROUNDS {
        let start = Instant::now();
        let running: Vec<_> = (0..tasks)
            .map(|task| tokio::spawn(check(seen.clone(), round * tasks + task, count / tasks)))
            .collect();
        for task in running {
            task.await.unwrap();
        }
        best = best.max(count as f64 / start.elapsed().as_secs_f64());
    }
    println!("{name}: {best:>9.0} ids/s");
    best
}

async fn check(seen: Arc<SharedDeduplicator>, part: usize, count: usize) {
    let identity = |id: usize| {
        let id = (part * count + id) as u64;
        [id.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15), id + 1]
    };
    for start in (0..count).step_by(BATCH) {
        let range = start..(start + BATCH).min(count);
        let identities: Vec<Identity> = range.clone().map(identity).collect();
        let positions: Vec<[u8; 8]> = range.map(|id| (id as u64).to_le_bytes()).collect();
        let positions: Vec<&[u8]> = positions.iter().map(<[u8; 8]>::as_slice).collect();
        let verdicts = seen.check_identities(&identities, &positions).await.unwrap();
        assert!(verdicts.iter().all(|seen| seen.passes()));
    }
}

struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    fn start() -> Option<Self> {
        let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = any.local_addr().unwrap().port();
        drop(any);
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--port"]).arg(port.to_string());
        let child = command.stdout(Stdio::null()).spawn().ok()?;
        let server = Self { child, port };
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(server)
    }

    /// Returns the requests per second of redis-benchmark, the best of some runs.
    fn benchmark(&self) -> f64 {
        let mut best: f64 = 0.0;
        for _ in 0..3 {
            let mut command = Command::new("redis-benchmark");
            command.args(["-p", &self.port.to_string(), "-n", "300000", "-c", "2", "-P", "5000"]);
            command.args(["-r", "100000000000", "-q", "SET", "bench:__rand_int__", "12345678"]);
            let output = command.args(["NX", "GET", "PX", "3600000"]).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).replace('\r', "\n");
            let rate = text.lines().rev().find_map(|line| {
                let rate = line.split(" requests per second").next()?.rsplit(' ').next()?;
                line.contains("requests per second").then(|| rate.parse::<f64>().ok())?
            });
            best = best.max(rate.unwrap_or(0.0));
        }
        best
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
