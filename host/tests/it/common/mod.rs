//! Helpers of the program's tests: run the program, generate events.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Returns a command of the program with piped standard streams.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stream-processor"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The exit code and the output of the program.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program with `stdin` as its input.
pub(crate) fn run(arguments: &[&str], stdin: impl AsRef<[u8]>) -> Ran {
    let mut child = program(arguments).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let stdin = stdin.as_ref().to_vec();
    let writer = std::thread::spawn(move || {
        // The program may end without having read everything.
        let _ = input.write_all(&stdin);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the program in `folder` by a shell, with `redirections` such as `< in >> out` after its
/// arguments.
pub(crate) fn run_redirected(folder: &Path, arguments: &[&str], redirections: &str) -> Ran {
    let script = format!("exec \"$0\" \"$@\" {redirections}");
    let output = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_stream-processor")])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Returns the arguments of `window` with keys and windows of a minute, and the flags in `more`.
pub(crate) fn window<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let flags = "window --tumbling 1m --key service --value latency --agg count,avg,max";
    flags.split(' ').chain(more.iter().copied()).collect()
}

/// Returns a path as text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Parses each line of a file as JSON.
pub(crate) fn json_lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Parses a file as JSON.
pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Generates `count` events of `keys` services, 40 ms apart and up to 3 seconds out of order. They
/// are the same in every run.
pub(crate) fn events(count: u64, keys: u64) -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    (0..count).fold(String::new(), |mut text, event| {
        let ts = 1_700_000_000_000 + event * 40 - random(3000);
        let (key, value) = (random(keys), random(100_000) as f64 / 100.0);
        writeln!(text, r#"{{"ts":{ts},"service":"svc-{key}","latency":{value}}}"#).unwrap();
        text
    })
}
