//! `SharedDeduplicator`: positions, strategies, release, the Bloom filter, and backends that fail.

use std::sync::Arc;
use std::time::Duration;

use processor::deduplication::{
    Identifier, OnUnavailable, Seen, SharedDeduplicator, SharedDeduplicatorBuilder, Strategy,
};
use processor::state::{MemoryStateBackend, RedisStateBackend, StateBackend};

use crate::backends::redis_config;
use crate::servers;

fn memory() -> Arc<dyn StateBackend> {
    Arc::new(MemoryStateBackend::new(None))
}

fn by_id(backend: Arc<dyn StateBackend>) -> SharedDeduplicatorBuilder {
    SharedDeduplicator::builder(backend).strategies([Strategy::Fields(vec!["id".into()])])
}

#[tokio::test]
async fn replay_after_a_crash_finds_its_own_marks() {
    let backend = memory();
    let events: [(&[u8], &[u8]); 4] = [
        (br#"{"id":1}"#, b"a/0"),
        (br#"{"id":2}"#, b"a/1"),
        (br#"{"id":1}"#, b"a/2"),
        (b"{}", b"a/3"),
    ];
    let expected = [Seen::New, Seen::New, Seen::Duplicate, Seen::Unidentified];
    for _process in 0..3 {
        let seen = by_id(backend.clone()).build().unwrap();
        assert_eq!(seen.check_all(&events).await.unwrap(), expected);
        assert_eq!(
            (seen.stats().new, seen.stats().duplicates, seen.stats().round_trips),
            (2, 1, 1)
        );
    }
}

#[tokio::test]
async fn replayed_batch_passes_an_event_at_the_position_of_its_mark() {
    // Before the crash, position b/9 was checked alone. The replay has an equal event before it.
    let backend = memory();
    let before = by_id(backend.clone()).build().unwrap();
    assert_eq!(before.check(br#"{"id":7}"#, b"b/9").await.unwrap(), Seen::New);
    let after = by_id(backend).build().unwrap();
    let batch: [(&[u8], &[u8]); 3] =
        [(br#"{"id":7}"#, b"b/5"), (br#"{"id":7}"#, b"b/9"), (br#"{"id":7}"#, b"b/9")];
    let verdicts = after.check_all(&batch).await.unwrap();
    assert_eq!(verdicts, [Seen::Duplicate, Seen::New, Seen::Duplicate]);
}

#[tokio::test]
async fn strategies_are_tried_in_order_with_the_identities_of_the_engine() {
    let strategies = [
        Strategy::Fields(vec!["event_id".into()]),
        Strategy::Fields(vec!["tenant".into(), "order".into()]),
        Strategy::Content,
    ];
    let backend = memory();
    let seen = SharedDeduplicator::builder(backend.clone()).strategies(strategies.clone());
    let seen = seen.key_prefix("orders:").build().unwrap();
    let events: [&[u8]; 6] = [
        br#"{"event_id":"e1","tenant":"a","order":1}"#,
        br#"{"event_id":"e1"}"#,
        br#"{"tenant":"a","order":1}"#,
        br#"{"order":1.0, "tenant":"a", "note":"x"}"#,
        br#"{"tenant":"a","x":[1,2]}"#,
        br#"{"x":[1.0,2],"tenant":"a"}"#,
    ];
    let batch: Vec<(&[u8], &[u8])> = events.iter().map(|it| (*it, *it)).collect();
    let (new, old) = (Seen::New, Seen::Duplicate);
    assert_eq!(seen.check_all(&batch).await.unwrap(), [new, old, new, old, new, old]);
    // The keys are the prefix and the engine's identity.
    let mut identifier = Identifier::new(&strategies);
    for event in [events[0], events[2], events[4]] {
        let identity: Vec<u8> =
            identifier.of_json(event).iter().flat_map(|half| half.to_le_bytes()).collect();
        let key = [b"orders:".as_slice(), &identity].concat();
        assert_eq!(backend.get(&key).await.unwrap().as_deref(), Some(event));
    }
}

#[tokio::test]
async fn release_removes_only_the_mark_of_the_position() {
    let seen = by_id(memory()).bloom(1000, 1e-9).build().unwrap();
    let event = br#"{"id":"x"}"#;
    assert_eq!(seen.check(event, b"1").await.unwrap(), Seen::New);
    assert!(!seen.release(event, b"2").await.unwrap());
    assert!(!seen.release(b"{}", b"1").await.unwrap());
    assert_eq!(seen.check(event, b"2").await.unwrap(), Seen::Duplicate);
    assert!(seen.release(event, b"1").await.unwrap());
    assert!(!seen.release(event, b"1").await.unwrap());
    assert_eq!(seen.check(event, b"2").await.unwrap(), Seen::New);
    assert_eq!(seen.check(event, b"3").await.unwrap(), Seen::Duplicate);
    assert_eq!(seen.stats().released, 1);
}

#[tokio::test]
async fn ttl_ends_the_memory_of_an_event() {
    let ttl = Duration::from_millis(60);
    let seen = by_id(memory()).ttl(ttl).bloom(1000, 1e-9).build().unwrap();
    assert_eq!(seen.check(br#"{"id":1}"#, b"1").await.unwrap(), Seen::New);
    tokio::time::sleep(ttl + Duration::from_millis(2)).await;
    assert_eq!(seen.check(br#"{"id":1}"#, b"2").await.unwrap(), Seen::New);
}

#[tokio::test]
async fn bloom_filter_saves_the_round_trips_of_own_duplicates() {
    let backend = memory();
    let seen = by_id(backend.clone()).bloom(10_000, 1e-6).build().unwrap();
    let other = by_id(backend).build().unwrap();
    for id in 0..1000 {
        let event = format!(r#"{{"id":{id}}}"#);
        assert_eq!(seen.check(event.as_bytes(), b"first").await.unwrap(), Seen::New);
    }
    for id in 0..1000 {
        let event = format!(r#"{{"id":{id}}}"#);
        assert_eq!(seen.check(event.as_bytes(), b"second").await.unwrap(), Seen::Duplicate);
    }
    let stats = seen.stats();
    assert_eq!((stats.new, stats.duplicates, stats.filtered), (1000, 1000, 1000));
    assert_eq!(stats.round_trips, 1000);
    // Marks of others are found in the backend.
    assert_eq!(other.check(br#"{"id":"theirs"}"#, b"1").await.unwrap(), Seen::New);
    assert_eq!(seen.check(br#"{"id":"theirs"}"#, b"2").await.unwrap(), Seen::Duplicate);
    assert_eq!(seen.stats().filtered, 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn unavailable_backend_fails_the_check_or_lets_events_pass() {
    let Some(mut server) = servers::redis(&[]) else { return };
    let config = redis_config(&server).command_timeout(Duration::from_millis(300));
    let backend: Arc<dyn StateBackend> =
        Arc::new(RedisStateBackend::new(config.build().unwrap()).await.unwrap());
    let strict = by_id(backend.clone()).build().unwrap();
    let best_effort = by_id(backend).on_unavailable(OnUnavailable::BestEffort).build().unwrap();
    server.kill();
    let batch: [(&[u8], &[u8]); 3] =
        [(br#"{"id":1}"#, b"1"), (b"{}", b"2"), (br#"{"id":2}"#, b"3")];
    assert!(strict.check_all(&batch).await.unwrap_err().is_temporary());
    let verdicts = best_effort.check_all(&batch).await.unwrap();
    assert_eq!(verdicts, [Seen::Unchecked, Seen::Unidentified, Seen::Unchecked]);
    assert!(verdicts.iter().all(|seen| seen.passes()));
    assert_eq!(best_effort.stats().unchecked, 2);
    assert_eq!(strict.stats().unchecked, 0);
    assert!(best_effort.release(br#"{"id":1}"#, b"1").await.is_err());
    server.restart();
    // The connection broke while the server was away: the check itself connects again.
    assert_eq!(strict.check(br#"{"id":1}"#, b"1").await.unwrap(), Seen::New);
    assert_eq!(best_effort.check(br#"{"id":1}"#, b"2").await.unwrap(), Seen::Duplicate);
}

#[tokio::test]
async fn wrong_options_are_named() {
    let name = |builder: SharedDeduplicatorBuilder| match builder.build() {
        Err(processor::state::StateError::InvalidOption { option, .. }) => option,
        other => panic!("{other:?}"),
    };
    assert_eq!(name(SharedDeduplicator::builder(memory())), "strategies");
    let empty = SharedDeduplicator::builder(memory());
    assert_eq!(name(empty.strategies([Strategy::Fields(vec![])])), "strategies");
    assert_eq!(name(by_id(memory()).key_prefix("x".repeat(2033))), "key_prefix");
    assert_eq!(name(by_id(memory()).ttl(Duration::ZERO)), "ttl");
    assert_eq!(name(by_id(memory()).bloom(0, 0.01)), "bloom");
    assert_eq!(name(by_id(memory()).bloom(10, 0.5)), "bloom");
    let seen = by_id(memory()).build().unwrap();
    assert_eq!(seen.check(b"{}", b"").await.unwrap_err().code(), "invalid_option");
}
