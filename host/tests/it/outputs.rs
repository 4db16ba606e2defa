//! Outputs: rows, late events and dead letters.

use std::fs;
use std::io::{BufRead, BufReader, Write};

use tempfile::tempdir;

use crate::common::{events, json, json_lines, program, run, run_redirected, text, window};

/// Events of minute 0 and minute 2, an event that is late for minute 0, a bad line, and another
/// event of minute 2.
const LATE: &str = r#"{"ts":1000,"service":"a","latency":1}
{"ts":120000,"service":"a","latency":1}
{"ts":2000,"service":"a","latency":5, "note":"as it came"}
bad
{"ts":121000,"service":"a","latency":1}
"#;

#[test]
fn late_events_go_to_their_own_file() {
    let folder = tempdir().unwrap();
    let (dead, late) = (folder.path().join("dead"), folder.path().join("late"));
    let summary = folder.path().join("summary");
    let flags =
        ["--dead-letter", text(&dead), "--late", text(&late), "--summary-json", text(&summary)];
    for shards in ["1", "3"] {
        let ran = run(&window(&[&flags[..], &["--shards", shards]].concat()), LATE);
        assert_eq!(ran.stdout.lines().count(), 2);
        assert_eq!(
            fs::read_to_string(&late).unwrap(),
            "{\"reason\":\"late\",\"stage\":0,\"input\":\"stdin\",\"line\":3,\"watermark\":\"1970-01-01T00:01:59.999999Z\",\
             \"window_end\":\"1970-01-01T00:01:00Z\",\
             \"event\":\"{\\\"ts\\\":2000,\\\"service\\\":\\\"a\\\",\\\"latency\\\":5, \\\"note\\\":\\\"as it came\\\"}\"}\n"
        );
        let letters = json_lines(&dead);
        assert_eq!((letters.len(), &letters[0]["reason"]), (1, &"invalid_json".into()));
        let summary = json(&summary);
        assert_eq!(summary["late_dropped"], 1);
        assert_eq!((&summary["events"], &summary["rejected"]), (&4.into(), &1.into()));
        assert_eq!(summary["stages"][0]["late_dropped"], 1);
        assert!(ran.stderr.contains("1 late"), "{}", ran.stderr);
    }
}

#[test]
fn late_events_without_own_file_are_dead_letters_in_line_order() {
    let folder = tempdir().unwrap();
    let dead = folder.path().join("dead");
    for more in [&[][..], &["--late", text(&dead)], &["--batch-events", "1"], &["--shards", "2"]] {
        run(&window(&[&["--dead-letter", text(&dead)], more].concat()), LATE);
        let letters = json_lines(&dead);
        let reasons: Vec<_> =
            letters.iter().map(|letter| letter["reason"].as_str().unwrap()).collect();
        assert_eq!(reasons, ["late", "invalid_json"], "{more:?}");
    }
}

#[test]
fn flags_override_the_outputs_of_the_pipeline_file() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("in"), LATE).unwrap();
    let pipeline = format!(
        "[source]\ntype = \"file\"\npath = {:?}\nkey = \"service\"\nvalue = \"latency\"\n\
         [[stages]]\ntype = \"window\"\nwindow = \"tumbling\"\nsize = \"1m\"\naggregations = [\"count\"]\n\
         [sink]\ntype = \"file\"\npath = {:?}\nformat = \"csv\"\n\
         [late]\npath = {:?}\n[dead_letter]\npath = {:?}\n",
        at("in"),
        at("rows"),
        at("late"),
        at("dead")
    );
    fs::write(at("p.toml"), pipeline).unwrap();
    let ran = run(&["run", &at("p.toml")], "");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    let rows = fs::read_to_string(at("rows")).unwrap();
    assert!(rows.starts_with("service,window_start,window_end,count\na,"), "{rows}");
    assert_eq!(json_lines(at("late").as_ref()).len(), 1);
    assert_eq!(json_lines(at("dead").as_ref()).len(), 1);
    let ran = run(&["run", &at("p.toml"), "-i", "-", "-o", "-", "--late", &at("late2")], LATE);
    assert_eq!(ran.stdout, rows);
    assert_eq!(json_lines(at("late2").as_ref()).len(), 1);
}

#[test]
fn output_that_cannot_be_written_is_named() {
    let ran = run(&window(&["-o", "/no/such/folder/rows"]), LATE);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.starts_with("error: cannot write /no/such/folder/rows: No such file"),
        "{}",
        ran.stderr
    );
    let ran = run(&window(&["-o", "/dev/full"]), events(1000, 5));
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.starts_with("error: cannot write /dev/full: No space left"),
        "{}",
        ran.stderr
    );
}

