//! Reads pipeline descriptions: `j` and JSON, or `t` and TOML. A valid one can be written, read and
//! opened.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stream_processor_core::{Engine, Options, PipelineSpec};
use stream_processor_fuzz::drive::{Output, check_own_snapshot, finish};

fuzz_target!(|input: &[u8]| {
    let [format, text @ ..] = input else { return };
    let Ok(text) = core::str::from_utf8(text) else { return };
    let spec = match format {
        b'j' => PipelineSpec::from_json(text),
        _ => PipelineSpec::from_toml(text),
    };
    let Ok(spec) = spec else { return };
    let of_json = PipelineSpec::from_json(&spec.to_json()).expect("its JSON is a pipeline");
    assert_eq!(of_json, spec);
    let of_toml = PipelineSpec::from_toml(&spec.to_toml()).expect("its TOML is a pipeline");
    assert_eq!(of_toml, spec);
    let Ok(mut engine) = Engine::open(&spec, Options::default()) else { return };
    let _ = engine.advance_watermark(1_700_000_000_000_000);
    check_own_snapshot(&spec, &mut engine);
    finish(&mut engine, &mut Output::default());
});
