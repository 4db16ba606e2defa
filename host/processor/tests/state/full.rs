//! Stores without room.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use processor::state::{EmbeddedStateBackend, SledStateBackend, StateBackend, StateError};

use crate::backends::{postgres_backend, redis_backend};
use crate::servers;

/// Writes until the store is full. Returns the number of acknowledged writes and the error.
async fn fill(backend: &dyn StateBackend, value: usize) -> (u32, StateError) {
    let mut state = 1_u64;
    for key in 0..10_000_u32 {
        let value: Vec<u8> = (0..value)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        if let Err(error) = backend.put(&key.to_be_bytes(), &value).await {
            return (key, error);
        }
    }
    panic!("the store is never full");
}

async fn assert_present(backend: &dyn StateBackend, written: u32, value: usize) {
    for key in 0..written {
        let stored = backend.get(&key.to_be_bytes()).await.unwrap();
        assert_eq!(stored.map(|stored| stored.len()), Some(value), "key {key} of {written}");
    }
}

#[tokio::test]
async fn full_redis_is_an_error_and_keeps_what_it_has() {
    let limit = ["--maxmemory", "8mb", "--maxmemory-policy", "noeviction"];
    let Some(server) = servers::redis(&limit) else { return };
    let backend = redis_backend(&server).await;
    let (written, error) = fill(backend.as_ref(), 50_000).await;
    assert_eq!(error.code(), "state_full", "{error}");
    assert!(error.is_temporary());
    assert!(written > 20, "{written}");
    let put = backend.put_if_absent(b"new", &[1; 50_000], Some(Duration::from_secs(1))).await;
    assert_eq!(put.unwrap_err().code(), "state_full");
    assert_present(backend.as_ref(), written, 50_000).await;
    for key in 0..10_u32 {
        assert!(backend.delete(&key.to_be_bytes()).await.unwrap());
    }
    assert_eq!(backend.put_if_absent(b"new", b"1", None).await.unwrap(), None);
}

/// A file system in memory, unmounted at the end.
struct SmallDisk(
    PathBuf,
    #[expect(dead_code, reason = "removed when it is dropped")] tempfile::TempDir,
);

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_path_buf();
        if mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], &path) {
            return Some(Self(path, folder));
        }
        eprintln!("skipped: mounting a tmpfs needs root");
        None
    }

    fn grow(&self, size: &str) {
        assert!(mount(&["-o", &format!("remount,size={size}")], &self.0));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str], path: &Path) -> bool {
    Command::new("mount").args(arguments).arg(path).output().is_ok_and(|it| it.status.success())
}

/// Fills a small disk, and opens the store again after the disk has grown.
async fn full_disk<B: StateBackend>(open: impl Fn(&Path) -> Result<B, StateError>) {
    let Some(disk) = SmallDisk::mount("24m") else { return };
    let backend = open(&disk.0).unwrap();
    let (written, error) = fill(&backend, 50_000).await;
    assert_eq!(error.code(), "state_full", "{error}");
    assert!(written > 20, "{written}");
    // What follows fails as well, until the store is opened again with room.
    let later = backend.put(b"later", &[1; 200_000]).await.unwrap_err();
    assert!(later.is_temporary(), "{later}");
    drop(backend);
    disk.grow("200m");
    let backend = open(&disk.0).unwrap();
    assert_present(&backend, written, 50_000).await;
    backend.put(b"again", b"1").await.unwrap();
    assert_eq!(backend.get(b"again").await.unwrap().unwrap(), b"1");
}

/// Fills a disk as a process of its own: sled keeps its folder locked after a failed write.
#[tokio::test]
#[ignore = "the writer of the test below"]
async fn sled_writer() {
    let path = std::env::var("FULL_PATH").unwrap();
    let backend = SledStateBackend::new(path).unwrap();
    let (written, error) = fill(&backend, 50_000).await;
    assert_eq!(error.code(), "state_full", "{error}");
    let later = backend.put(b"later", &[1; 200_000]).await.unwrap_err();
    assert!(later.is_temporary(), "{later}");
    println!("written={written}");
}

#[tokio::test]
async fn full_disk_under_sled_loses_nothing_acknowledged() {
    let Some(disk) = SmallDisk::mount("24m") else { return };
    let path = disk.0.join("store");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "full::sled_writer", "--nocapture"])
        .env("FULL_PATH", &path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let written = text.lines().find_map(|line| line.split("written=").nth(1)).unwrap();
    let written: u32 = written.trim().parse().unwrap();
    assert!(written > 20, "{written}");
    disk.grow("200m");
    let backend = SledStateBackend::new(&path).unwrap();
    assert_present(&backend, written, 50_000).await;
    backend.put(b"again", b"1").await.unwrap();
    assert_eq!(backend.get(b"again").await.unwrap().unwrap(), b"1");
}

#[tokio::test]
async fn full_disk_under_embedded_loses_nothing_acknowledged() {
    full_disk(|path| EmbeddedStateBackend::new(path.join("store"))).await;
}

/// Fills the disk under PostgreSQL's data. The server ends when it has no room for its log, and the
/// caller gets an error either way.
#[tokio::test]
async fn full_disk_under_postgres_loses_nothing_acknowledged() {
    let Some(disk) = SmallDisk::mount("120m") else { return };
    let Some(mut server) = servers::postgres_in(&disk.0, &["-c", "max_wal_size=32MB"]) else {
        return;
    };
    let backend = postgres_backend(&server).await;
    let (written, error) = fill(backend.as_ref(), 50_000).await;
    assert!(error.is_temporary(), "{error}");
    assert!(written > 20, "{written}");
    disk.grow("400m");
    server.kill();
    server.restart();
    assert_present(backend.as_ref(), written, 50_000).await;
    backend.put(b"again", b"1").await.unwrap();
    assert_eq!(backend.get(b"again").await.unwrap().unwrap(), b"1");
}
