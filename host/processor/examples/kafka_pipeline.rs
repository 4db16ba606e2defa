//! Runs on a topic in memory. On Kafka: read messages with a client, and commit after each snapshot.
//!
//! A consumer reads messages of a topic, a processor aggregates them, and a producer writes the
//! results to another topic. A snapshot and the position of the consumer are stored together: after
//! a crash, the consumer seeks to the position, and the results are the same.

use std::io::{self, Write};
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use processor::aggregation::CompositeAggregator;
use processor::{StreamProcessorBuilder, WindowResult};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    run(&mut io::stdout()).await
}

/// A message: its key, and a payload of a time and a value.
#[derive(Clone)]
struct Message {
    key: String,
    payload: String,
}

fn parse(message: &Message) -> anyhow::Result<(DateTime<Utc>, f64)> {
    let (time, value) =
        message.payload.split_once(' ').ok_or_else(|| anyhow::anyhow!("no value"))?;
    Ok((time.parse()?, value.parse()?))
}

fn written(result: &WindowResult) -> Message {
    let payload = format!("{} {:?}", result.window, result.results);
    Message { key: result.key.clone(), payload }
}

fn aggregator(_key: &str) -> CompositeAggregator {
    let mut aggregator = CompositeAggregator::new();
    aggregator.add_count("orders").add_sum("revenue");
    aggregator
}

pub(crate) async fn run(out: &mut impl Write) -> anyhow::Result<()> {
    let noon: DateTime<Utc> = "2024-05-01T12:00:00Z".parse()?;
    let topic: Vec<Message> = (0..600_i64)
        .map(|number| Message {
            key: ["eu", "us"][(number % 2) as usize].to_owned(),
            payload: format!("{} {}", (noon + Duration::seconds(number)).to_rfc3339(), number % 10),
        })
        .collect();

    let builder = StreamProcessorBuilder::new();
    let mut processor = builder.clone().build_tumbling(Duration::minutes(5), aggregator);
    let window = processor.window().cloned().ok_or_else(|| anyhow::anyhow!("no window"))?;

    // The consumer crashes after 400 messages. The last checkpoint was after 350.
    let mut checkpoint = (0, processor.snapshot().await?);
    let mut results = processor.results().expect("the first call");
    let mut output: Vec<Message> = Vec::new();
    for (position, message) in topic.iter().enumerate().take(400) {
        if position == 350 {
            output.extend(std::iter::from_fn(|| results.try_next()).map(|one| written(&one)));
            checkpoint = (position, processor.snapshot().await?);
        }
        let (time, value) = parse(message)?;
        processor.process_event(message.key.as_str(), time, value).await?;
    }
    drop(processor);
    writeln!(out, "crashed after 400 messages, continue from {}", checkpoint.0)?;

    let (position, snapshot) = checkpoint;
    let mut processor = builder.restore(window, aggregator, &snapshot)?;
    let mut results = processor.results().expect("the first call");
    let processor = Arc::new(processor);
    let consumer = Arc::clone(&processor);
    let reading = tokio::spawn(async move {
        for message in topic.iter().skip(position) {
            let (time, value) = parse(message)?;
            consumer.ready().await?;
            consumer.process_event(message.key.as_str(), time, value).await?;
        }
        consumer.finish().await?;
        anyhow::Ok(())
    });
    while let Some(result) = results.next().await {
        output.push(written(&result));
    }
    reading.await??;
    for message in output {
        writeln!(out, "{}: {}", message.key, message.payload)?;
    }
    Ok(())
}
