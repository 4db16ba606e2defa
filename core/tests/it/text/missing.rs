//! Missing values, and the names of CSV columns.

use stream_processor_core::spec::Delimiter;
use stream_processor_core::text::{EventBuffer, Format, Reader, ReaderOptions};
use stream_processor_core::{PipelineSpec, Plan};

const WINDOW: &str =
    r#"{"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["count"]}"#;

/// Reads all of `text` for the pipeline. Returns the columns of events, the details of rejections,
/// and the number of skipped lines.
fn read(pipeline: &str, text: &str) -> (Vec<Vec<f64>>, Vec<String>, u64) {
    let spec = PipelineSpec::from_json(pipeline).unwrap();
    let plan = Plan::new(&spec).unwrap();
    let mut reader = Reader::new(&plan.input, ReaderOptions::of(&spec));
    reader.read_as_null(spec.source.null.0.iter().map(String::as_str));
    reader.filter_first(&plan);
    let mut events = EventBuffer::new();
    reader.read(text.as_bytes(), true, 1_000, &mut events).unwrap();
    let rejections = events.rejections().iter();
    let rejections = rejections
        .map(|rejection| {
            format!("{}: {}", rejection.line, rejection.detail(&plan.input, text.as_bytes()))
        })
        .collect();
    (events.columns().to_vec(), rejections, events.skipped())
}

#[test]
fn event_needs_the_values_that_the_pipeline_requires() {
    let text = "{\"ts\":1,\"a\":1,\"b\":2}\n{\"ts\":1,\"b\":2}\n{\"ts\":1,\"a\":null}\n{\"ts\":1,\"a\":1}\n";
    for (require, accepted) in [("all", 1), ("any", 3), ("none", 4)] {
        let pipeline = format!(
            r#"{{"source": {{"value": ["a", "b"], "require": "{require}"}}, "stages": [{WINDOW}]}}"#
        );
        let (columns, rejections, _) = read(&pipeline, text);
        assert_eq!(columns.iter().map(Vec::len).collect::<Vec<_>>(), [accepted; 2], "{require}");
        assert_eq!(rejections.len(), 4 - accepted);
        if require == "any" {
            assert_eq!(
                rejections,
                [
                    "3: expected a number in at least one of the fields \"a\", \"b\", found none of them"
                ]
            );
        }
    }
}

#[test]
fn one_value_is_required_unless_none_is() {
    let pipeline = format!(r#"{{"source": {{"value": "a"}}, "stages": [{WINDOW}]}}"#);
    assert_eq!(read(&pipeline, "{\"ts\":1}\n").1.len(), 1);
    let pipeline = pipeline.replace("\"a\"", "\"a\", \"require\": \"none\"");
    assert_eq!(read(&pipeline, "{\"ts\":1}\n").1.len(), 0);
}

#[test]
fn texts_for_missing_values_are_missing() {
    let pipeline = |format: &str| {
        format!(
            r#"{{"source": {{"format": "{format}", "key": "k", "value": "v", "null": ["NA", "-"]}}, "stages": [{WINDOW}]}}"#
        )
    };
    let csv = "ts,k,v\n1,a,NA\n1,a,\"-\"\n1,NA,1\nNA,a,1\n1,a,1\n1,a,\n";
    let (columns, rejections, _) = read(&pipeline("csv"), csv);
    assert_eq!(columns, [[1.0]]);
    let fields: Vec<&str> = rejections.iter().map(|text| text.get(..12).unwrap()).collect();
    let v = "field \"v\":";
    assert_eq!(
        fields[..2],
        [format!("2: {v}"), format!("3: {v}")].map(|text| text[..12].to_owned())
    );
    assert_eq!(rejections[4], "7: field \"v\": expected a number, but it is empty");
    let json = "{\"ts\":1,\"k\":\"a\",\"v\":\"NA\"}\n{\"ts\":1,\"k\":\"NA\",\"v\":1}\n{\"ts\":1,\"k\":\"a\",\"v\":1}\n";
    let (columns, rejections, _) = read(&pipeline("ndjson"), json);
    assert_eq!((columns, rejections.len()), (vec![vec![1.0]], 2));
}

#[test]
fn event_without_key_is_rejected_dropped_or_kept() {
    let ndjson = "{\"ts\":1,\"a\":\"x\",\"b\":1,\"v\":1}\n{\"ts\":1,\"a\":null,\"b\":1,\"v\":2}\n\
                  {\"ts\":1,\"a\":\"NA\",\"v\":3}\n{\"ts\":1,\"a\":[],\"b\":1,\"v\":4}\n{\"a\":null,\"b\":1,\"v\":5}\n";
    let csv = "ts,a,b,v\n1,x,1,1\n1,,1,2\n1,NA,,3\n1,y,1,\n,,1,5\n";
    for (format, text) in [("ndjson", ndjson), ("csv", csv)] {
        for (treatment, values, rejected, dropped) in [
            ("reject", vec![1.0], vec![3, 4, 5, 6], 0),
            ("drop", vec![1.0], vec![5, 6], 2),
            ("keep", vec![1.0, 2.0, 3.0], vec![5, 6], 0),
        ] {
            let pipeline = format!(
                r#"{{"source": {{"format": "{format}", "key": ["a", "b"], "value": "v", "null": "NA",
                    "on_null_key": "{treatment}"}}, "stages": [{WINDOW}]}}"#
            );
            let (columns, rejections, skipped) = read(&pipeline, text);
            let header = u32::from(format == "ndjson");
            let line = |text: &String| text[..1].parse::<u32>().unwrap() + header;
            let lines: Vec<u32> = rejections.iter().map(line).collect();
            assert_eq!(columns, [values], "{format}, {treatment}");
            assert_eq!((lines, skipped), (rejected, dropped), "{format}, {treatment}");
        }
    }
}

