//! quick
#![allow(missing_docs)]
use std::time::Instant;
use stream_processor_core::*;
fn main() {
    let n = 10_000_000;
    let data = stream_processor_benches::events(n);
    let spec = PipelineSpec::from_json(r#"{"source":{"key":"k","value":"v"},"time":{"max_out_of_orderness":"2s"},"stages":[{"type":"window","window":"tumbling","size":"1m","aggregations":["count","sum","avg","min","max"]}]}"#).unwrap();
    for _ in 0..5 {
        let mut engine = Engine::open(&spec, Options::default()).unwrap();
        let ids: Vec<u32> = (0..1000).collect();
        let mut bytes = vec![]; let mut offsets = vec![0u32];
        for id in &ids { key::push_str(&mut bytes, &stream_processor_benches::key_name(*id)); offsets.push(bytes.len() as u32); }
        engine.define_keys(&KeyDefinitions{reset:false, ids:&ids, offsets:&offsets, bytes:&bytes}).unwrap();
        let t = Instant::now();
        let mut rows = 0;
        let mut at = 0;
        while at < n {
            let end = (at + 8192).min(n);
            let columns = [Column::F64(&data.values[at..end])];
            engine.push(&Batch{timestamps:&data.timestamps[at..end], keys: KeyColumn::Ids(&data.keys[at..end]), columns:&columns, ordinals:None, watermarks:None}).unwrap();
            while let Some(r) = engine.poll(4096) { rows += r.len(); }
            at = end;
        }
        engine.finish().unwrap();
        while let Some(r) = engine.poll(4096) { rows += r.len(); }
        let s = t.elapsed().as_secs_f64();
        println!("{rows} rows {:.1} M/s", n as f64 / s / 1e6);
    }
}
