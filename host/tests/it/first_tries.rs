//! First tries of a new user: each gives the right rows, or says what to do.

use std::fs;

use tempfile::tempdir;

use crate::common::{run, text};

/// Runs a command line; returns its exit code, rows and messages.
fn try_out(arguments: &[&str], stdin: &str) -> (i32, String, String) {
    let ran = run(arguments, stdin);
    (ran.code, ran.stdout, ran.stderr)
}

fn count(arguments: &[&str], stdin: &str) -> (i32, String, String) {
    try_out(&[&["window", "--global", "--agg", "count"], arguments].concat(), stdin)
}

#[test]
fn times_in_another_unit_are_named() {
    let seconds = "{\"ts\":1700000000}\n{\"ts\":1700000060}\n";
    let (code, _, messages) = count(&[], seconds);
    assert_eq!(code, 0);
    assert!(
        messages.contains("before 1980, such as 1970-01-20T16:13:20Z: with --timestamp-unit s"),
        "{messages}"
    );
    assert!(messages.contains("this is 2023-11-14T22:13:20Z"), "{messages}");
    assert!(!count(&["--timestamp-unit", "s"], seconds).2.contains("1980"));
    assert!(!count(&["-q"], seconds).2.contains("1980"));
    let (_, _, messages) = count(&[], "{\"ts\":20240501}\n{\"ts\":20240502}\n");
    assert!(messages.contains("with --timestamp-format %Y%m%d they are dates"), "{messages}");
}

#[test]
fn times_of_another_form_are_read_by_a_format_and_a_zone() {
    let csv = "at,v\n01/07/2024 02:00:00,1\n";
    let day = ["window", "--tumbling", "1h", "--timestamp", "at", "--agg", "count"];
    let (code, _, messages) = try_out(&day, csv);
    assert_eq!(code, 3, "{messages}");
    assert!(messages.contains("--timestamp-format '%d/%m/%Y %H:%M:%S'"), "{messages}");
    assert!(messages.contains("timestamp_zone"), "{messages}");
    let format = ["--timestamp-format", "%d/%m/%Y %H:%M:%S", "--timestamp-zone", "Europe/Berlin"];
    let (code, rows, messages) = try_out(&[&day[..], &format].concat(), csv);
    assert_eq!(code, 0, "{messages}");
    assert!(rows.contains("\"window_start\":\"2024-07-01T00:00:00Z\""), "{rows}");
    let (code, _, messages) = try_out(&[&day[..], &["--timestamp-format", "%H"]].concat(), csv);
    assert_eq!(code, 2);
    assert!(messages.starts_with("error: --timestamp-format: \"%H\" cannot be read"), "{messages}");
}

#[test]
fn missing_values_unnamed_columns_and_delimiters_are_read() {
    let csv = ";ts;a;b\nx;1;NA;2\ny;2;3;NA\nz;3;NA;NA\n";
    let flags = ["--key", "#1", "--value", "a,b", "--null", "NA", "--agg", "sum,sum:b"];
    let (code, rows, messages) = try_out(&[&["window", "--global"], &flags[..]].concat(), csv);
    assert_eq!(code, 0, "{messages}");
    assert_eq!(
        rows,
        "{\"#1\":\"x\",\"window_start\":null,\"window_end\":null,\"sum\":null,\"sum_b\":2}\n{\"#1\":\"y\",\"window_start\":null,\"window_end\":null,\"sum\":3,\"sum_b\":null}\n"
    );
    assert!(messages.contains("at least one of the fields \"a\", \"b\""), "{messages}");
    let (code, _, messages) = count(&["--value", "v"], "ts,v\n1,\n2,1\n");
    assert_eq!(code, 0);
    assert!(messages.contains("field \"v\": expected a number, but it is empty"), "{messages}");
    let (code, _, messages) = count(&[], "ts,v,v\n1,1,1\n");
    assert_eq!(code, 1);
    assert!(messages.contains("the column \"v\" more than once"), "{messages}");
}

