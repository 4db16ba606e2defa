//! m
use stream_processor_benches::{data::Events, loops};
fn main() {
    let events = Events::new(10_000_000);
    let spec = loops::tumbling().unwrap();
    let runtime = processor::runtime::Runtime::new().unwrap();
    for _ in 0..5 {
        let mut module = loops::module(&runtime, &spec).unwrap();
        let t = std::time::Instant::now();
        loops::run(&mut module, &events).unwrap();
        println!("{:.1} M/s", 10.0 / t.elapsed().as_secs_f64());
    }
}
