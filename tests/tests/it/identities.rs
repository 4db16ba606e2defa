//! The module in wasmtime computes the identities of the vectors.

use serde_json::Value;
use stream_processor::runtime::{DEFAULT_MEMORY_LIMIT_BYTES, Instance, Runtime};
use stream_processor_core::{Identity, NO_IDENTITY, Options, PipelineSpec};
use stream_processor_tests::root;

fn hex(identity: Identity) -> Value {
    let [low, high] = identity;
    if identity == NO_IDENTITY { Value::Null } else { format!("{high:016x}{low:016x}").into() }
}

#[test]
fn identities_equal_those_of_the_vectors() {
    let spec = r#"{"stages": [{"type": "window", "window": "global", "aggregations": ["count"]}]}"#;
    let spec = PipelineSpec::from_json(spec).unwrap();
    let runtime = Runtime::new().unwrap();
    let mut module =
        Instance::open(&runtime, &spec, Options::default(), DEFAULT_MEMORY_LIMIT_BYTES).unwrap();
    let vectors = std::fs::read(root().join("tests/vectors/identity/identity.json")).unwrap();
    let vectors: Vec<Value> = serde_json::from_slice(&vectors).unwrap();
    assert!(vectors.len() >= 4, "the vectors are there");
    for vector in vectors {
        let strategies = vector["strategies"].to_string();
        let events = vector["events"].as_array().unwrap();
        let lines: Vec<&str> = events.iter().map(|case| case["event"].as_str().unwrap()).collect();
        let found = module.identify(&strategies, &lines.join("\n")).unwrap();
        assert_eq!(found.len(), events.len());
        for (identity, case) in found.into_iter().zip(events) {
            assert_eq!(hex(identity), case["identity"], "{case}");
        }
    }
    let error = module.identify("[\"@contents\"]", "{}").unwrap_err();
    assert!(error.to_string().contains("unknown strategy"), "{error}");
    assert_eq!(module.identify("[\"id\"]", "").unwrap(), [NO_IDENTITY]);
}
