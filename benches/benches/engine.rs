//! Criterion benchmarks: the native engine, the module and a plain loop on a million events.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use stream_processor::runtime::Runtime;
use stream_processor_benches::data::Events;
use stream_processor_benches::loops::{Keys, Names};
use stream_processor_benches::measure::Laps;
use stream_processor_benches::{ceilings, loops};

const EVENTS: usize = 1_000_000;

fn tumbling(criterion: &mut Criterion) {
    let events = Events::new(EVENTS);
    let names = Names::of(&events, Keys::Ids);
    let spec = loops::tumbling().expect("the pipeline is right");
    let runtime = Runtime::new().expect("the module starts");
    let mut group = criterion.benchmark_group("tumbling");
    group.throughput(Throughput::Elements(EVENTS as u64)).sample_size(20);
    group.bench_function("plain loop", |bencher| bencher.iter(|| ceilings::moments(&events)));
    group.bench_function("native", |bencher| {
        bencher.iter_batched(
            || loops::native(&spec).expect("it opens"),
            |mut engine| {
                loops::run(&mut engine, &events, &names, &mut Laps::default()).expect("it runs")
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("module", |bencher| {
        bencher.iter_batched(
            || loops::module(&runtime, &spec).expect("it opens"),
            |mut instance| {
                loops::run(&mut instance, &events, &names, &mut Laps::default()).expect("it runs")
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, tumbling);
criterion_main!(benches);
