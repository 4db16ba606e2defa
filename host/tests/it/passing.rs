//! Pipelines that pass events unchanged.

use std::fs;

use tempfile::tempdir;

use crate::common::{events, json_lines, run, text};

fn pipeline(source: &str, sink: &str) -> String {
    format!(
        "[source]\nkey = \"service\"\nvalue = \"latency\"\n{source}\n[sink]\n{sink}\n[[stages]]\ntype = \"filter\"\n\
         where = [{{ field = \"latency\", op = \">\", value = 500 }}, {{ field = \"service\", op = \"!=\", value = \"svc-3\" }}]\n"
    )
}

#[test]
fn passed_events_keep_their_text_with_any_batches_and_shards() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("pipeline.toml");
    fs::write(&file, pipeline("", "")).unwrap();
    let mut input = events(5_000, 20);
    input.insert_str(
        0,
        "no event\n{\"ts\":1700000000000,\"service\":\"svc-1\",\"latency\": 501, \"more\": { }}\n",
    );
    let value =
        |line: &str| line.rsplit(':').next().unwrap().trim_end_matches('}').parse::<f64>().unwrap();
    let mut expected =
        "{\"ts\":1700000000000,\"service\":\"svc-1\",\"latency\": 501, \"more\": { }}\n".to_owned();
    for line in input.lines().skip(2) {
        if value(line) > 500.0 && !line.contains("\"svc-3\"") {
            expected.push_str(line);
            expected.push('\n');
        }
    }
    let dead = folder.path().join("dead");
    for more in [
        &[][..],
        &["--shards", "3"],
        &["--batch-events", "7"],
        &["--dead-letter", text(&dead)],
        &["--engine", "native"],
    ] {
        let ran = run(&[&["run", text(&file), "--quiet"], more].concat(), &input);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(ran.stdout, expected, "{more:?}");
    }
    assert_eq!(json_lines(&dead).len(), 1);
}

#[test]
fn passed_csv_keeps_one_header_or_becomes_objects() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (one, two, other) = (path("1.csv"), path("2.csv"), path("3.csv"));
    fs::write(&one, "service,ts,latency\n\"a,b\",1,501\nc,2,5\n").unwrap();
    fs::write(&two, "service,ts,latency\nd,3,502\n").unwrap();
    fs::write(&other, "ts,latency,service,note\n4,503,e,\n").unwrap();
    let file = path("pipeline.toml");
    let run_on = |sink: &str, inputs: [&std::path::Path; 2]| {
        fs::write(&file, pipeline("format = \"csv\"", sink)).unwrap();
        run(
            &[
                "run",
                text(&file),
                "--quiet",
                "--input",
                text(inputs[0]),
                "--input",
                text(inputs[1]),
            ],
            "",
        )
    };
    let csv = run_on("format = \"csv\"", [&one, &two]);
    assert_eq!(csv.stdout, "service,ts,latency\n\"a,b\",1,501\nd,3,502\n");
    let ndjson = run_on("", [&one, &other]);
    assert_eq!(
        ndjson.stdout,
        "{\"service\":\"a,b\",\"ts\":1,\"latency\":501}\n{\"ts\":4,\"latency\":503,\"service\":\"e\",\"note\":null}\n"
    );
    let mixed = run_on("format = \"csv\"", [&one, &other]);
    assert_eq!(mixed.code, 1);
    assert!(mixed.stderr.contains("different CSV headers"), "{}", mixed.stderr);
}

#[test]
fn passing_ndjson_to_a_csv_sink_is_refused() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("pipeline.toml");
    fs::write(&file, pipeline("", "format = \"csv\"")).unwrap();
    let ran = run(&["check", text(&file)], "");
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("pipeline.toml:6: sink.format: \"csv\" is not possible, because these stages pass events"),
        "{}",
        ran.stderr
    );
}

#[test]
fn dedup_command_drops_duplicates() {
    let input = "{\"ts\":1,\"id\":\"a\",\"v\":1.0}\n{\"v\":1,\"id\":\"a\",\"ts\":1}\n{\"ts\":2,\"id\":\"a\",\"v\":2}\n{\"ts\":3,\"v\":2}\n";
    let lines = |flags: &[&str]| {
        let ran = run(&[&["dedup", "--quiet"], flags].concat(), input);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
            .lines()
            .map(|line| line.split(',').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&[]), ["{\"ts\":1", "{\"ts\":2", "{\"ts\":3"]);
    // An event without the field passes.
    assert_eq!(lines(&["--strategies", "id"]), ["{\"ts\":1", "{\"ts\":3"]);
    assert_eq!(lines(&["--by", "id+v", "--ttl", "1ms"]), ["{\"ts\":1", "{\"ts\":2", "{\"ts\":3"]);
    assert_eq!(lines(&["--by", "id", "--mode", "bloom"]), ["{\"ts\":1", "{\"ts\":3"]);
    let folder = tempdir().unwrap();
    let (dead, csv) = (folder.path().join("dead"), folder.path().join("events.csv"));
    fs::write(&csv, "ts,id\n1,a\n2,a\n3,b\n").unwrap();
    let flags = ["--by", "id", "--input", text(&csv), "--dead-letter", text(&dead)];
    let ran = run(&[&["dedup"][..], &flags].concat(), "");
    assert_eq!(ran.stdout, "ts,id\n1,a\n3,b\n");
    assert!(ran.stderr.contains("1 duplicate"), "{}", ran.stderr);
    let letters = json_lines(&dead);
    assert_eq!((&letters[0]["reason"], &letters[0]["event"]), (&"duplicate".into(), &"2,a".into()));
    let wrong = run(&["dedup", "--mode", "blom"], "");
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.stderr.contains("--mode: unknown name `blom`, did you mean `bloom`?"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn normalize_command_puts_samples_on_a_grid() {
    let input = "{\"ts\":0,\"k\":\"a\",\"v\":10}\n{\"ts\":1700,\"k\":\"a\",\"v\":18}\n{\"ts\":4900,\"k\":\"a\",\"v\":35}\n";
    let flags = [
        "normalize",
        "--interval",
        "1s",
        "--align",
        "round",
        "--key",
        "k",
        "--value",
        "v",
        "--quiet",
    ];
    let ran = run(&flags, input);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let rows: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(rows.len(), 6);
    assert_eq!(rows[0], "{\"k\":\"a\",\"ts\":\"1970-01-01T00:00:00Z\",\"v\":10,\"filled\":false}");
    assert_eq!(rows[1], "{\"k\":\"a\",\"ts\":\"1970-01-01T00:00:01Z\",\"v\":14,\"filled\":true}");
    let folder = tempdir().unwrap();
    let file = folder.path().join("pipeline.toml");
    let stage = "[source]\nvalue = \"v\"\n[[stages]]\ntype = \"normalize\"\ninterval = \"1s\"\n";
    fs::write(&file, stage).unwrap();
    let checked = run(&["check", text(&file)], "");
    assert_eq!(checked.code, 0);
    assert!(checked.stderr.contains("warning: stages[0].max_gap: missing"), "{}", checked.stderr);
    fs::write(&file, stage.to_owned() + "max_gap = \"1m\"\n").unwrap();
    assert_eq!(run(&["check", text(&file)], "").stderr, "");
    let wrong = run(&["normalize", "--interval", "1s", "--value", "v", "--fill", "linea"], "");
    assert!(
        wrong.stderr.contains("--fill: unknown name `linea`, did you mean `linear`?"),
        "{}",
        wrong.stderr
    );
}