#[test]
fn filter_in_front_removes_lines_that_lack_a_key_or_a_value() {
    let pipeline = format!(
        r#"{{"source": {{"key": "k", "value": "v"}}, "stages": [
            {{"type": "filter", "where": [{{"field": "kind", "op": "==", "value": "sample"}}]}},
            {{"type": "filter", "where": [{{"field": "k", "op": "!=", "value": "x"}},
                {{"not": {{"field": "v", "op": "<", "value": 0}}}}]}}, {WINDOW}]}}"#
    );
    let text = r#"{"ts":1,"k":"a","v":1,"kind":"sample"}
{"ts":1,"kind":"note"}
{"ts":1,"kind":"note","k":[],"v":"text"}
{"ts":1,"k":"x","v":null,"kind":"sample"}
{"ts":1,"k":"a","v":null,"kind":"sample"}
{"ts":1,"v":1,"kind":"sample"}
{"kind":"note"}
{"ts":1,"k":"a","v":-1,"kind":"sample"}
"#;
    let (columns, rejections, skipped) = read(&pipeline, text);
    assert_eq!(columns[0], [1.0, -1.0]);
    let lines: Vec<&str> = rejections.iter().map(|text| &text[..1]).collect();
    assert_eq!((lines.as_slice(), skipped), (&["5", "7"][..], 4));
}

#[test]
fn delimiter_is_the_one_that_separates_most_names() {
    let read = |header: &str, given: Option<Delimiter>| {
        let spec = r#"{"source": {"format": "csv"}, "stages": [{"type": "filter", "where": [{"field": "v", "op": ">", "value": 0}]}]}"#;
        let spec = PipelineSpec::from_json(spec).unwrap();
        let plan = Plan::new(&spec).unwrap();
        let options =
            ReaderOptions { format: Format::Csv, delimiter: given, ..ReaderOptions::default() };
        let mut reader = Reader::new(&plan.input, options);
        let mut events = EventBuffer::new();
        let text = format!("{header}\n");
        match reader.read(text.as_bytes(), true, 10, &mut events) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    };
    for header in
        ["ts,v", "ts;v", "ts\tv", "ts|v", "\"ts\";\"v\"", "ts;\"a,b,c\";v", "v;price (EUR, net);ts"]
    {
        assert_eq!(read(header, None), "", "{header}");
    }
    assert_eq!(read("ts|v", Some(Delimiter::Bar)), "");
    assert!(read("ts;v", Some(Delimiter::Comma)).contains("has no column \"ts\""));
    assert!(read("ts,v,x,x", None).contains("the column \"x\" more than once"));
    assert!(read("ts,v,,#3", None).contains("the column \"#3\" more than once"));
    assert_eq!(read("ts,v,,", None), "");
}
