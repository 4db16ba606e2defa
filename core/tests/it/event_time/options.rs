//! The valid combinations of `[time]` and `source.partition`, and text with partitions and marks.

use stream_processor_core::text::Feed;
use stream_processor_core::{
    Batch, Column, Engine, Error, KeyDefinitions, Options, PipelineSpec, Plan, Progress, wire,
};

fn spec(source: &str, time: &str) -> PipelineSpec {
    PipelineSpec::from_json(&format!(
        r#"{{"source": {{"value": "v"{source}}}, "time": {{{time}}}, "stages": [
            {{"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["count"]}}]}}"#
    ))
    .unwrap()
}

#[test]
fn options_that_exclude_each_other_are_refused_with_the_reason() {
    let partition = r#","partition": "p""#;
    for (source, time, path, message) in [
        ("", r#""watermark": "periodic""#, "time.watermark_interval", "missing"),
        (
            "",
            r#""watermark_interval": "1s""#,
            "time.watermark_interval",
            "only with `time.watermark = \"periodic\"`",
        ),
        (
            "",
            r#""watermark": "periodic", "watermark_interval": "0s""#,
            "time.watermark_interval",
            "must be longer than 0s",
        ),
        ("", r#""watermark": "punctuated""#, "time.watermark_field", "missing"),
        (
            "",
            r#""watermark_field": "m""#,
            "time.watermark_field",
            "only with `time.watermark = \"punctuated\"`",
        ),
        (
            "",
            r#""watermark": "punctuated", "watermark_field": """#,
            "time.watermark_field",
            "empty",
        ),
        (
            "",
            r#""watermark": "ascending", "max_out_of_orderness": "1s""#,
            "time.max_out_of_orderness",
            "is not for an ascending or manual watermark",
        ),
        (
            "",
            r#""watermark": "manual", "max_out_of_orderness": "unbounded""#,
            "time.max_out_of_orderness",
            "is not for an ascending or manual watermark",
        ),
        (
            "",
            r#""watermark": "periodic", "watermark_interval": "1s", "max_out_of_orderness": "unbounded""#,
            "time.max_out_of_orderness",
            "never moves",
        ),
        (partition, r#""watermark": "manual""#, "time.watermark", "leave out `source.partition`"),
        (
            "",
            r#""watermark": "manual", "idle_timeout": "1s""#,
            "time.idle_timeout",
            "has no effect",
        ),
        (
            "",
            r#""max_out_of_orderness": "unbounded", "idle_timeout": "1s""#,
            "time.idle_timeout",
            "has no effect",
        ),
        ("", r#""idle_timeout": "0s""#, "time.idle_timeout", "must be longer"),
        ("", r#""close_after_idle": "-1s""#, "time.close_after_idle", "must be longer"),
        ("", r#""max_future_skew": "-1s""#, "time.max_future_skew", "negative"),
        ("", r#""future": "keep""#, "time.max_future_skew", "missing"),
        (r#","partition": """#, "", "source.partition", "empty"),
    ] {
        let error = Plan::new(&spec(source, time)).unwrap_err();
        assert_eq!(error.path(), path, "{time}: {error}");
        assert!(error.message().contains(message), "{time}: {error}");
    }
    for (source, time) in [
        (partition, r#""idle_timeout": "30s", "max_out_of_orderness": "2s""#),
        ("", r#""idle_timeout": "30s""#),
        ("", r#""watermark": "ascending""#),
        ("", r#""watermark": "manual", "close_after_idle": "1m", "max_future_skew": "0s""#),
        (partition, r#""watermark": "punctuated", "watermark_field": "v""#),
        ("", r#""max_out_of_orderness": "unbounded", "close_after_idle": "1m""#),
    ] {
        let spec = spec(source, time);
        Plan::new(&spec).unwrap();
        assert_eq!(PipelineSpec::from_json(&spec.to_json()).unwrap(), spec);
    }
}

#[test]
fn unknown_name_suggests_the_nearest() {
    let error = PipelineSpec::from_json(r#"{"time": {"watermark": "periodical"}, "stages": []}"#);
    let error = error.unwrap_err();
    assert_eq!(error.path(), "time.watermark");
    assert!(error.message().contains("did you mean `periodic`"), "{error}");
}

/// Feeds `text` and returns the watermark, the numbers of events and of rejected ones, and the
/// partitions with their watermarks.
fn fed(spec: &PipelineSpec, text: &str, piece: usize) -> (i64, u64, u64, Vec<(String, i64)>) {
    let mut engine = Engine::open(spec, Options::default()).unwrap();
    let mut feed = Feed::new(spec, engine.plan(), 0);
    for piece in text.as_bytes().chunks(piece) {
        assert_eq!(feed.push(&mut engine, piece).unwrap(), Progress::Done);
    }
    assert_eq!(feed.end(&mut engine).unwrap(), Progress::Done);
    let stats = engine.stats();
    let partitions = stats.partitions.into_iter();
    let partitions = partitions
        .map(|stats| (stats.partition.unwrap_or_default(), stats.watermark.unwrap_or(i64::MIN)));
    (engine.watermark(), stats.events, stats.rejected, partitions.collect())
}

#[test]
fn each_line_names_its_partition() {
    let spec = spec(r#","partition": "p", "key": "k""#, "");
    let text = "{\"ts\":5,\"v\":1,\"p\":\"a\",\"k\":1}\n{\"ts\":9,\"v\":1,\"p\":7,\"k\":1}\n{\"ts\":8,\"v\":1,\"p\":null,\"k\":1}\n\
                {\"ts\":12,\"v\":1,\"p\":\"a\",\"k\":1}\n{\"ts\":8,\"v\":1,\"p\":[],\"k\":1}\n";
    let expected = (8_999, 3, 2, vec![("7".to_owned(), 8_999), ("a".to_owned(), 11_999)]);
    for piece in [1, 13, 1_000] {
        assert_eq!(fed(&spec, text, piece), expected);
    }
    // A dictionary of one entry is reset for every line.
    let mut spec = spec;
    spec.limits.max_dictionary_keys = 1;
    assert_eq!(fed(&spec, text, 1_000), expected);
    spec.source.format = stream_processor_core::spec::Format::Csv;
    let text = "ts,v,p,k\n5,1,a,x\n9,1,7,x\n8,1,,x\n12,1,a,y\n";
    assert_eq!(fed(&spec, text, 7), (8_999, 3, 1, expected.3));
}

#[test]
fn marks_may_be_numbers_or_booleans() {
    let mut spec = spec("", r#""watermark": "punctuated", "watermark_field": "mark""#);
    let line = |ts: u32, mark: &str| format!("{{\"ts\":{ts},\"v\":1,\"mark\":{mark}}}\n");
    let text = [line(5, "true"), line(6, "false"), line(7, "0"), line(8, "null"), line(9, "\"x\"")];
    assert_eq!(fed(&spec, &text.concat(), 99), (4_999, 4, 1, vec![(String::new(), 4_999)]));
    assert_eq!(fed(&spec, &line(9, "-3"), 99).0, 8_999);
    spec.source.format = stream_processor_core::spec::Format::Csv;
    assert_eq!(fed(&spec, "ts,v,mark\n5,1,true\n6,1,false\n7,1,\n8,1, 0\n9,1,yes\n", 99).0, 4_999);
}

#[test]
fn batch_without_partitions_is_refused() {
    let mut engine = Engine::open(&spec(r#","partition": "p""#, ""), Options::default()).unwrap();
    let columns = [Column::F64(&[1.0, 2.0])];
    let batch = Batch { timestamps: &[1, 2], columns: &columns, ..Batch::default() };
    let code = |result: Result<_, Error>| result.map(|_: ()| ()).unwrap_err().code();
    assert_eq!(code(engine.push(&batch).map(|_| ())), "partitions_mismatch");
    let batch = Batch { partitions: Some(&[3, 4]), ..batch };
    let error = engine.push(&batch).unwrap_err();
    assert_eq!(error, Error::UnknownPartitionId { id: 3, event: 0 });
    let mut bytes = Vec::new();
    stream_processor_core::key::push_str(&mut bytes, "a");
    let offsets = [0, u32::try_from(bytes.len()).unwrap()];
    let definitions = KeyDefinitions { reset: false, ids: &[3], offsets: &offsets, bytes: &bytes };
    // Through the wire format, as a host defines partitions.
    let mut words = vec![0_u64; wire::key_definitions_len(&definitions) / 8];
    let block: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    wire::encode_partition_definitions(&definitions, true, block);
    let (read, known) = wire::decode_partition_definitions(block).unwrap();
    engine.define_partitions(&read, known).unwrap();
    assert_eq!(engine.stats().partitions.len(), 1);
    assert_eq!(engine.push(&batch).unwrap_err(), Error::UnknownPartitionId { id: 4, event: 1 });
    assert_eq!(
        code(engine.define_partitions(&KeyDefinitions { ids: &[1, 2], ..definitions }, false)),
        "malformed_block"
    );
    let batch = Batch { partitions: Some(&[3, 3]), ..batch };
    assert_eq!(engine.push(&batch).unwrap().consumed, 2);
    assert_eq!(engine.watermark(), 1);

    let mut engine = Engine::open(&spec("", ""), Options::default()).unwrap();
    assert_eq!(code(engine.push(&batch).map(|_| ())), "partitions_mismatch");
    assert_eq!(code(engine.define_partitions(&definitions, false)), "partitions_mismatch");
}

#[test]
fn batch_with_watermarks_needs_no_partitions() {
    let mut engine = Engine::open(&spec(r#","partition": "p""#, ""), Options::default()).unwrap();
    let columns = [Column::F64(&[1.0, 2.0])];
    let batch = Batch {
        timestamps: &[1, 9_000_000],
        columns: &columns,
        watermarks: Some(&[0, 5]),
        ..Batch::default()
    };
    assert_eq!(engine.push(&batch).unwrap().consumed, 2);
    assert_eq!(engine.watermark(), 5);
}
