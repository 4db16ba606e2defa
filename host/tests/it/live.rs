//! Live streams: rows are written as soon as they exist, not when a buffer is full.

use std::io::{BufRead, BufReader, Write};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::common::{program, window};

const PROMPT: Duration = Duration::from_secs(5);

#[test]
fn rows_are_written_while_the_stream_pauses() {
    for shards in ["1", "2"] {
        let mut child = program(&window(&["--shards", shards])).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let rows = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        let reader = thread::spawn(move || {
            for line in rows.lines() {
                send.send(line.unwrap()).unwrap();
            }
        });
        for minute in 0..3 {
            let ts = minute * 60_000;
            // The last line is incomplete. It must not delay the rows of those before.
            write!(input, "{{\"ts\":{ts},\"service\":\"a\",\"latency\":{minute}}}\n{{\"ts\":")
                .unwrap();
            input.flush().unwrap();
            if minute > 0 {
                let row = lines.recv_timeout(PROMPT).expect("the row of the minute before");
                assert!(row.contains(&format!("\"max\":{}", minute - 1)), "{row}");
            }
            writeln!(input, "{ts},\"service\":\"a\",\"latency\":{minute}}}").unwrap();
        }
        drop(input);
        assert!(lines.recv_timeout(PROMPT).unwrap().contains("\"count\":2"));
        reader.join().unwrap();
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn closed_stdout_ends_the_run_while_the_stream_pauses() {
    let mut child = program(&window(&[])).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    drop(child.stdout.take());
    input.write_all(b"{\"ts\":0,\"service\":\"a\",\"latency\":1}\n").unwrap();
    input.write_all(b"{\"ts\":60000,\"service\":\"a\",\"latency\":1}\n").unwrap();
    // The input stays open.
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