#[test]
fn one_file_is_not_used_twice() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("events");
    fs::write(&path, LATE).unwrap();
    let dotted = folder.path().join(".").join("events");
    for flags in
        [["-i", text(&path), "-o", text(&dotted)], ["-o", "same", "--dead-letter", "./same"]]
    {
        let ran = run(&window(&flags), "");
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains("this run uses the file twice"), "{}", ran.stderr);
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), LATE, "the input is untouched");
    let devices = ["-o", "/dev/null", "--dead-letter", "/dev/null"];
    assert_eq!(run(&window(&devices), LATE).code, 0);
}

/// Creates a folder with an input, links to it, and a pipeline file that reads stdin.
fn folder_with_links() -> tempfile::TempDir {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("in"), LATE).unwrap();
    fs::hard_link(at("in"), at("hard")).unwrap();
    std::os::unix::fs::symlink("in", at("soft")).unwrap();
    std::os::unix::fs::symlink("new", at("soft_to_new")).unwrap();
    fs::write(at("rows"), "precious").unwrap();
    let stage =
        "type = \"window\"\nwindow = \"tumbling\"\nsize = \"1m\"\naggregations = [\"count\"]\n";
    fs::write(at("p.toml"), format!("[[stages]]\n{stage}")).unwrap();
    folder
}

#[test]
fn no_file_is_read_and_written_or_written_twice() {
    let folder = folder_with_links();
    let at = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let pipeline = at("p.toml");
    let window = window(&[]).join(" ");
    for (arguments, redirections, same) in [
        ("-i in -o hard", "", "hard: in"),
        ("-i in -o soft", "", "soft: in"),
        ("-i soft -i rows -o hard", "", "hard: soft"),
        ("-o in", "< in", "in: stdin"),
        ("-o hard", "< soft", "hard: stdin"),
        ("", "< in >> in", "stdout: stdin"),
        ("-i in", ">> hard", "stdout: in"),
        ("-i in --dead-letter rows", ">> rows", "rows: stdout"),
        ("-i in --late rows", ">> rows", "rows: stdout"),
        ("-i in -o rows --late ./rows", "", "./rows: rows"),
        ("-i in -o new --dead-letter soft_to_new", "", "soft_to_new: new"),
        ("-i in -o new --dead-letter ./new", "", "./new: new"),
        ("-i in --summary-json in", "", "in: in"),
        ("--summary-json hard", "< in", "hard: stdin"),
        ("-i in -o rows --summary-json rows", "", "rows: rows"),
        ("-i in --summary-json rows", ">> rows", "rows: stdout"),
        ("-i in -o rows --summary-json -", ">> rows", "stdout: rows"),
        ("-i in --dead-letter rows --summary-json rows", "", "rows: rows"),
        ("-i in -o rows", "2>> rows", "rows: stderr"),
        ("run p.toml -i in -o p.toml", "", "p.toml: p.toml"),
        ("run p.toml -i in --dead-letter p.toml", "", "p.toml: p.toml"),
        ("run p.toml -i in --summary-json ./p.toml", "", "./p.toml: p.toml"),
        ("run p.toml -i in", ">> p.toml", "stdout: p.toml"),
    ] {
        let command =
            if arguments.starts_with("run") { arguments } else { &format!("{window} {arguments}") };
        let arguments: Vec<_> = command.split_whitespace().collect();
        let ran = run_redirected(folder.path(), &arguments, redirections);
        assert_eq!(ran.code, 1, "{command} {redirections}");
        let (name, other) = same.split_once(": ").unwrap();
        let same =
            if name == other { String::new() } else { format!(", it is the same as {other}") };
        let says = format!(
            "error: cannot write {name}: this run uses the file twice{same}: choose another file for this output"
        );
        let stderr = if redirections.starts_with("2") { at("rows") } else { ran.stderr };
        assert!(stderr.ends_with(&format!("{says}\n")), "{command} {redirections}: {stderr}");
        assert_eq!((at("in"), at("p.toml")), (LATE.to_owned(), pipeline.clone()), "untouched");
        assert!(at("rows").starts_with("precious"), "{command} {redirections}");
        assert!(!folder.path().join("new").exists(), "nothing is created");
        fs::write(folder.path().join("rows"), "precious").unwrap();
    }
}

