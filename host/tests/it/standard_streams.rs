//! Closed and full standard streams are failures.

use std::fs;

use tempfile::tempdir;

use crate::common::{events, program, run_redirected, text, window};

const PIPELINE: &str = "[[stages]]\ntype = \"window\"\nwindow = \"tumbling\"\nsize = \"1m\"\n\
                        aggregations = [\"count\"]\n";

/// Returns commands that write to stdout. Their folder contains `in`, `bad` and `p.toml`.
fn commands() -> Vec<Vec<&'static str>> {
    let mut commands: Vec<Vec<_>> = [
        "--version",
        "-V",
        "--help",
        "help run",
        "window --help",
        "schema",
        "completions bash",
        "check p.toml",
        "explain p.toml",
        "run p.toml -i in",
        "run p.toml -i in --engine native",
        "dedup -i in",
        "run p.toml -i in -o rows --summary-json -",
        "run p.toml -i bad -o rows --dead-letter -",
    ]
    .iter()
    .map(|command| command.split(' ').collect())
    .collect();
    commands.push(window(&["-i", "in", "--output-format", "csv", "--shards", "2"]));
    commands
}

fn folder() -> tempfile::TempDir {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("in"), events(100, 3)).unwrap();
    fs::write(folder.path().join("bad"), "bad\n").unwrap();
    fs::write(folder.path().join("p.toml"), PIPELINE).unwrap();
    folder
}

#[test]
fn every_command_fails_if_stdout_is_closed_or_full() {
    let folder = folder();
    for (redirection, reason) in [
        (">&-", "Bad file descriptor"),
        ("1< /dev/null", "Bad file descriptor"),
        ("> /dev/full", "No space left on device"),
    ] {
        for command in commands() {
            let ran = run_redirected(folder.path(), &command, redirection);
            let says = format!("error: cannot write stdout: {reason}");
            assert!(ran.stderr.contains(&says), "{command:?} {redirection}: {}", ran.stderr);
            assert_eq!(ran.code, 1, "{command:?} {redirection}");
        }
    }
}

#[test]
fn closed_pipe_of_stdout_is_not_a_failure() {
    let folder = folder();
    for command in commands().into_iter().filter(|command| !command.contains(&"--dead-letter")) {
        let mut child = program(&command).current_dir(folder.path()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{command:?}: {stderr}");
        assert!(!stderr.contains("error"), "{command:?}: {stderr}");
    }
}

#[test]
fn closed_streams_that_are_not_used_are_not_a_failure() {
    let folder = folder();
    let flags = ["run", "p.toml", "-i", "in", "-o", "rows", "--quiet"];
    let ran = run_redirected(folder.path(), &flags, "<&- >&- 2>&-");
    assert_eq!(ran.code, 0);
    assert!(!fs::read_to_string(folder.path().join("rows")).unwrap().is_empty());
    let ran = run_redirected(folder.path(), &["init", "new.toml"], ">&-");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn unreadable_stdin_is_a_failure_not_an_empty_input() {
    let folder = folder();
    for redirection in ["<&-", "0> unread"] {
        let ran = run_redirected(folder.path(), &["run", "p.toml"], redirection);
        let says = "error: cannot read stdin: Bad file descriptor";
        assert!(ran.code == 1 && ran.stderr.starts_with(says), "{redirection}: {}", ran.stderr);
    }
}

#[test]
fn message_that_cannot_be_written_fails_the_run() {
    let folder = folder();
    for command in ["run p.toml -i in", "check p.toml", "run p.toml -i bad"] {
        let command: Vec<_> = command.split(' ').collect();
        let code = run_redirected(folder.path(), &command, "2> /dev/full").code;
        // `check` prints nothing on stderr.
        assert_eq!(code, i32::from(command[0] != "check"), "{command:?}");
    }
}

#[test]
fn full_side_output_fails_the_run_and_earlier_rows_are_written() {
    let folder = folder();
    fs::write(folder.path().join("in"), events(20_000, 3)).unwrap();
    for (flag, input) in [("--dead-letter", "bad"), ("--summary-json", "in")] {
        let rows = folder.path().join("rows");
        let command =
            ["run", "p.toml", "-i", "in", "-i", input, "-o", text(&rows), flag, "/dev/full"];
        let ran = run_redirected(folder.path(), &command, "");
        let says = "error: cannot write /dev/full: No space left on device";
        assert!(ran.code == 1 && ran.stderr.contains(says), "{flag}: {}", ran.stderr);
        assert!(!fs::read_to_string(&rows).unwrap().is_empty(), "{flag}");
    }
}
