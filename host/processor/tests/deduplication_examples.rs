//! The examples of deduplication print what they teach, without a server.

#![cfg(all(feature = "redis", feature = "sled"))]

#[path = "../examples/advanced_deduplication.rs"]
#[allow(dead_code, reason = "the main function of an example")]
mod advanced_deduplication;
#[path = "../examples/event_deduplication_demo.rs"]
#[allow(dead_code, reason = "the main function of an example")]
mod event_deduplication_demo;

/// Checks that an example has printed `lines`, in this order.
fn check(printed: &[u8], lines: &[&str]) {
    let printed = std::str::from_utf8(printed).unwrap();
    let mut rest = printed.lines();
    for line in lines {
        assert!(rest.any(|found| found == *line), "{line:?} is not in:\n{printed}");
    }
}

#[tokio::test]
async fn event_deduplication_demo_prints_its_results() {
    let mut out = Vec::new();
    event_deduplication_demo::run(&mut out, None).await.unwrap();
    check(
        &out,
        &[
            "  payments/0/2: duplicate of payments/0/0",
            "booked 4 of 7 deliveries",
            "booked 4 of 7 deliveries",
            "after a crash, the same 4 pass again: true",
            "the first payment at another position: Duplicate",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn advanced_deduplication_prints_its_results() {
    let mut out = Vec::new();
    advanced_deduplication::run(&mut out, None, 500).await.unwrap();
    check(
        &out,
        &[
            "SharedDeduplicator: 500 of 500 events passed",
            "2000 checks in 20 round trips",
            r#"New: {"event_id": "e-1", "total": 7}"#,
            r#"Duplicate: {"event_id": "e-1", "total": 8}"#,
            r#"New: {"tenant": "acme", "order": 17}"#,
            r#"Duplicate: {"order": 17.0, "tenant": "acme", "retry": true}"#,
            r#"New: {"temperature": 21.5, "room": "b"}"#,
            r#"Duplicate: {"room": "b", "temperature": 21.50}"#,
            "New, released: true, the retry: New",
            "Bloom filter: 500 new, 1000 duplicates, 5 round trips",
        ],
    );
}
