//! Sentences about stages, for `check` and `explain`.

use std::fmt::Write;

use serde_json::{Map, Value};
use stream_processor::spec::{
    Aggregation, Comparison, Condition, Dedup, Ema, Filter, HalfLife, Interval, Normalize,
    OnUnavailable, Operation, PercentileEngine, PipelineSpec, Rolling, Stage, Strategy, Window,
    ZScore, ZScoreMethod,
};

use super::describe::{name, quoted};

/// Returns a sentence for each stage, in order.
pub(crate) fn sentences(spec: &PipelineSpec) -> Vec<String> {
    let mut key = spec.source.key.0.as_slice();
    let mut value = spec.source.value.0.first().cloned();
    let mut sentences = Vec::new();
    for stage in &spec.stages {
        sentences.push(sentence(stage, key, value.as_ref()));
        match stage {
            Stage::KeyBy(key_by) => key = &key_by.fields.0,
            // Rows have other columns than the events of the source.
            Stage::Window(window) => value = only_column(window),
            _ => {}
        }
    }
    sentences
}

/// Returns the column of a window with a single aggregation, the default field of later stages.
fn only_column(window: &Window) -> Option<String> {
    match window.aggregations.as_slice() {
        [only] => only.name.clone().or_else(|| Some(only.op.to_string())),
        _ => None,
    }
}

/// Describes `stage`, whose events have the key fields `key` and the default field `value`.
fn sentence(stage: &Stage, key: &[String], value: Option<&String>) -> String {
    match stage {
        Stage::Window(stage) => window(stage, key, value),
        Stage::Filter(stage) => filter(stage),
        Stage::Map(stage) => {
            let set = stage.set.iter();
            let set = set.map(|set| format!("`{}` = {}", set.name, set.expression));
            format!("computes {}", set.collect::<Vec<_>>().join(", "))
        }
        Stage::KeyBy(stage) => format!("groups events by {} from here on", quoted(&stage.fields.0)),
        Stage::Ema(stage) => ema(stage, key, value),
        Stage::Rolling(stage) => rolling(stage, key, value),
        Stage::ZScore(stage) => zscore(stage, key, value),
        Stage::Normalize(stage) => normalize(stage, key, value),
        Stage::Dedup(stage) => dedup(stage),
        _ => String::new(),
    }
}

fn window(window: &Window, key: &[String], value: Option<&String>) -> String {
    let mut text = format!("{} windows", name(&window.window));
    if let Some(size) = window.size {
        let _ = write!(text, " of {size}");
    }
    if let Some(slide) = window.slide {
        let _ = write!(text, " every {slide}");
    }
    if let Some(gap) = window.gap {
        let _ = write!(text, " with gaps of up to {gap}");
    }
    if let Some(unit) = window.unit {
        let _ =
            write!(text, " of a {} in {}", name(&unit), window.zone.as_deref().unwrap_or("UTC"));
    }
    if let Some(step) = window.step {
        let _ = write!(text, " in steps of {step}");
    }
    if let Some(count) = window.count {
        let _ = write!(text, " of {count} events");
    }
    if window.offset.as_micros() != 0 {
        let _ = write!(text, " from {} after the epoch", window.offset);
    }
    text.push_str(&for_each(key));
    if window.allowed_lateness.as_micros() > 0 {
        let _ = write!(text, ", which take events up to {} late", window.allowed_lateness);
    }
    if let Some(early) = window.early {
        let _ = write!(text, ", with early rows every {early}");
    }
    let field = window.field.as_ref().or(value);
    let _ = write!(text, ": {}", aggregations(&window.aggregations, field));
    text
}

fn aggregations(list: &[Aggregation], field: Option<&String>) -> String {
    let list = list.iter().map(|aggregation| describe_aggregation(aggregation, field));
    list.collect::<Vec<_>>().join(", ")
}

/// Describes an aggregation. Percentiles that are not exact are marked.
fn describe_aggregation(aggregation: &Aggregation, field: Option<&String>) -> String {
    let mut text = aggregation.op.to_string();
    if let Some(field) = aggregation.field.as_ref().or(field) {
        let _ = write!(text, "({field})");
    }
    if let Some(name) = &aggregation.name {
        let _ = write!(text, " as {name}");
    }
    if matches!(aggregation.op, Operation::Percentile(_)) {
        text.push_str(match aggregation.engine.unwrap_or_default() {
            PercentileEngine::Exact => " (exact)",
            PercentileEngine::Sketch => " (approximate, within 1 %)",
            _ => " (approximate)",
        });
    }
    text
}