#[test]
fn messages_do_not_go_into_a_file_that_is_read() {
    let window = window(&[]).join(" ");
    for (arguments, redirections, file, same) in [
        ("-i in", "2>> hard", "in", "in"),
        ("", "< in 2>> in", "in", "stdin"),
        ("run p.toml -i in", "2>> p.toml", "p.toml", "p.toml"),
    ] {
        let folder = folder_with_links();
        let path = folder.path().join(file);
        let before = fs::read_to_string(&path).unwrap();
        let command =
            if arguments.starts_with("run") { arguments } else { &format!("{window} {arguments}") };
        let arguments: Vec<_> = command.split_whitespace().collect();
        let ran = run_redirected(folder.path(), &arguments, redirections);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{command} {redirections}");
        // Stderr is the only place for the refusal itself.
        let added = fs::read_to_string(&path).unwrap().split_off(before.len());
        assert_eq!(
            added,
            format!(
                "error: cannot write stderr: this run uses the file twice, it is the same as {same}: choose another file for \
                 this output\n"
            )
        );
    }
}

#[test]
fn devices_pipes_and_shared_side_outputs_may_be_used_several_times() {
    let folder = folder_with_links();
    let window = window(&[]).join(" ");
    let null = "-o /dev/null --dead-letter /dev/null --late /dev/null --summary-json /dev/null";
    for (arguments, redirections) in [
        ("-i in", "> all 2>&1"),
        ("-i in -o other", "> all 2>&1"),
        (null, "< /dev/null > /dev/null 2>&1"),
        ("-i /dev/null", "> /dev/null"),
        ("-i in -i in -i hard --max-lost 100%", ""),
        ("-i in --late dead --dead-letter ./dead", ""),
        ("-i in --summary-json -", ""),
        ("-i in --summary-json -", "> all"),
        ("-i in -o /dev/stdout", "> all"),
        ("-o other", "< in > all"),
        ("-i in --dead-letter /dev/stderr", "2>&1 | cat > all"),
    ] {
        let command = format!("{window} {arguments}");
        let arguments: Vec<_> = command.split_whitespace().collect();
        let ran = run_redirected(folder.path(), &arguments, redirections);
        assert_eq!(
            (ran.code, ran.stderr.contains("error")),
            (0, false),
            "{command} {redirections}"
        );
    }
    let late = json_lines(&folder.path().join("dead"));
    assert_eq!(late.iter().filter(|letter| letter["reason"] == "late").count(), 1);
}

#[test]
fn dead_letters_name_the_file_and_the_line_in_it() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (dead, one, two) = (at("dead"), at("1.ndjson"), at("2.ndjson"));
    let event = |ts: u32| format!("{{\"ts\":{ts},\"service\":\"a\",\"latency\":1}}\n");
    // The second file is empty. The third has late events and a bad line. The first file ends
    // without a line feed.
    fs::write(&one, event(1000) + &event(120_000) + "bad").unwrap();
    fs::write(at("0.ndjson"), "").unwrap();
    fs::write(&two, event(2000) + &event(121_000) + "worse\n" + &event(3000)).unwrap();
    let inputs =
        ["-i", text(&one), "-i", text(&at("0.ndjson")), "-i", text(&two)].map(str::to_owned);
    let csv = |name: &str, rows: &str| {
        fs::write(at(name), format!("ts,service,latency,note\n{rows}")).unwrap();
        at(name)
    };
    let three = csv("3.csv", "1000,a,1,\"two\nlines\"\n120000,a,1,\nx,a,1,\n");
    let four = csv("4.csv", "2000,a,1,\n121000,a,1,\"\n3000,a,1,\n");
    let entry = |name: &std::path::Path, line: u64, reason: &str| {
        (text(name).to_owned(), line, reason.to_owned())
    };
    let ndjson = vec![
        entry(&one, 3, "invalid_json"),
        entry(&two, 1, "late"),
        entry(&two, 3, "invalid_json"),
        entry(&two, 4, "late"),
    ];
    let of_csv = vec![
        entry(&three, 5, "invalid_timestamp"),
        entry(&four, 2, "late"),
        entry(&four, 3, "invalid_csv"),
        entry(&four, 4, "late"),
    ];
    let csv_inputs = ["-i", text(&three), "-i", text(&four)].map(str::to_owned);
    for (inputs, expected) in [(&inputs[..], ndjson), (&csv_inputs[..], of_csv)] {
        for more in ["--batch-events 1", "--batch-events 2", "--shards 3", "--late dead2"] {
            let mut flags: Vec<&str> = inputs.iter().map(String::as_str).collect();
            flags.extend(["--dead-letter", text(&dead), "--max-lost", "100%"]);
            let late = at("dead2");
            flags.extend(
                more.split(' ').map(|word| if word == "dead2" { text(&late) } else { word }),
            );
            let ran = run(&window(&flags), "");
            assert_eq!(ran.code, 0, "{}", ran.stderr);
            let mut letters = json_lines(&dead);
            if more.starts_with("--late") {
                letters.extend(json_lines(&late));
            }
            let mut found: Vec<_> = letters
                .iter()
                .map(|letter| {
                    let field = |name: &str| letter[name].as_str().unwrap().to_owned();
                    (field("input"), letter["line"].as_u64().unwrap(), field("reason"))
                })
                .collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{more}");
            for (input, line, reason) in expected.iter().filter(|(_, _, reason)| reason != "late") {
                assert!(
                    ran.stderr.contains(&format!("{input}:{line}: {reason}: ")),
                    "{}",
                    ran.stderr
                );
            }
        }
    }
}

