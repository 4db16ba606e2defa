//! The contract of `StateBackend`, checked on any backend.
//!
//! Each check uses keys with a prefix of its own, so all can run on one store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use processor::state::{MAX_KEY_BYTES, StateBackend};

const MIB: usize = 1 << 20;

/// Runs all checks.
pub(crate) async fn check_all(backend: &Arc<dyn StateBackend>) {
    calls(backend.as_ref()).await;
    batches(backend.as_ref()).await;
    limits(backend.as_ref()).await;
    binary_and_large(backend.as_ref()).await;
    ttl_is_exact(backend.as_ref()).await;
    ttl_of_later_writes(backend.as_ref()).await;
    scans(backend.as_ref()).await;
    batches_have_one_winner(backend).await;
    single_calls_have_one_winner(backend).await;
}

async fn calls(backend: &dyn StateBackend) {
    assert_eq!(backend.get(b"calls:a").await.unwrap(), None);
    assert!(!backend.delete(b"calls:a").await.unwrap());
    backend.put(b"calls:a", b"1").await.unwrap();
    assert_eq!(backend.get(b"calls:a").await.unwrap().unwrap(), b"1");
    backend.put(b"calls:a", b"2").await.unwrap();
    assert_eq!(backend.get(b"calls:a").await.unwrap().unwrap(), b"2");
    let stored = backend.put_if_absent(b"calls:a", b"3", None).await.unwrap();
    assert_eq!(stored.unwrap(), b"2");
    assert_eq!(backend.put_if_absent(b"calls:b", b"3", None).await.unwrap(), None);
    assert_eq!(backend.get(b"calls:b").await.unwrap().unwrap(), b"3");
    assert!(backend.delete(b"calls:a").await.unwrap());
    assert!(!backend.delete(b"calls:a").await.unwrap());
    assert_eq!(backend.get(b"calls:a").await.unwrap(), None);
    assert_eq!(backend.put_if_absent(b"calls:a", b"4", None).await.unwrap(), None);
    backend.flush().await.unwrap();
}

async fn batches(backend: &dyn StateBackend) {
    assert!(backend.put_if_absent_all(&[], None).await.unwrap().is_empty());
    backend.put(b"batches:old", b"0").await.unwrap();
    let entries: [(&[u8], &[u8]); 5] = [
        (b"batches:new", b"1"),
        (b"batches:old", b"2"),
        (b"batches:new", b"3"),
        (b"batches:other", b""),
        (b"batches:new", b"4"),
    ];
    let stored = backend.put_if_absent_all(&entries, None).await.unwrap();
    let found = |value: &[u8]| Some(value.to_vec());
    assert_eq!(stored, [None, found(b"0"), found(b"1"), None, found(b"1")]);
    assert_eq!(backend.get(b"batches:new").await.unwrap(), found(b"1"));
    assert_eq!(backend.get(b"batches:other").await.unwrap(), found(b""));

    let keys: Vec<String> = (0..3000).map(|index| format!("batches:many:{index}")).collect();
    let entries: Vec<(&[u8], &[u8])> =
        keys.iter().map(|key| (key.as_bytes(), key.as_bytes())).collect();
    let first = backend.put_if_absent_all(&entries[..2000], None).await.unwrap();
    assert!(first.iter().all(Option::is_none));
    let second = backend.put_if_absent_all(&entries[1000..], None).await.unwrap();
    for (index, stored) in second.iter().enumerate() {
        let expected = (index < 1000).then(|| keys[index + 1000].clone().into_bytes());
        assert_eq!(*stored, expected, "{index}");
    }
}

