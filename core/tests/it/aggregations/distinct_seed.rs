//! `distinct_seed`: estimates that cannot be steered by the choice of values.

use serde_json::{Value, json};
use stream_processor_core::{BatchBuilder, Engine, Error, Options, PipelineSpec, SnapshotError};

use crate::common::Pipeline;

fn spec(seed: Option<&str>) -> PipelineSpec {
    let mut window = json!({"type": "window", "window": "global", "aggregations": ["distinct"]});
    if let Some(seed) = seed {
        window["distinct_seed"] = seed.into();
    }
    Pipeline::of(json!({"value": "v"})).stage(window).spec()
}

/// Returns the number of different `values`, counted by two engines.
fn distinct(seed: Option<&str>, values: &[f64]) -> f64 {
    let spec = spec(seed);
    let mut receiver = Engine::open(&spec, Options::default()).unwrap();
    let emits = Options { emits_partials: true, ..Options::default() };
    let halves = values.split_at(values.len() / 2);
    for (name, values) in [("a", halves.0), ("b", halves.1)] {
        let mut edge = Engine::open(&spec, emits).unwrap();
        let mut events = BatchBuilder::new(edge.plan());
        values.iter().for_each(|value| events.push(0, (), &[*value]).unwrap());
        events.push_to(&mut edge).unwrap();
        receiver.merge(&edge.partial(name).unwrap()).unwrap();
    }
    receiver.finish().unwrap();
    receiver.poll(1).unwrap().number(0, "distinct").unwrap()
}

/// Returns the value whose hash without a seed is `hash`: the inverse of SplitMix64.
fn value_of(hash: u64) -> f64 {
    let mut bits = hash ^ hash >> 31 ^ hash >> 62;
    bits = bits.wrapping_mul(0x3196_42B2_D24D_8EC3);
    bits ^= bits >> 27 ^ bits >> 54;
    bits = bits.wrapping_mul(0x96DE_1B17_3F11_9089);
    bits ^= bits >> 30 ^ bits >> 60;
    f64::from_bits(bits.wrapping_sub(0x9E37_79B9_7F4A_7C15))
}

#[test]
fn chosen_values_steer_the_estimate_only_without_a_seed() {
    // Their hashes differ only in bits that select no register.
    let chosen = (1..=4_200_u64).map(|number| value_of(number << 20));
    let chosen: Vec<f64> = chosen.filter(|value| value.is_finite()).collect();
    assert!(distinct(None, &chosen) < 600.0);
    for seed in ["a", "6e1f0c55"] {
        let error = distinct(Some(seed), &chosen) / chosen.len() as f64 - 1.0;
        assert!(error.abs() < 0.05, "{seed}: {error}");
    }
}

#[test]
fn values_are_counted_exactly_up_to_512_of_them() {
    let values: Vec<f64> = (0..512).chain(0..512).map(f64::from).chain([-0.0]).collect();
    for seed in [None, Some("a")] {
        assert_eq!(distinct(seed, &values), 512.0);
    }
}

#[test]
fn engines_that_exchange_state_need_the_same_seed() {
    let mut engine = Engine::open(&spec(Some("a")), Options::default()).unwrap();
    let snapshot = engine.snapshot().unwrap();
    assert!(Engine::restore(&spec(Some("a")), Options::default(), &snapshot).is_ok());
    for seed in [None, Some("b")] {
        let restored = Engine::restore(&spec(seed), Options::default(), &snapshot);
        assert_eq!(restored.err(), Some(Error::Snapshot(SnapshotError::OtherPipeline)));
    }
}

#[test]
fn seed_without_use_is_refused() {
    let refusal = |seed: &str, aggregations: Value| {
        let window = format!(r#""window": "global", "distinct_seed": "{seed}""#);
        Pipeline::keyed().window(&window, aggregations).refusal()
    };
    assert_eq!(refusal("a", json!(["distinct"])), "");
    assert!(refusal("", json!(["distinct"])).contains("choose a random text"));
    assert!(refusal("a", json!(["count"])).contains("no aggregation is `distinct`"));
}
