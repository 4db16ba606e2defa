//! `shared` of a `dedup` stage: identities in a store that processes share, on real servers.

mod options;
mod replays;
mod stores;
mod unavailable;

use std::path::{Path, PathBuf};

use crate::common::{Ran, run, text};
use crate::servers::{self, Server};

/// Events with the ids 0 to `count`, one of each.
fn events(count: usize) -> String {
    (0..count).map(|id| format!("{{\"ts\":{id},\"id\":\"event-{id}\"}}\n")).collect()
}

/// Writes a pipeline with a shared stage to `folder`, with `further` options of the stage, such as
/// `ttl`, and returns its path.
fn pipeline(folder: &Path, shared: &str, further: &str) -> PathBuf {
    let path = folder.join("pipeline.toml");
    let text = format!(
        "[[stages]]\ntype = \"dedup\"\nstrategies = [\"id\"]\nclock = \"arrival\"\n\
         shared = {{ {shared} }}\n{further}\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// Returns the options of a store on a Redis server.
fn redis_options(server: &Server) -> String {
    format!(r#"type = "redis", url = "redis://127.0.0.1:{}""#, server.port)
}

/// Returns the options of a store on a PostgreSQL server.
fn postgres_options(server: &Server) -> String {
    let url = format!("postgres://tester@127.0.0.1:{}/postgres?sslmode=disable", server.port);
    format!(r#"type = "postgres", url = "{url}", command_timeout = "60s""#)
}

/// Returns the options of a store of this kind in `folder`.
fn folder_options(kind: &str, folder: &Path) -> String {
    format!(r#"type = "{kind}", path = "{}""#, text(&folder.join(kind)))
}

/// Starts Redis with an append-only file, so that it gives no warning.
fn durable_redis() -> Option<Server> {
    servers::redis(&["--appendonly", "yes"])
}

/// Runs the pipeline at `path` over `input`.
fn run_over(path: &Path, input: &str, further: &[&str]) -> Ran {
    run(&[&["run", text(path)], further].concat(), input)
}

/// Returns the number of rows of a run without an error.
fn rows(ran: &Ran) -> usize {
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.stdout.lines().count()
}