async fn limits(backend: &dyn StateBackend) {
    let longest = vec![b'l'; MAX_KEY_BYTES];
    backend.put(&longest, b"1").await.unwrap();
    assert_eq!(backend.get(&longest).await.unwrap().unwrap(), b"1");
    assert!(backend.delete(&longest).await.unwrap());
    for key in [vec![], vec![b'l'; MAX_KEY_BYTES + 1]] {
        assert_eq!(backend.get(&key).await.unwrap_err().code(), "state_key");
        assert_eq!(backend.put(&key, b"1").await.unwrap_err().code(), "state_key");
        assert_eq!(backend.delete(&key).await.unwrap_err().code(), "state_key");
        let put = backend.put_if_absent(&key, b"1", None).await;
        assert_eq!(put.unwrap_err().code(), "state_key");
    }
    let zero = backend.put_with_ttl(b"limits:ttl", b"1", Duration::ZERO).await;
    assert_eq!(zero.unwrap_err().code(), "invalid_option");
    backend.put_with_ttl(b"limits:ttl", b"1", Duration::MAX).await.unwrap();
    assert!(backend.get(b"limits:ttl").await.unwrap().is_some());
}

async fn binary_and_large(backend: &dyn StateBackend) {
    let bytes: Vec<u8> = (0..=u8::MAX).collect();
    let key = [b"binary:".as_slice(), &bytes].concat();
    backend.put(&key, &bytes).await.unwrap();
    assert_eq!(backend.get(&key).await.unwrap().unwrap(), bytes);
    // Not compressible.
    let mut state = 1_u64;
    let large: Vec<u8> = (0..MIB)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect();
    backend.put(b"binary:large", &large).await.unwrap();
    assert_eq!(backend.get(b"binary:large").await.unwrap().unwrap(), large);
    let stored = backend.put_if_absent(b"binary:large", b"", None).await.unwrap();
    assert_eq!(stored.unwrap(), large);
    assert!(backend.delete(b"binary:large").await.unwrap());
}

/// An entry is visible before its ttl has passed since the call, and invisible when it has passed
/// since the answer, with 2 ms for the rounding of clocks.
async fn ttl_is_exact(backend: &dyn StateBackend) {
    for (index, ms) in [50_u64, 120, 333].into_iter().enumerate() {
        let ttl = Duration::from_millis(ms);
        let key = format!("ttl:{index}").into_bytes();
        let before = Instant::now();
        if index % 2 == 0 {
            backend.put_with_ttl(&key, b"1", ttl).await.unwrap();
        } else {
            assert_eq!(backend.put_if_absent(&key, b"1", Some(ttl)).await.unwrap(), None);
        }
        let after = Instant::now();
        loop {
            let asked = Instant::now();
            let visible = backend.get(&key).await.unwrap().is_some();
            if visible {
                assert!(asked < after + ttl + Duration::from_millis(2), "visible after {ms} ms");
                continue;
            }
            assert!(before.elapsed() >= ttl, "invisible {:?} before {ms} ms", before.elapsed());
            break;
        }
        assert!(!backend.delete(&key).await.unwrap(), "an expired entry is absent");
        assert!(backend.scan(&key, None, 10).await.unwrap().is_empty());
    }
}

async fn ttl_of_later_writes(backend: &dyn StateBackend) {
    let ttl = Duration::from_millis(80);
    let pause = ttl + Duration::from_millis(5);
    // A refused write does not prolong the ttl; an expired entry can be written again.
    backend.put_with_ttl(b"later:a", b"1", ttl).await.unwrap();
    backend.put_with_ttl(b"later:b", b"1", ttl).await.unwrap();
    backend.put_with_ttl(b"later:c", b"1", ttl).await.unwrap();
    backend.put_if_absent(b"later:a", b"2", Some(Duration::from_secs(60))).await.unwrap();
    // A write replaces the ttl.
    backend.put_with_ttl(b"later:b", b"2", Duration::from_secs(60)).await.unwrap();
    tokio::time::sleep(pause).await;
    let put = backend.put_if_absent(b"later:a", b"3", Some(Duration::from_secs(60))).await;
    assert_eq!(put.unwrap(), None);
    assert_eq!(backend.get(b"later:a").await.unwrap().unwrap(), b"3");
    assert_eq!(backend.get(b"later:b").await.unwrap().unwrap(), b"2");
    let entries: [(&[u8], &[u8]); 2] = [(b"later:c", b"3"), (b"later:c", b"4")];
    let stored = backend.put_if_absent_all(&entries, Some(ttl)).await.unwrap();
    assert_eq!(stored, [None, Some(b"3".to_vec())]);
}