#[test]
fn several_files_are_given_by_flags_arguments_and_patterns() {
    let folder = tempdir().unwrap();
    for (name, line) in [("a.csv", "1"), ("b.csv", "2"), ("c.csv", "3")] {
        fs::write(folder.path().join(name), format!("ts,v\n{line},{line}\n")).unwrap();
    }
    let path = |name: &str| text(&folder.path().join(name)).to_owned();
    let (a, b, all) = (path("a.csv"), path("b.csv"), path("*.csv"));
    for (arguments, expected) in [
        (vec!["-i", a.as_str(), b.as_str()], 2),
        (vec![a.as_str(), b.as_str()], 2),
        (vec!["-i", a.as_str(), "-i", b.as_str()], 2),
        (vec![all.as_str()], 3),
        (vec!["-i", all.as_str()], 3),
    ] {
        let (code, rows, messages) = count(&arguments, "");
        assert_eq!(
            (code, rows),
            (0, format!("{{\"window_start\":null,\"window_end\":null,\"count\":{expected}}}\n")),
            "{messages}"
        );
    }
    let (code, _, messages) = count(&[&path("*.json")], "");
    assert_eq!(code, 2);
    assert!(messages.contains("no file matches this pattern"), "{messages}");
}

#[test]
fn pipeline_file_takes_formats_from_the_names_of_its_files() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("in.csv"), "ts,v\n1,2\n").unwrap();
    let pipeline = format!(
        "[source]\ntype = \"file\"\npath = {:?}\nvalue = \"v\"\n[[stages]]\ntype = \"window\"\n\
         window = \"global\"\naggregations = [\"sum\"]\n[sink]\ntype = \"file\"\npath = {:?}\n",
        text(&path("in.csv")),
        text(&path("out.csv"))
    );
    fs::write(path("p.toml"), pipeline).unwrap();
    let (code, _, messages) = try_out(&["run", text(&path("p.toml"))], "");
    assert_eq!(code, 0, "{messages}");
    assert_eq!(fs::read_to_string(path("out.csv")).unwrap(), "window_start,window_end,sum\n,,2\n");
    fs::write(path("more.ndjson"), "{\"ts\":1,\"v\":5}\n").unwrap();
    let more = [text(&path("more.ndjson")).to_owned(), text(&path("rows.ndjson")).to_owned()];
    let pipeline = path("p.toml");
    let arguments = ["run", text(&pipeline), "-i", &more[0], "-o", &more[1]];
    assert_eq!(try_out(&arguments, "").0, 0);
    assert_eq!(
        fs::read_to_string(&more[1]).unwrap(),
        "{\"window_start\":null,\"window_end\":null,\"sum\":5}\n"
    );
}

#[test]
fn input_that_cannot_be_read_is_named_whatever_its_name_says() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.csv");
    for (bytes, remedy) in [
        (&b"ts,v\r1,2\r3,4"[..], "tr '\\r' '\\n'"),
        (&b"\xff\xfet\0s\0,\0"[..], "iconv -f UTF-16"),
        (&b"[{\"ts\":1}]"[..], "jq -c '.[]'"),
    ] {
        fs::write(&path, bytes).unwrap();
        let (_, _, messages) = count(&[text(&path)], "");
        assert!(messages.lines().next().unwrap().contains(remedy), "{messages}");
    }
}

#[test]
fn filter_in_front_removes_rows_before_they_are_judged() {
    let text = "{\"ts\":1,\"kind\":\"note\"}\n{\"ts\":2,\"kind\":\"sample\",\"v\":3}\n{\"ts\":3,\"kind\":\"note\"}\n";
    let flags = ["window", "--global", "--agg", "sum", "--value", "v", "--where", "kind == sample"];
    let (code, rows, messages) = try_out(&flags, text);
    assert_eq!(
        (code, rows.as_str()),
        (0, "{\"window_start\":null,\"window_end\":null,\"sum\":3}\n"),
        "{messages}"
    );
    assert!(!messages.contains("rejected") && messages.contains("2 skipped"), "{messages}");
}

