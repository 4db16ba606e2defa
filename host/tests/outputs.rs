//! Where rows, late events and dead letters go.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};

use common::{events, json, json_lines, program, run, text, window};
use tempfile::tempdir;

/// Minute 0, then minute 2, then an event that is late for minute 0 and one that is not.
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
            "{\"reason\":\"late\",\"stage\":0,\"line\":3,\"watermark\":\"1970-01-01T00:01:59.999999Z\",\
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
fn without_it_they_are_dead_letters_in_the_order_of_lines() {
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
fn a_pipeline_file_names_them_and_flags_override_it() {
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
fn what_cannot_be_written_is_named() {
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
        assert!(
            ran.stderr.contains("this run reads it, or writes something else to it"),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), LATE, "the input is untouched");
    let devices = ["-o", "/dev/null", "--dead-letter", "/dev/null"];
    assert_eq!(run(&window(&devices), LATE).code, 0);
}

#[test]
fn a_reader_that_goes_away_ends_the_run_quietly() {
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
