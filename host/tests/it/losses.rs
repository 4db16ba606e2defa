//! Lost input: the line about it, the exit code, and the options that prevent it.

use std::fmt::Write as _;
use std::fs;

use tempfile::tempdir;

use crate::common::{json, run, text};

const FLAGS: [&str; 5] = ["window", "--tumbling", "1m", "--value", "v"];

/// Returns `count` events an hour apart, the latest first.
fn reversed(count: u64) -> String {
    (0..count).rev().fold(String::new(), |mut text, hour| {
        writeln!(text, r#"{{"ts":{},"v":1}}"#, hour * 3_600_000).unwrap();
        text
    })
}

fn flags<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&FLAGS[..], more].concat()
}

#[test]
fn losing_most_events_fails_with_the_amount_the_reason_and_the_remedy() {
    let folder = tempdir().unwrap();
    let summary = folder.path().join("summary");
    for shards in ["1", "2"] {
        let more = ["--shards", shards, "--key", "v", "--summary-json", text(&summary)];
        let ran = run(&flags(&more), reversed(25));
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        let says = "error: 24 of 25 events were late and dropped, up to 1d behind: \
                    --max-out-of-orderness 1d waits for them, --unordered reads a file in any order\n";
        assert!(ran.stderr.ends_with(says), "{}", ran.stderr);
        assert_eq!(ran.stdout.lines().count(), 1, "rows are written all the same");
        let summary = json(&summary);
        assert_eq!((&summary["max_behind"], &summary["complete"]), (&"1d".into(), &true.into()));
    }
    // Only the error is printed with --quiet.
    let ran = run(&flags(&["--quiet"]), reversed(3));
    assert_eq!((ran.code, ran.stderr.lines().count()), (3, 1), "{}", ran.stderr);
}

#[test]
fn max_behind_as_bound_makes_no_event_late() {
    for order in [&["--max-out-of-orderness", "1d"][..], &["--unordered"]] {
        let ran = run(&flags(order), reversed(25));
        assert_eq!((ran.code, ran.stdout.lines().count()), (0, 25), "{}", ran.stderr);
        assert!(!ran.stderr.contains("late"), "{}", ran.stderr);
    }
}

#[test]
fn unordered_input_opens_more_windows_than_the_default_limit() {
    let ran = run(&flags(&["--unordered"]), reversed(25_000));
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 25_000), "{}", ran.stderr);
}

#[test]
fn unordered_samples_wait_in_any_number_until_the_end_of_input() {
    let flags = ["normalize", "--interval", "1h", "--value", "v"];
    let ran = run(&[&flags[..], &["--unordered"]].concat(), reversed(100_002));
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 100_002), "{}", ran.stderr);
    // A stage with a limit of its own names it.
    let pipeline = run(&[&flags[..], &["--unordered", "--print-pipeline"]].concat(), "");
    let limited = pipeline.stdout.replace("max_buffered = 4294967295", "max_buffered = 10");
    let folder = tempdir().unwrap();
    let file = folder.path().join("limited.toml");
    fs::write(&file, limited).unwrap();
    let ran = run(&["run", text(&file)], reversed(100));
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("raise max_buffered of the normalize stage"), "{}", ran.stderr);
}

#[test]
fn bound_of_losses_is_a_number_or_a_share() {
    // Of these 4 lines one is late and one is rejected.
    let input = "{\"ts\":60000,\"v\":1}\n{\"ts\":1,\"v\":1}\nbad\n{\"ts\":60001,\"v\":1}\n";
    for (bound, code) in
        [("0", 3), ("1", 3), ("2", 0), ("0%", 3), ("49.9%", 3), ("50%", 0), ("100%", 0)]
    {
        let ran = run(&flags(&["--max-lost", bound]), input);
        assert_eq!(ran.code, code, "{bound}: {}", ran.stderr);
        let kind = if code == 0 { "\nwarning: " } else { "\nerror: " };
        let says = format!(
            "{kind}2 of 4 events were lost, 1 of them late and dropped, up to 59s999ms behind: "
        );
        assert!(ran.stderr.contains(&says), "{}", ran.stderr);
    }
    let ran = run(&flags(&["--max-lost", "half"]), input);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("such as 100, or a share, such as 5%"), "{}", ran.stderr);
}

#[test]
fn rejected_lines_are_reported_with_their_main_reason() {
    let ran = run(&FLAGS, "a b\n1 2\n{\"ts\":1}\n");
    assert_eq!(ran.code, 3);
    let says = "error: 3 of 3 events were rejected, most for invalid_json: each line must be one \
                JSON object; for CSV set the format to csv\n";
    // The last line lacks its value.
    assert!(ran.stderr.ends_with(says), "{}", ran.stderr);
}

#[test]
fn pipeline_file_gets_the_remedy_in_its_own_words() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("p.toml");
    let toml = "[source]\n[[stages]]\ntype = \"window\"\nwindow = \"tumbling\"\nsize = \"1m\"\n\
                aggregations = [\"count\"]\n";
    fs::write(&path, toml).unwrap();
    let ran = run(&["run", text(&path)], reversed(3));
    assert_eq!(ran.code, 3);
    let says = "under [time], max_out_of_orderness = \"2h\" waits for them, \"unbounded\" reads a \
                file in any order\n";
    assert!(ran.stderr.ends_with(says), "{}", ran.stderr);
    let limited = toml.replace("[[stages]]", "key = \"k\"\n[limits]\nmax_keys = 1\n[[stages]]");
    fs::write(&path, limited).unwrap();
    let input: String = (0..4).map(|key| format!("{{\"ts\":1,\"k\":{key}}}\n")).collect();
    let ran = run(&["run", text(&path)], input);
    assert_eq!(ran.code, 3);
    let says = "error: 3 of 4 events were dropped at a limit: raise the limits (key_limit) under \
                [limits] of a pipeline file\n";
    assert!(ran.stderr.ends_with(says), "{}", ran.stderr);
}

#[test]
fn help_lists_the_exit_codes() {
    for arguments in [&["--help"][..], &["window", "--help"], &["run", "--help"]] {
        let help = run(arguments, "").stdout;
        for code in ["0  ", "1  ", "2  ", "3  ", "130"] {
            assert!(help.contains(&format!("\n  {code}  ")), "{code}: {help}");
        }
    }
}
