//! Rows do not depend on the batch size, the number of shards, or the engine.

use tempfile::tempdir;

use crate::common::{events, json, run, text, window};

#[test]
fn rows_are_identical_for_any_shards_batches_and_engine() {
    let input = events(60_000, 300);
    let expected = run(&window(&["--max-out-of-orderness", "1s"]), &input).stdout;
    assert!(expected.lines().count() > 5000);
    for (shards, batch, engine) in [
        ("1", "1", "module"),
        ("1", "777", "native"),
        ("2", "8192", "module"),
        ("3", "100000", "module"),
        ("5", "1000", "native"),
        ("16", "333", "module"),
    ] {
        let how = ["--shards", shards, "--batch-events", batch, "--engine", engine];
        let ran = run(&window(&[&["--max-out-of-orderness", "1s"], &how[..]].concat()), &input);
        assert!(ran.stdout == expected, "{how:?}: {}", ran.stderr);
    }
}

#[test]
fn counters_of_shards_sum_to_those_of_one() {
    let folder = tempdir().unwrap();
    let summary = folder.path().join("summary");
    let input = events(20_000, 50) + "bad\n";
    let counters = |shards| {
        run(&window(&["--shards", shards, "--summary-json", text(&summary)]), &input);
        let mut counters = json(&summary);
        assert_eq!(counters["shards"], shards.parse::<u64>().unwrap());
        for name in ["shards", "elapsed_seconds"] {
            counters.as_object_mut().unwrap().remove(name);
        }
        counters
    };
    let one = counters("1");
    assert_eq!((&one["events"], &one["complete"]), (&20_000.into(), &true.into()));
    assert!(one["late_dropped"].as_u64() > Some(0));
    assert_eq!(one["module_sha256"].as_str().map(str::len), Some(64));
    assert_eq!(counters("4"), one);
}

#[test]
fn stream_without_key_runs_in_one_shard() {
    let flags = ["window", "--tumbling", "1m", "--agg", "count", "--shards", "4"];
    let ran = run(&flags, events(10_000, 50));
    assert_eq!(ran.stderr.matches("note: ").count(), 1, "{}", ran.stderr);
    assert_eq!(ran.stdout, run(&flags[..5], events(10_000, 50)).stdout);
}

#[test]
fn small_dictionaries_and_buffers_change_no_row() {
    let folder = tempdir().unwrap();
    let pipeline = folder.path().join("p.toml");
    let text_of = |limits: &str| {
        format!(
            "[source]\nkey = \"service\"\nvalue = \"latency\"\n[[stages]]\ntype = \"window\"\nwindow = \"tumbling\"\n\
             size = \"10s\"\naggregations = [\"count\", \"sum\"]\n{limits}"
        )
    };
    let input = events(20_000, 300);
    let mut outputs = Vec::new();
    for limits in
        ["", "[limits]\nmax_dictionary_keys = 7\nmax_result_rows = 3\nmax_dropped_events = 2\n"]
    {
        std::fs::write(&pipeline, text_of(limits)).unwrap();
        for shards in ["1", "3"] {
            let dead = folder.path().join("dead");
            let flags = ["--shards", shards, "--dead-letter", text(&dead)];
            let ran = run(&[&["run", text(&pipeline)][..], &flags].concat(), &input);
            assert_eq!(ran.code, 0, "{}", ran.stderr);
            let letters = std::fs::read_to_string(&dead).unwrap();
            assert!(letters.lines().count() > 100, "some events are late");
            outputs.push(ran.stdout + &letters);
        }
    }
    assert!(outputs[0].lines().count() > 5000);
    assert!(outputs.iter().all(|output| *output == outputs[0]));
}
