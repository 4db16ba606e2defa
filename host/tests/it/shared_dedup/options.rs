//! Options of a shared stage: what is invalid, variables, and what `check` and the schema say.

use std::path::Path;

use stream_processor::runtime::{Instance, NativeEngine, Runtime};
use stream_processor::spec::PipelineSpec;
use stream_processor_core::Options;

use super::{pipeline, redis_options, rows, run_over};
use crate::common::{Ran, program, run, text};
use crate::servers;

const REDIS: &str = r#"type = "redis", url = "redis://127.0.0.1:6379""#;

/// Runs `check` for a pipeline text.
fn check(pipeline: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipeline.toml");
    std::fs::write(&path, pipeline).unwrap();
    run(&["check", text(&path)], "")
}

/// Returns a `dedup` stage with these options.
fn stage(options: &str) -> String {
    format!("[[stages]]\ntype = \"dedup\"\nstrategies = [\"id\"]\n{options}\n")
}

#[test]
fn options_that_do_not_fit_are_named_with_the_reason() {
    let shared = |options: &str| format!("clock = \"arrival\"\nshared = {{ {options} }}");
    let with = |further: &str| stage(&format!("{}\n{further}", shared(REDIS)));
    let window =
        "[[stages]]\ntype = \"filter\"\nwhere = [{ field = \"v\", op = \">\", value = 1 }]\n";
    let cases = [
        (stage(&format!("shared = {{ {REDIS} }}")), "stages[0].clock: a shared store forgets"),
        (with("mode = \"bloom\""), "stages[0].mode: a shared store is exact"),
        (with("refresh = true"), "stages[0].refresh: a shared store keeps the first time"),
        (with("max_entries = 5"), "stages[0].max_entries: the shared store has its own limits"),
        (with("capacity = 5"), "stages[0].capacity: "),
        (with("on_unjudged = \"drop\"\nttl = \"1h\""), "stages[0].on_unjudged: "),
        (with("ttl = \"0s\""), "stages[0].ttl: must be longer than 0s"),
        (with("").replace("\"id\"", ""), "stages[0].strategies: empty"),
        (window.to_owned() + &with(""), "stages[1].shared: only the first stage can share"),
        (with("") + &with(""), "stages[1].shared: only one stage can share"),
        (stage(&shared("type = \"redis\"")), "stages[0].shared.url: missing: the address"),
        (stage(&shared("type = \"sled\"")), "stages[0].shared.path: missing: the folder"),
        (stage(&shared("type = \"sled\", path = \"\"")), "stages[0].shared.path: empty"),
        (
            stage(&shared(&format!("{REDIS}, path = \"x\""))),
            "stages[0].shared.path: is for the types \"embedded\" and \"sled\" only",
        ),
        (
            stage(&shared(&format!("{REDIS}, schema = \"x\""))),
            "stages[0].shared.schema: is for the types \"postgres\" only",
        ),
        (
            stage(&shared("type = \"redis\", url = \"http://:hunter2@x\"")),
            "stages[0].shared.url: must be redis://",
        ),
        (
            stage(&shared(&format!("{REDIS}, command_timeout = \"0s\""))),
            "stages[0].shared.command_timeout: must be longer than 0",
        ),
        (
            stage(&shared(&format!("{REDIS}, root_certificate = \"/no/such/file\""))),
            "stages[0].shared.root_certificate: cannot read /no/such/file",
        ),
        (
            stage(&shared(&format!("{REDIS}, on_unavailable = \"maybe\""))),
            "stages[0].shared.on_unavailable: unknown name `maybe`",
        ),
        (
            stage(&shared(&format!("{REDIS}, on_unavailabel = \"strict\""))),
            "stages[0].shared.on_unavailabel: unknown field `on_unavailabel`, did you mean",
        ),
        (stage(&shared("type = \"memcached\"")), "stages[0].shared.type: unknown name `memcached`"),
    ];
    for (pipeline, expected) in cases {
        let ran = check(&pipeline);
        assert_eq!(ran.code, 2, "{pipeline}");
        assert!(ran.stderr.contains(expected), "{expected}\n{}", ran.stderr);
        assert!(ran.stderr.starts_with("error: ") && !ran.stderr.contains("hunter2"));
    }
}