fn filter(filter: &Filter) -> String {
    format!("passes events with {}", conditions(&filter.r#where, " and "))
}

fn conditions(list: &[Condition], word: &str) -> String {
    list.iter().map(condition).collect::<Vec<_>>().join(word)
}

fn condition(condition: &Condition) -> String {
    if let Some(all) = &condition.all {
        return format!("({})", conditions(all, " and "));
    }
    if let Some(any) = &condition.any {
        return format!("({})", conditions(any, " or "));
    }
    if let Some(not) = &condition.not {
        return format!("not {}", self::condition(not));
    }
    let field = condition.field.as_deref().unwrap_or_default();
    let value = condition.value.as_ref().map(Value::to_string).unwrap_or_default();
    match condition.op {
        Some(Comparison::Missing) => format!("`{field}` missing"),
        Some(op) => format!("`{field}` {} {value}", name(&op)),
        None => format!("`{field}`"),
    }
}

fn ema(ema: &Ema, key: &[String], value: Option<&String>) -> String {
    let weight = match (ema.span, ema.alpha, ema.half_life) {
        (Some(span), ..) => format!(" with a span of {span} values"),
        (_, Some(alpha), _) => format!(" with weight {alpha} for a new value"),
        (_, _, Some(HalfLife::Values(values))) => format!(" with a half-life of {values} values"),
        (_, _, Some(HalfLife::Time(time))) => format!(" with a half-life of {time}"),
        _ => String::new(),
    };
    let fields = fields(&ema.fields, ema.field.as_ref().or(value));
    let kept = state_ttl(ema.state_ttl);
    format!("adds the moving average of {fields}{}{weight}{kept}", for_each(key))
}

fn rolling(rolling: &Rolling, key: &[String], value: Option<&String>) -> String {
    let last = match rolling.size {
        Some(size) => format!("the last {size} values"),
        None => "all values so far".to_owned(),
    };
    let field = rolling.field.as_ref().or(value);
    let mut parts = Vec::new();
    if !rolling.aggregations.is_empty() {
        let field = field.filter(|_| rolling.fields.is_empty());
        parts.push(aggregations(&rolling.aggregations, field));
    }
    if !rolling.fields.is_empty() {
        parts.push(format!("of {}", fields(&rolling.fields, None)));
    }
    let kept = state_ttl(rolling.state_ttl);
    format!("adds aggregations of {last}{}: {}{kept}", for_each(key), parts.join(" "))
}

fn zscore(zscore: &ZScore, key: &[String], value: Option<&String>) -> String {
    let from = match zscore.method {
        ZScoreMethod::Mad => "median absolute deviations from the median",
        _ => "standard deviations from the mean",
    };
    let before = match (zscore.window, zscore.method) {
        (Some(window), _) => format!("the {window} values before"),
        (None, ZScoreMethod::Mad) => "the 100 values before".to_owned(),
        (None, _) => "all values before".to_owned(),
    };
    let fields = fields(&zscore.fields, zscore.field.as_ref().or(value));
    let learned = if zscore.learn_anomalies { "" } else { ", anomalies left out" };
    format!(
        "marks values of {fields} more than {} {from} of {before}{}, after {} values{learned}{}",
        zscore.threshold,
        for_each(key),
        zscore.warmup,
        state_ttl(zscore.state_ttl)
    )
}

fn normalize(normalize: &Normalize, key: &[String], value: Option<&String>) -> String {
    let every = match normalize.interval {
        Interval::Every(interval) => format!("every {interval}"),
        Interval::Auto => "at the median step of its first 32 samples".to_owned(),
    };
    let mut text = format!("gives {} {every}{}", fields(&normalize.fields, value), for_each(key));
    if normalize.offset.as_micros() != 0 {
        let _ = write!(text, ", from {} after the epoch", normalize.offset);
    }
    let options = [
        ("align", normalize.align.as_ref().map(name)),
        ("basis", Some(name(&normalize.basis)).filter(|basis| basis != "aligned")),
        ("reduce", normalize.reduce.as_ref().map(name)),
        ("fill", Some(normalize.fill.as_ref().map_or_else(|| "linear".to_owned(), name))),
        ("degree", normalize.degree.map(|degree| degree.to_string())),
        ("max_gap", normalize.max_gap.map(|gap| gap.to_string())),
    ];
    for (option, value) in options {
        if let Some(value) = value {
            let _ = write!(text, ", {option} {value}");
        }
    }
    if let Some(outliers) = &normalize.outliers {
        let _ = write!(
            text,
            "; values more than {} deviations from the {} values before: {}",
            outliers.zscore,
            outliers.window,
            name(&outliers.action)
        );
    }
    text
}

fn dedup(dedup: &Dedup) -> String {
    let strategy = |strategy: &Strategy| match strategy {
        Strategy::Fields(fields) => {
            fields.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(" and ")
        }
        Strategy::Content => "all of their content".to_owned(),
    };
    let strategies: Vec<_> = dedup.strategies.iter().map(strategy).collect();
    let mut text = format!("drops events that repeat {}", strategies.join(", or else "));
    if let Some(ttl) = dedup.ttl {
        let refreshed = if dedup.refresh { " after the last repeat" } else { "" };
        let _ = write!(text, " within {ttl}{refreshed}");
    }
    if name(&dedup.clock) == "arrival" {
        text.push_str(" by the time of arrival");
    }
    let limit = match name(&dedup.mode).as_str() {
        "bloom" => ", found by Bloom filters",
        _ => "",
    };
    text.push_str(limit);
    for (option, value) in [("max_entries", dedup.max_entries), ("capacity", dedup.capacity)] {
        if let Some(value) = value {
            let _ = write!(text, ", {option} {value}");
        }
    }
    if let Some(rate) = dedup.false_positive_rate {
        let _ = write!(text, ", of which {} % may be wrong", rate * 100.0);
    }
    if let Some(on_unjudged) = &dedup.on_unjudged {
        let _ = write!(text, "; events too late to be judged: {}", name(on_unjudged));
    }
    text
}

/// Returns the part of the sentence about the first stage that describes its shared store, `store`.
pub(crate) fn shared(spec: &PipelineSpec, store: &str) -> String {
    let Some(Stage::Dedup(Dedup { shared: Some(shared), .. })) = spec.stages.first() else {
        return String::new();
    };
    let fate = match shared.on_unavailable {
        OnUnavailable::Strict => "the run ends with an error",
        OnUnavailable::BestEffort => "events pass unchecked",
    };
    format!(
        ", in all processes that share {store} with the prefix `{}`; while it is unavailable, {fate}",
        shared.key_prefix
    )
}

/// Returns ` for each` with the key, or nothing without a key.
fn for_each(key: &[String]) -> String {
    if key.is_empty() { String::new() } else { format!(" for each {}", quoted(key)) }
}

fn state_ttl(ttl: Option<stream_processor::spec::Duration>) -> String {
    ttl.map(|ttl| format!("; a key is forgotten after {ttl}")).unwrap_or_default()
}

/// Returns the names of fields, each with its own options in parentheses; `default` if there are
/// none.
fn fields<T: serde::Serialize>(fields: &[T], default: Option<&String>) -> String {
    if fields.is_empty() {
        return default.map_or("the default field".to_owned(), |field| format!("`{field}`"));
    }
    let field = |field: &T| match serde_json::to_value(field) {
        Ok(Value::String(name)) => format!("`{name}`"),
        Ok(Value::Object(options)) => field_with_options(options),
        _ => String::new(),
    };
    fields.iter().map(field).collect::<Vec<_>>().join(", ")
}

fn field_with_options(mut options: Map<String, Value>) -> String {
    let name = options.remove("name");
    let name = name.as_ref().and_then(Value::as_str).unwrap_or_default();
    let options = options.iter().map(|(option, value)| match value {
        Value::String(text) => format!("{option} {text}"),
        value => format!("{option} {value}"),
    });
    match options.collect::<Vec<_>>().join(", ") {
        options if options.is_empty() => format!("`{name}`"),
        options => format!("`{name}` ({options})"),
    }
}
