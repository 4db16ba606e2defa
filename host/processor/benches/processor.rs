//! Speed of the crate, against the engine and against plain loops. The group names say what each
//! figure is compared with.

use std::hint::black_box;
use std::time::Duration as Time;

use chrono::{DateTime, Duration, Utc};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use processor::aggregation::statistics::OnlineVariance;
use processor::aggregation::{CompositeAggregator, PercentileAggregator};
use processor::engine::{Batch, Column, Engine, KeyColumn, Options};
use processor::normalization::{NormalizationConfig, TimeSeriesNormalizer};
use processor::{StreamProcessor, StreamProcessorBuilder};

const EVENTS: usize = 100_000;

type Event = (String, DateTime<Utc>, f64);

fn events() -> Vec<Event> {
    let start = DateTime::<Utc>::UNIX_EPOCH;
    let event = |number: usize| {
        let number = number as i64;
        let key = format!("service-{}", number * 7919 % 1000);
        (key, start + Duration::milliseconds(number), (number * 31 % 1009) as f64)
    };
    (0..EVENTS).map(event).collect()
}

fn processor() -> StreamProcessor {
    StreamProcessorBuilder::new().build_tumbling(Duration::hours(1), |_key: &str| {
        let mut aggregator = CompositeAggregator::new();
        aggregator.add_count("count").add_sum("sum").add_avg("avg").add_max("max");
        aggregator
    })
}

/// Runs a future that never waits.
fn now<F: Future>(future: F) -> F::Output {
    use std::task::{Context, Poll, Waker};
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing waits"),
    }
}

/// `process_events` is to reach half of `core_push`, `process_event` one million events per second.
fn windows(criterion: &mut Criterion) {
    let events = events();
    let mut group = criterion.benchmark_group("windows");
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function("process_event", |bencher| {
        bencher.iter_batched(
            processor,
            |processor| {
                for (key, time, value) in &events {
                    now(processor.process_event(key.as_str(), *time, *value)).unwrap();
                }
                processor
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("process_events", |bencher| {
        bencher.iter_batched(
            processor,
            |processor| {
                now(processor.process_events(&events)).unwrap();
                processor
            },
            BatchSize::PerIteration,
        );
    });
    let timestamps: Vec<i64> = events.iter().map(|(_, time, _)| time.timestamp_micros()).collect();
    let values: Vec<f64> = events.iter().map(|(_, _, value)| *value).collect();
    let (mut offsets, mut bytes) = (vec![0], Vec::new());
    for (key, _, _) in &events {
        bytes.extend_from_slice(key.as_bytes());
        offsets.push(bytes.len() as u32);
    }
    let columns = [Column::F64(&values)];
    let keys = KeyColumn::Text { offsets: &offsets, bytes: &bytes };
    let batch = Batch { timestamps: &timestamps, keys, columns: &columns, ..Batch::default() };
    let spec = processor().spec().unwrap().clone();
    group.bench_function("core_push", |bencher| {
        bencher.iter_batched(
            || Engine::open(&spec, Options::default()).unwrap(),
            |mut engine| {
                assert_eq!(engine.push(&batch).unwrap().consumed, EVENTS);
                engine
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Linear normalization is to reach one million samples per second.
fn normalization(criterion: &mut Criterion) {
    let events = events();
    let config =
        NormalizationConfig::builder().interval(Duration::milliseconds(3)).build().unwrap();
    let mut group = criterion.benchmark_group("normalization");
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function("linear", |bencher| {
        bencher.iter_batched(
            || TimeSeriesNormalizer::new(config.clone()),
            |mut normalizer| {
                for (_, time, value) in &events {
                    now(normalizer.process_event(*time, *value)).unwrap();
                }
                now(normalizer.normalize()).unwrap()
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Aggregators by hand are to take at most 1.5 times as long as the plain loops.
fn by_hand(criterion: &mut Criterion) {
    let values: Vec<f64> = events().into_iter().map(|(_, _, value)| value * 1.37 + 1.0).collect();
    let mut group = criterion.benchmark_group("by_hand");
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function("percentile", |bencher| {
        bencher.iter(|| {
            let mut p95 = PercentileAggregator::new(95);
            black_box(&values).iter().for_each(|value| p95.update(*value));
            p95.result()
        });
    });
    group.bench_function("percentile_plain", |bencher| {
        bencher.iter(|| plain_percentile(black_box(&values)));
    });
    group.bench_function("variance", |bencher| {
        bencher.iter(|| {
            let mut variance = OnlineVariance::new();
            black_box(&values).iter().for_each(|value| variance.update(*value));
            variance.std_dev()
        });
    });
    group.bench_function("variance_plain", |bencher| {
        bencher.iter(|| plain_variance(black_box(&values)));
    });
    group.finish();
}

/// The 95th percentile by logarithmic buckets of positive numbers, 64 for each octave.
fn plain_percentile(values: &[f64]) -> f64 {
    let mut counts = vec![0_u32; 2048 * 64];
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        counts[(value.to_bits() >> 46) as usize] += 1;
        min = min.min(*value);
        max = max.max(*value);
    }
    let (mut left, mut at) = (values.len() as u32 / 20 * 19, 0);
    while left >= counts[at] {
        left -= counts[at];
        at += 1;
    }
    f64::from_bits(((at as u64) << 46) + (1 << 45)).clamp(min, max)
}

/// The deviation by the method of Welford.
fn plain_variance(values: &[f64]) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
    }
    f64::sqrt(squares / (count - 1.0))
}

fn short() -> Criterion {
    let criterion = Criterion::default().sample_size(20);
    criterion.warm_up_time(Time::from_secs(1)).measurement_time(Time::from_secs(3))
}

criterion_group! { name = benches; config = short(); targets = windows, normalization, by_hand }
criterion_main!(benches);