async fn scans(backend: &dyn StateBackend) {
    let mut expected = BTreeMap::new();
    for index in 0..250_u32 {
        let key =
            [b"scan:\xff*?[a]\\".as_slice(), &index.wrapping_mul(7919).to_le_bytes()].concat();
        let value = index.to_string().into_bytes();
        backend.put(&key, &value).await.unwrap();
        expected.insert(key, value);
    }
    // Neighbours that do not have the prefix.
    for key in [b"scan:\xff*?[a]".as_slice(), b"scan:\xffxy[a]\\b", b"scan:\xff*?[b", b"scan;"] {
        backend.put(key, b"neighbour").await.unwrap();
    }
    for limit in [1, 7, 250, 1000] {
        let mut found = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let prefix = b"scan:\xff*?[a]\\";
            let page = backend.scan(prefix, after.as_deref(), limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            found.extend(page);
            if limit == 1 && found.len() == 10 {
                break;
            }
        }
        let all: Vec<_> = expected.clone().into_iter().collect();
        assert_eq!(found, all[..found.len()], "limit {limit}");
        assert!(limit == 1 || found.len() == 250, "limit {limit}: {}", found.len());
    }
    assert!(backend.scan(b"scan:", None, 0).await.unwrap().is_empty());
    assert!(backend.scan(b"absent:", None, 10).await.unwrap().is_empty());
    // Before the prefix: from its start. After it: nothing.
    let page = backend.scan(b"scan:\xff*?[a]\\", Some(b"a"), 3).await.unwrap();
    assert_eq!(page.len(), 3);
    assert!(backend.scan(b"scan:\xff*", Some(b"scan;"), 3).await.unwrap().is_empty());
    assert!(!backend.scan(b"", None, 1).await.unwrap().is_empty());
}

/// 32 tasks offer the same 1,000 keys, in batches and orders of their own.
async fn batches_have_one_winner(backend: &Arc<dyn StateBackend>) {
    let tasks: Vec<_> = (0..32_usize)
        .map(|task| {
            let backend = backend.clone();
            tokio::spawn(async move {
                let mut won = Vec::new();
                let value = task.to_string().into_bytes();
                let mut keys: Vec<(usize, String)> =
                    (0..1000).map(|key| (key, format!("winners:{key}"))).collect();
                keys.rotate_left(task * 31);
                if task % 2 == 1 {
                    keys.reverse();
                }
                for batch in keys.chunks(40 + task) {
                    let entries: Vec<(&[u8], &[u8])> =
                        batch.iter().map(|(_, key)| (key.as_bytes(), value.as_slice())).collect();
                    let stored = backend.put_if_absent_all(&entries, None).await.unwrap();
                    for ((key, _), stored) in batch.iter().zip(stored) {
                        won.push((*key, stored));
                    }
                }
                (value, won)
            })
        })
        .collect();
    let mut winners: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    let mut seen = Vec::new();
    for task in tasks {
        let (value, stored) = task.await.unwrap();
        for (key, stored) in stored {
            match stored {
                None => assert!(winners.insert(key, value.clone()).is_none(), "two winners: {key}"),
                Some(stored) => seen.push((key, stored)),
            }
        }
    }
    assert_eq!(winners.len(), 1000);
    assert_eq!(seen.len(), 31_000);
    assert!(seen.iter().all(|(key, stored)| winners[key] == *stored), "a loser sees the winner");
}

async fn single_calls_have_one_winner(backend: &Arc<dyn StateBackend>) {
    let tasks: Vec<_> = (0..8)
        .map(|task: u8| {
            let backend = backend.clone();
            tokio::spawn(async move {
                let mut won = 0;
                for key in 0..50 {
                    let key = format!("single:{key}");
                    let put = backend.put_if_absent(key.as_bytes(), &[task], None).await.unwrap();
                    won += usize::from(put.is_none());
                }
                won
            })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        won += task.await.unwrap();
    }
    assert_eq!(won, 50);
}
