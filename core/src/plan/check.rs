//! Checks of the sections `[source]` and `[limits]`, and of sizes, before stages are planned.

use crate::spec::{Limits, MAX_DESCRIPTION_BYTES, MAX_STAGES, PipelineSpec, SpecError};
use crate::util::names::first_repeated;

/// Checks that fields have names, each once.
#[inline]
pub(super) fn source(spec: &PipelineSpec) -> Result<(), SpecError> {
    let source = &spec.source;
    if source.timestamp.is_empty() {
        return Err(SpecError::new(
            "source.timestamp",
            "empty: name the field that holds the event time",
        ));
    }
    for (option, value) in
        [("timestamp_format", &source.timestamp_format), ("timestamp_zone", &source.timestamp_zone)]
    {
        if value.is_some() {
            let message = "only the program stream-processor reads it: convert the times to RFC \
                           3339 or to numbers, and remove it";
            return Err(SpecError::new(format!("source.{option}"), message));
        }
    }
    for (path, names) in [("source.key", &source.key.0), ("source.value", &source.value.0)] {
        let repeated = first_repeated(names.iter().map(String::as_str));
        for (index, name) in names.iter().enumerate() {
            if name.is_empty() {
                return Err(SpecError::new(path, "empty: name a field of the events"));
            }
            if repeated == Some(index) {
                return Err(SpecError::new(path, format!("`{name}` is named twice")));
            }
        }
    }
    Ok(())
}

/// Checks the size of the pipeline: the number of its stages, and the bytes of its `description`.
pub(super) fn size(spec: &PipelineSpec, description: &str) -> Result<(), SpecError> {
    let stages = spec.stages.len();
    if stages == 0 {
        let message = "missing: a pipeline needs at least one [[stages]]";
        return Err(SpecError::new("stages", message));
    }
    if stages > MAX_STAGES {
        let message = format!("{stages} stages: a pipeline has at most {MAX_STAGES}");
        return Err(SpecError::new("stages", message));
    }
    let bytes = description.len();
    if bytes > MAX_DESCRIPTION_BYTES {
        let message = format!(
            "a description of {bytes} bytes: a pipeline has at most {MAX_DESCRIPTION_BYTES}"
        );
        return Err(SpecError::new("", message));
    }
    Ok(())
}

/// Checks that no limit is zero.
#[inline]
pub(super) fn limits(limits: &Limits) -> Result<(), SpecError> {
    let positive = [
        ("max_keys", limits.max_keys),
        ("max_windows_per_key", limits.max_windows_per_key),
        ("max_values", limits.max_values),
        ("max_partitions", limits.max_partitions),
        ("max_windows_per_event", limits.max_windows_per_event),
        ("max_fill_points", limits.max_fill_points),
        ("max_result_rows", limits.max_result_rows),
        ("max_call_work", limits.max_call_work),
        ("max_dropped_events", limits.max_dropped_events),
        ("max_line_bytes", limits.max_line_bytes),
        ("max_key_bytes", limits.max_key_bytes),
        ("max_dictionary_keys", limits.max_dictionary_keys),
        ("max_batch_events", limits.max_batch_events),
    ];
    match positive.into_iter().find(|(_, value)| *value == 0) {
        Some((name, _)) => Err(SpecError::new(format!("limits.{name}"), "0: must be at least 1")),
        None => Ok(()),
    }
}
