//! The examples print what they teach, and the documents name examples and files that exist.

use std::path::Path;

use chrono::Duration;
use processor::engine::spec::Reduce;
use processor::normalization::{AlignmentStrategy, NormalizationConfig, TimeSeriesNormalizer};

use crate::common::time;

#[path = "../../examples/advanced_normalization.rs"]
#[allow(dead_code, reason = "the main function of an example")]
mod advanced_normalization;
#[path = "../../examples/aggregation_demo.rs"]
#[allow(dead_code, reason = "the main function of an example")]
mod aggregation_demo;
#[path = "../../examples/kafka_pipeline.rs"]
#[allow(dead_code, reason = "the main function of an example")]
mod kafka_pipeline;
#[path = "../../examples/multi_key_sliding_window.rs"]
#[allow(dead_code, reason = "the main function of an example")]
mod multi_key_sliding_window;
#[path = "../../examples/stream_processor_demo.rs"]
#[allow(dead_code, reason = "the main function of an example")]
mod stream_processor_demo;
#[path = "../../examples/timeseries_normalization_demo.rs"]
#[allow(dead_code, reason = "the main function of an example")]
mod timeseries_normalization_demo;
#[path = "../../examples/watermark_demo.rs"]
#[allow(dead_code, reason = "the main function of an example")]
mod watermark_demo;

const EXAMPLES: [&str; 7] = [
    "advanced_normalization",
    "aggregation_demo",
    "kafka_pipeline",
    "multi_key_sliding_window",
    "stream_processor_demo",
    "timeseries_normalization_demo",
    "watermark_demo",
];

/// Checks that an example has printed `lines`.
fn check(printed: &[u8], lines: &[&str]) {
    let printed = std::str::from_utf8(printed).unwrap();
    for line in lines {
        assert!(printed.lines().any(|found| found == *line), "{line:?} is not in:\n{printed}");
    }
}

#[tokio::test]
async fn advanced_normalization_prints_its_results() {
    let mut out = Vec::new();
    advanced_normalization::run(&mut out).await.unwrap();
    check(
        &out,
        &[
            "temperature: 100 samples, 1 outlier, 1 points filled, 0 late",
            "errors: 8 on 35 points, 31 of them without errors",
        ],
    );
}

#[tokio::test]
async fn aggregation_demo_prints_its_results() {
    let mut out = Vec::new();
    aggregation_demo::run(&mut out).await.unwrap();
    check(
        &out,
        &[
            "median: Some(109.5)",
            "anomaly: value 150 is 900",
            r#"session [2024-05-01T12:00:00Z, 2024-05-01T12:00:55Z) {"slow_share": 0.5}"#,
        ],
    );
}

#[tokio::test]
async fn kafka_pipeline_prints_its_results() {
    let mut out = Vec::new();
    kafka_pipeline::run(&mut out).await.unwrap();
    check(
        &out,
        &[
            "crashed after 400 messages, continue from 350",
            r#"us: [2024-05-01T12:05:00Z, 2024-05-01T12:10:00Z) {"orders": 150.0, "revenue": 750.0}"#,
        ],
    );
}

#[tokio::test]
async fn multi_key_sliding_window_prints_its_results() {
    let mut out = Vec::new();
    multi_key_sliding_window::run(&mut out).await.unwrap();
    check(
        &out,
        &[
            r#"[2024-05-01T12:00:00Z, 2024-05-01T12:10:00Z) login  {"requests": 600.0, "avg": 24.991666666666667}"#,
            r#"[2024-05-01T12:00:00Z, 2024-05-01T12:10:00Z) search {"requests": 600.0, "avg": 93.66666666666667, "p99": 900.0}"#,
        ],
    );
}

#[tokio::test]
async fn stream_processor_demo_prints_its_results() {
    let mut out = Vec::new();
    stream_processor_demo::run(&mut out).await.unwrap();
    check(&out, &["152 events, 5 windows fired, 1 event too late"]);
}

#[tokio::test]
async fn timeseries_normalization_demo_prints_its_results() {
    let mut out = Vec::new();
    timeseries_normalization_demo::run(&mut out).await.unwrap();
    check(
        &out,
        &[
            "linear      10.00   14.00*  18.00   23.67*  29.33*  35.00 ",
            "none        10.00       -   18.00       -       -   35.00 ",
        ],
    );
}

#[tokio::test]
async fn watermark_demo_prints_its_results() {
    let mut out = Vec::new();
    watermark_demo::run(&mut out).await.unwrap();
    check(
        &out,
        &[
            "12:00:14   12:00:10.999999Z 12:00:10.999999Z 12:00:13.999999Z",
            "  fired: [2024-05-01T12:00:00Z, 2024-05-01T12:00:10Z) with 4 events",
            "  late: the window of this event has fired",
        ],
    );
}

/// The documents of the crate: their paths and texts.
const DOCUMENTS: [(&str, &str); 3] = [
    ("README.md", include_str!("../../README.md")),
    ("STREAM_PROCESSOR.md", include_str!("../../STREAM_PROCESSOR.md")),
    ("src/normalization/README.md", include_str!("../../src/normalization/README.md")),
];

#[test]
fn commands_of_documents_are_tested() {
    let mut found = 0;
    for (path, text) in DOCUMENTS {
        for command in text.lines().filter_map(|line| line.strip_prefix("cargo ")) {
            match command.strip_prefix("run --example ") {
                Some(name) => assert!(EXAMPLES.contains(&name), "{path}: {name} is not tested"),
                None => assert_eq!(command, "bench -p processor", "{path}"),
            }
            found += 1;
        }
    }
    assert!(found >= EXAMPLES.len());
    let readme = DOCUMENTS[0].1;
    for name in EXAMPLES {
        assert!(readme.contains(&format!("cargo run --example {name}")), "{name} is not named");
    }
}

#[test]
fn links_of_documents_lead_to_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, text) in DOCUMENTS {
        let folder = root.join(path).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            assert!(folder.join(file).exists(), "{path} links to {link}");
        }
    }
}

/// The picture shows the samples and the values that the normalizer computes.
#[tokio::test]
async fn picture_shows_computed_figures() {
    let picture = include_str!("../../src/normalization/normalization.svg");
    let config = NormalizationConfig::builder()
        .interval(Duration::seconds(1))
        .alignment(AlignmentStrategy::Round)
        .build()
        .unwrap();
    let mut normalizer = TimeSeriesNormalizer::new(config).with_reduce(Reduce::First);
    let place = |seconds: f64, value: f64| (60.0 + seconds * 90.0, 240.0 - value * 5.5);
    for (ms, value) in [(0, 10.0), (300, 12.0), (1_700, 18.0), (4_900, 35.0)] {
        normalizer.process_event(time(0) + Duration::milliseconds(ms), value).await.unwrap();
        let (x, y) = place(ms as f64 / 1000.0, value);
        assert!(picture.contains(&format!(r#"d="M{x:.1},{y:.1} "#)), "sample at {ms} ms");
    }
    for point in normalizer.normalize().await.unwrap() {
        let second = point.timestamp.timestamp();
        let (x, y) = place(second as f64, point.value.unwrap());
        let fill = if point.filled { "white" } else { "#3b7dd8" };
        let circle = format!(r#"cx="{x:.1}" cy="{y:.1}" r="5" fill="{fill}""#);
        assert!(picture.contains(&circle), "{circle} is missing");
    }
}
