//! The output columns of normalize stages, and the pipelines that are refused.

use stream_processor_core::{Engine, PipelineSpec};

const SUMS: &str =
    r#", {"type": "window", "window": "tumbling", "size": "5s", "aggregations": ["count", "sum"]}"#;

#[test]
fn output_columns_are_time_fields_and_flags() {
    let names = |source: &str, stage: &str| -> Vec<String> {
        let text = format!(
            r#"{{"source": {{"key": "k", {source}}}, "stages": [{{"type": "normalize", "interval": "1s"{stage}}}]}}"#
        );
        let engine = Engine::open(&crate::common::spec(&text), Default::default()).unwrap();
        engine.plan().output.columns.iter().map(|column| column.name.clone()).collect()
    };
    assert_eq!(names(r#""value": "v""#, ""), ["ts", "v", "filled"]);
    let outliers = r#""outliers": {"zscore": 3, "action": "flag"}"#;
    assert_eq!(
        names(r#""value": "v""#, &format!(", {outliers}")),
        ["ts", "v", "filled", "outlier"]
    );
    let fields = format!(r#", "fields": [{{"name": "cpu"}}, {{"name": "mem", {outliers}}}]"#);
    assert_eq!(
        names(r#""timestamp": "t""#, &fields),
        ["t", "cpu", "mem", "cpu_filled", "mem_filled", "mem_outlier"]
    );
}

#[test]
fn invalid_options_are_refused_with_path_and_reason() {
    let error = |source: &str, stage: &str, later: &str| {
        let text = format!(
            r#"{{"source": {{{source}}}, "stages": [{{"type": "normalize", {stage}}}{later}]}}"#
        );
        match PipelineSpec::from_json(&text) {
            Ok(spec) => {
                Engine::open(&spec, Default::default()).map(|_| ()).unwrap_err().to_string()
            }
            Err(error) => error.to_string(),
        }
    };
    let value = r#""value": "v""#;
    let of = |stage: &str| error(value, stage, "");
    assert_eq!(
        error("", r#""interval": "1s""#, ""),
        "stages[0].fields: missing: set source.value, or fields = [{ name = \"cpu\" }]"
    );
    assert_eq!(of(r#""fill": "linear""#), "stages[0].interval: missing: it must be set");
    assert!(of(r#""interval": "0s""#).starts_with("stages[0].interval: 0s: grid points"));
    assert!(of(r#""interval": "1x""#).contains("neither a duration with its unit"));
    assert!(error(value, r#""interval": "auto""#, SUMS).contains("auto is for the last stage"));
    assert!(of(r#""interval": "1s", "fill": "linaer""#).contains("did you mean `linear`?"));
    assert!(of(r#""interval": "1s", "fil": "linear""#).contains("did you mean `fill`?"));
    assert!(
        of(r#""interval": "1s", "basis": "samples", "reduce": "mean""#)
            .starts_with("stages[0].reduce: is not for basis")
    );
    assert!(
        of(r#""interval": "1s", "basis": "samples", "align": "ceil""#)
            .starts_with("stages[0].align: is not for basis")
    );
    assert!(
        of(r#""interval": "1s", "fill": "polynomial""#).starts_with("stages[0].degree: missing")
    );
    assert!(
        of(r#""interval": "1s", "fill": "polynomial", "degree": 10"#)
            .contains("must be from 1 to 9")
    );
    assert!(of(r#""interval": "1s", "degree": 2"#).contains("is for fill = \"polynomial\" only"));
    assert!(
        of(r#""interval": "1s", "max_gap": "0s""#)
            .starts_with("stages[0].max_gap: 0s: must be longer")
    );
    assert!(of(r#""interval": "1s", "max_buffered": 0"#).contains("stages[0].max_buffered: 0"));
    assert!(of(r#""interval": "1s", "outliers": {"zscore": 0}"#).contains("outliers.zscore: 0"));
    assert!(
        of(r#""interval": "1s", "outliers": {"zscore": 3, "window": 1}"#)
            .contains("outliers.window: 1")
    );
    let twice = r#""interval": "1s", "fields": [{"name": "v"}, {"name": "v"}]"#;
    assert!(of(twice).contains("stages[0].fields[1].name: `v` is named twice"));
    assert!(
        error(r#""value": "filled""#, r#""interval": "1s""#, "")
            .contains("a second column `filled`")
    );
    let unknown_field = r#", {"type": "window", "window": "tumbling", "size": "5s", "field": "w", "aggregations": ["sum"]}"#;
    assert!(
        error(r#""value": ["v", "w"]"#, r#""interval": "1s""#, unknown_field)
            .contains("no earlier stage has a field `w`")
    );
}