#[test]
fn events_without_a_key_are_rejected_dropped_or_kept() {
    let text = "ts,host,v\n1,a,1\n2,,2\n3,NA,4\n";
    let row = |host: &str, sum: u32| format!("{host},,,{sum}\n");
    for (treatment, rows, lost) in [
        ("reject", row("a", 1), "2 rejected"),
        ("drop", row("a", 1), "2 skipped"),
        ("keep", row("a", 1) + &row("", 6), ""),
    ] {
        let flags = ["window", "--global", "--agg", "sum", "--value", "v", "--key", "host"];
        let more = ["--null", "NA", "--max-lost", "100%", "--output-format", "csv"];
        let (code, found, messages) =
            try_out(&[&flags[..], &more, &["--on-null-key", treatment]].concat(), text);
        let expected = format!("host,window_start,window_end,sum\n{rows}");
        assert_eq!((code, found), (0, expected), "{messages}");
        assert!(messages.contains(lost), "{messages}");
    }
}

#[test]
fn dedup_without_a_ttl_needs_no_time() {
    let text = "{\"id\":1}\n{\"id\":1}\n{\"id\":2}\n";
    for more in [&[][..], &["--ttl", "1h", "--clock", "arrival"]] {
        let (code, rows, messages) = try_out(&[&["dedup", "--by", "id"], more].concat(), text);
        assert_eq!((code, rows.as_str()), (0, "{\"id\":1}\n{\"id\":2}\n"), "{messages}");
    }
    assert_eq!(try_out(&["dedup", "--by", "id", "--ttl", "1h"], text).0, 3);
}

#[test]
fn command_line_beyond_one_line_pipelines_shows_the_pipeline_file() {
    let flags = ["window", "--tumbling", "1m", "--max-keys", "5", "--by", "id"];
    let (code, rows, messages) = try_out(&flags, "");
    assert_eq!((code, rows.as_str()), (2, ""));
    let (problem, file) = messages.split_once("\n\n").unwrap();
    assert!(problem.contains("unexpected argument '--max-keys' found"), "{messages}");
    let folder = tempdir().unwrap();
    let path = folder.path().join("pipeline.toml");
    fs::write(&path, file).unwrap();
    let input = "{\"ts\":1,\"id\":1}\n{\"ts\":2,\"id\":1}\n";
    let (code, rows, messages) = try_out(&["run", text(&path)], input);
    assert_eq!(code, 0, "{messages}");
    assert!(rows.ends_with("\"count\":1}\n"), "{rows}");
    assert!(!try_out(&["window", "--tumbling", "1m", "--nonsense"], "").2.contains("[[stages]]"));
}

#[test]
fn control_characters_of_names_do_not_reach_the_terminal() {
    let (code, _, messages) = count(&[], "ts\u{1b}[2J,a\nb\u{7},\n");
    assert_eq!(code, 1, "{messages}");
    let is_clean = |messages: &str| {
        !messages.contains(|c: char| {
            c != '\n' && c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)
        })
    };
    assert!(is_clean(&messages), "{messages}");
    // Partitions, keys, values and names of files.
    let hostile = "a\u{1b}[2J\u{7}\u{9b}\u{202e}b";
    let json = serde_json::to_string(hostile).unwrap();
    let text_of = |value: &str| {
        format!(
            "{{\"ts\":1,\"p\":{json},\"k\":{json},\"v\":{value}}}\n{{\"ts\":2,\"p\":\"q\",\"k\":1,\"v\":1}}\n"
        )
    };
    let flags = ["--partition", "p", "--key", "k", "--value", "v", "--max-lost", "100%"];
    for value in ["1", &json, "[]"] {
        let (code, _, messages) = count(&flags, &text_of(value));
        assert!(code == 0 && is_clean(&messages), "{messages}");
        assert!(value == "[]" || messages.contains("\\u{202e}b"), "{messages}");
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join(hostile);
    fs::write(&path, "{\"ts\":\"x\"}\n").unwrap();
    for path in [text(&path), text(&folder.path().join("absent").join(hostile))] {
        let (_, _, messages) = count(&["-i", path], "");
        assert!(is_clean(&messages) && messages.contains("a\\u{1b}[2J"), "{messages}");
    }
}