#[test]
fn engines_refuse_a_shared_stage() {
    let text = format!("{}clock = \"arrival\"\nshared = {{ {REDIS} }}\n", stage(""));
    let spec = PipelineSpec::from_toml(&text).unwrap();
    let runtime = Runtime::new().unwrap();
    let module = Instance::open(&runtime, &spec, Options::default(), 1 << 28).err().unwrap();
    let native = NativeEngine::open(&spec, Options::default()).err().unwrap();
    for error in [module, native] {
        assert_eq!(error.code(), "invalid_pipeline");
        let message = error.to_string();
        assert!(message.contains("stages[0].shared: an engine cannot share"), "{message}");
    }
}

#[test]
fn stage_is_described_in_sentences_without_secrets() {
    let url = "postgres://me:hunter2@db.internal/app";
    let options = format!(
        "ttl = \"1h\"\nclock = \"arrival\"\n\
         shared = {{ type = \"postgres\", url = \"{url}\", on_unavailable = \"best_effort\" }}"
    );
    let ran = check(&stage(&options));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let sentence = "drops events that repeat `id` within 1h by the time of arrival, in all processes that \
                    share PostgreSQL at db.internal:5432 with the prefix `dedup:`; while it is \
                    unavailable, events pass unchecked";
    assert!(ran.stdout.contains(sentence), "{}", ran.stdout);
    assert!(!ran.stdout.contains("hunter2") && ran.stderr.is_empty(), "{}", ran.stderr);
    let ran = check(&stage(&options.replace("ttl = \"1h\"", "")));
    assert!(ran.stderr.contains("warning: stages[0].ttl: unset"), "{}", ran.stderr);
}

#[test]
fn schema_contains_the_options() {
    let schema = run(&["schema"], "").stdout;
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let options = &schema["$defs"]["SharedStore"]["properties"];
    for name in ["type", "url", "path", "key_prefix", "on_unavailable", "reader"] {
        assert!(options[name].is_object(), "{name}: {schema:#}");
    }
}

/// Runs a command for the pipeline at `path` with a variable set.
fn run_with(command: &str, path: &Path, name: &str, value: &str) -> Ran {
    let mut child = program(&[command, text(path)]).env(name, value).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A pipeline that is invalid is refused before the program reads.
    let _ = std::io::Write::write_all(&mut stdin, super::events(3).as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn variables_in_texts_are_replaced() {
    let Some(server) = servers::redis(&["--requirepass", "hunter2"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = redis_options(&server).replace("redis://", "redis://:${REDIS_PASSWORD}@");
    let path = pipeline(folder.path(), &options, "");
    let ran = run_with("run", &path, "REDIS_PASSWORD", "hunter2");
    assert_eq!(rows(&ran), 3);
    for command in ["check", "explain"] {
        let ran = run_with(command, &path, "REDIS_PASSWORD", "hunter2");
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(!ran.stdout.contains("hunter2") && !ran.stderr.contains("hunter2"));
    }
    let ran = run_over(&path, "", &[]);
    assert_eq!(ran.code, 2);
    let expected =
        ":5: stages[0].shared.url: the environment variable REDIS_PASSWORD is not defined";
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
}

#[test]
fn variables_are_texts_of_any_field_and_hidden_in_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipeline.json");
    let text_of = |size: &str| {
        format!(
            r#"{{"source": {{"timestamp": "${{FIELD_OF_TIME}}"}}, "stages": [{{"type": "window",
                 "window": "tumbling", "size": "{size}", "aggregations": ["count"]}}]}}"#
        )
    };
    std::fs::write(&path, text_of("1m")).unwrap();
    let ran = run_with("check", &path, "FIELD_OF_TIME", "when");
    assert!(ran.stdout.contains("time in `when`"), "{}", ran.stderr);
    // An escaped variable is no variable.
    std::fs::write(&path, text_of("1m").replace("${", "$${")).unwrap();
    let ran = run_with("check", &path, "FIELD_OF_TIME", "when");
    assert!(ran.stdout.contains("time in `${FIELD_OF_TIME}`"), "{}", ran.stderr);
    std::fs::write(&path, text_of("${FIELD_OF_TIME}")).unwrap();
    let ran = run_with("check", &path, "FIELD_OF_TIME", "hunter2");
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("stages[0].size: \"${FIELD_OF_TIME}\" is not"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
}