#[test]
fn row_dropped_by_a_later_stage_has_no_input_line() {
    let folder = tempdir().unwrap();
    let (pipeline, dead) = (folder.path().join("p.toml"), folder.path().join("dead"));
    let window = |size: &str| {
        format!(
            "[[stages]]\ntype = \"window\"\nwindow = \"tumbling\"\nsize = \"{size}\"\naggregations = [\"count\"]\n"
        )
    };
    let filter =
        "[[stages]]\ntype = \"filter\"\nwhere = [{ field = \"v\", op = \">\", value = 0 }]\n";
    let toml = format!(
        "[source]\nkey = \"k\"\nvalue = \"v\"\n[limits]\nmax_keys = 1\n{filter}{}{}",
        window("1s"),
        window("1h")
    );
    fs::write(&pipeline, toml).unwrap();
    let input = "{\"ts\":0,\"k\":\"a\",\"v\":1}\n{\"ts\":5000,\"k\":\"a\",\"v\":0}\n{\"ts\":6000,\"k\":\"b\",\"v\":1}\n";
    let ran = run(&["run", text(&pipeline), "--dead-letter", text(&dead)], input);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let letters = json_lines(&dead);
    assert_eq!((letters.len(), &letters[0]["reason"]), (1, &"key_limit".into()), "{letters:?}");
    assert_eq!(letters[0]["stage"], 2);
    for field in ["input", "line", "event"] {
        assert!(letters[0][field].is_null(), "{field}");
    }
}

#[test]
fn unjudged_events_are_counted_and_dropped_if_on_unjudged_is_drop() {
    let folder = tempdir().unwrap();
    let (dead, summary) = (folder.path().join("dead"), folder.path().join("summary"));
    let input = "{\"ts\":\"2024-01-01\",\"id\":\"a\"}\n{\"ts\":\"2024-06-01\",\"id\":\"b\"}\n{\"ts\":\"2024-01-02\",\"id\":\"a\"}\n";
    let flags = ["dedup", "--by", "id", "--ttl", "30d", "--summary-json", text(&summary)];
    for more in [&[][..], &["--mode", "bloom"], &["--on-unjudged", "pass"]] {
        let ran = run(&[&flags[..], more].concat(), input);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, input));
        assert!(ran.stderr.contains("3 events, 1 unjudged, 3 rows"), "{}", ran.stderr);
        let summary = json(&summary);
        assert_eq!((&summary["unjudged"], &summary["duplicates"]), (&1.into(), &0.into()));
        assert_eq!(summary["stages"][0]["unjudged"], 1);
    }
    let more = ["--on-unjudged", "drop", "--dead-letter", text(&dead)];
    let ran = run(&[&flags[..], &more].concat(), input);
    assert_eq!(ran.stdout.lines().count(), 2);
    assert!(ran.stderr.contains("3 events, 1 unjudged, 2 rows"), "{}", ran.stderr);
    let letters = json_lines(&dead);
    assert_eq!((letters.len(), &letters[0]["reason"]), (1, &"unjudged".into()));
    assert_eq!((&letters[0]["line"], &letters[0]["stage"]), (&3.into(), &0.into()));
    let ran = run(&["dedup", "--on-unjudged", "drop"], input);
    assert_eq!((ran.code, ran.stderr.contains("--on-unjudged: ")), (2, true), "{}", ran.stderr);
}

#[test]
fn closed_stdout_ends_the_run_without_an_error() {
    for shards in ["1", "2"] {
        let mut child =
            program(&window(&["--tumbling", "1s", "--shards", shards][2..])).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || {
            let _ = input.write_all(events(400_000, 1000).as_bytes());
            input
        });
        let mut first = String::new();
        let mut rows = BufReader::new(child.stdout.take().unwrap());
        rows.read_line(&mut first).unwrap();
        assert!(first.starts_with("{\"service\":"), "{first}");
        drop(rows);
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
        drop(writer.join().unwrap());
    }
}
