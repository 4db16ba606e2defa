//! Generators follow the rules of the engine, and the host can move the watermark.

use chrono::Duration;
use processor::engine::spec::{Time, Watermark};
use processor::watermark::{BoundedOutOfOrderness, Periodic, Punctuated, WatermarkGenerator};
use processor::{StreamProcessor, StreamProcessorBuilder, StreamProcessorConfig};

use crate::common::{process, strict, sum, sums, time};

/// Checks that `generator` and `processor` have the same watermark after each event.
async fn compare(mut generator: impl WatermarkGenerator, processor: StreamProcessor) {
    let mut moves = 0;
    for number in 0..500_i64 {
        let at = time(number / 2 + number * number % 23);
        let value = f64::from(u8::from(number % 5 == 2));
        moves += u32::from(generator.observe(at, value));
        processor.process_event("a", at, value).await.unwrap();
        assert_eq!(processor.stats().await.watermark, generator.watermark());
    }
    assert!(moves > 10);
}

fn builder(interval: Duration) -> StreamProcessorBuilder {
    let config = StreamProcessorConfig { watermark_interval: interval, ..strict() };
    StreamProcessorBuilder::new()
        .with_config(config)
        .with_max_out_of_orderness(Duration::seconds(3))
}

#[tokio::test]
async fn bounded_generator_follows_the_engine() {
    let processor = builder(Duration::zero()).build_tumbling(Duration::seconds(10), sum);
    compare(BoundedOutOfOrderness::new(Duration::seconds(3)), processor).await;
}

#[tokio::test]
async fn periodic_generator_follows_the_engine() {
    let interval = Duration::seconds(7);
    let processor = builder(interval).build_tumbling(Duration::seconds(10), sum);
    compare(Periodic::new(Duration::seconds(3), interval), processor).await;
}

#[tokio::test]
async fn punctuated_generator_follows_the_engine() {
    let options = Time {
        watermark: Watermark::Punctuated,
        watermark_field: Some("value".to_owned()),
        ..Time::default()
    };
    let processor =
        builder(Duration::zero()).with_time(options).build_tumbling(Duration::seconds(10), sum);
    compare(Punctuated::new(Duration::seconds(3)), processor).await;
}

#[tokio::test]
async fn host_moves_the_watermark() {
    let processor = sums(strict());
    process(&processor, &[("a", 1, 1.0)]).await;
    processor.advance_watermark(time(10)).await.unwrap();
    assert_eq!(processor.stats().await.windows_fired, 1);
    process(&processor, &[("a", 2, 1.0)]).await;
    assert_eq!(processor.stats().await.events_late, 1);
    assert_eq!(processor.next_deadline(), None);
}
