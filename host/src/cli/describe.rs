//! Descriptions of pipelines, for `check` and `explain`.

use std::fmt::Write;

use stream_processor::schema::{OutputKind, OutputSchema};
use stream_processor::spec::{Future, PipelineSpec, SinkType, SourceType, Watermark};
use stream_processor::{OneShard, Pipeline};

use stream_processor_core::Escaped;

use super::describe_stage;

/// Describes a pipeline with a line for each part.
pub(crate) fn short(pipeline: &Pipeline) -> String {
    let spec = pipeline.spec();
    let mut lines = vec![
        ("source".to_owned(), format!("{}, {}", source(spec), columns_read(pipeline))),
        ("time".to_owned(), time(spec)),
    ];
    for (index, mut sentence) in describe_stage::sentences(spec).into_iter().enumerate() {
        if let (0, Some(store)) = (index, pipeline.shared_store()) {
            sentence.push_str(&describe_stage::shared(spec, &store));
        }
        // Numbered as in error messages and dead letters.
        lines.push((format!("stages[{index}]"), sentence));
    }
    lines.push(("sink".to_owned(), sink(spec)));
    lines.extend(side_outputs(spec));
    lines.extend(one_shard(pipeline).map(|line| ("shards".to_owned(), line)));
    lines.iter().fold(String::new(), |mut text, (name, line)| {
        let _ = writeln!(text, "  {name:<12} {line}");
        text
    })
}

/// Describes a pipeline as [`short`], with the columns of a row, whether keys are split over
/// shards, and the limits.
pub(crate) fn long(pipeline: &Pipeline) -> String {
    let mut text = short(pipeline);
    let plan = pipeline.plan();
    if plan.output.passes_events {
        text.push_str("\nRows are the events that pass, as they came, with all their fields\n");
    } else {
        rows(&plan.output, &mut text);
    }
    text.push_str(match plan.one_shard {
        None => "\nKeys are independent of each other: --shards splits them over threads.\n",
        Some(_) => "\nAll events go through one instance: --shards has no effect.\n",
    });
    text.push_str("\nLimits of each instance\n");
    if let Ok(serde_json::Value::Object(limits)) = serde_json::to_value(&plan.limits) {
        for (name, value) in limits {
            let _ = writeln!(text, "  {name:<24} {value}");
        }
    }
    text
}

/// Returns the reason if a pipeline with keys runs in one instance.
fn one_shard(pipeline: &Pipeline) -> Option<String> {
    let reason = pipeline.plan().one_shard.filter(|reason| *reason != OneShard::NoKey)?;
    Some(format!("1, whatever --shards says: {reason}"))
}

fn rows(schema: &OutputSchema, text: &mut String) {
    text.push_str("\nEach row has\n");
    for key in &schema.key {
        let _ = writeln!(text, "  {key:<24} the key, as it came");
    }
    for column in &schema.columns {
        let kind = match column.kind {
            OutputKind::Time => "time, RFC 3339",
            OutputKind::Bool => "true or false",
            _ => "number or null",
        };
        let _ = writeln!(text, "  {:<24} {kind}", column.name);
    }
}

fn source(spec: &PipelineSpec) -> String {
    let from = match spec.source.r#type {
        SourceType::File => spec.source.path.0.join(", "),
        other => name(&other),
    };
    format!("{from} as {}", name(&spec.source.format))
}

fn columns_read(pipeline: &Pipeline) -> String {
    let source = &pipeline.spec().source;
    let unit = name(&source.timestamp_unit);
    let form = pipeline.time_form().unwrap_or_else(|| format!("RFC 3339, or a number of {unit}"));
    let mut text = format!("time in `{}` ({form})", Escaped(&source.timestamp));
    match source.key.0.as_slice() {
        [] => text.push_str(", no key"),
        keys => {
            let _ = write!(text, ", key {}", quoted(keys));
        }
    }
    if let Some(partition) = &source.partition {
        let _ = write!(text, ", partition `{partition}`");
    }
    let columns = &pipeline.plan().input.columns;
    if !columns.is_empty() {
        let columns: Vec<_> = columns.iter().map(|column| column.name.clone()).collect();
        let _ = write!(text, ", numbers {}", quoted(&columns));
    }
    text
}

fn time(spec: &PipelineSpec) -> String {
    let time = &spec.time;
    let bound = time.max_out_of_orderness.to_string();
    let order = match (time.watermark, bound.as_str()) {
        (Watermark::Manual, _) => "windows fire at the end of input".to_owned(),
        (_, "unbounded") => {
            "events come in any order: every window fires at the end of input".into()
        }
        (_, "0s") => "events come in order: whatever is behind a closed window is late".into(),
        (_, bound) => format!("events come up to {bound} out of order"),
    };
    let mut parts = vec![order];
    if let Some(interval) = time.watermark_interval {
        parts.push(format!("time moves in steps of {interval}"));
    }
    if let Some(field) = &time.watermark_field {
        parts.push(format!("time moves with events marked by `{field}`"));
    }
    if let Some(timeout) = time.idle_timeout.filter(|_| spec.source.partition.is_some()) {
        parts.push(format!("partitions silent for {timeout} are not waited for"));
    }
    if let Some(timeout) = time.close_after_idle {
        parts.push(format!("everything fires after {timeout} without events"));
    }
    if let Some(skew) = time.max_future_skew {
        let fate = match time.future.unwrap_or_default() {
            Future::Drop => "dropped",
            Future::Keep => "kept, but do not move time",
        };
        parts.push(format!("events more than {skew} ahead of the clock are {fate}"));
    }
    parts.join("; ")
}

fn sink(spec: &PipelineSpec) -> String {
    let to = match (spec.sink.r#type, &spec.sink.path) {
        (SinkType::File, Some(path)) => path.clone(),
        (other, _) => name(&other),
    };
    format!("{to} as {}", name(&spec.sink.format))
}

fn side_outputs(spec: &PipelineSpec) -> Vec<(String, String)> {
    let outputs = [("late", &spec.late), ("dead letters", &spec.dead_letter)];
    outputs
        .into_iter()
        .filter_map(|(name, output)| Some((name.into(), output.as_ref()?.path.clone())))
        .collect()
}

/// Returns the names in backticks, separated by commas.
pub(crate) fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{}`", Escaped(name))).collect::<Vec<_>>().join(", ")
}

/// Returns the name of a value in pipeline files.
pub(crate) fn name(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}
