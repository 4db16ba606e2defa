//! Irregular samples of a sensor at every full second, by all strategies.

use std::io::{self, Write};

use chrono::{DateTime, Duration, Utc};
use processor::engine::spec::Reduce;
use processor::normalization::{
    AlignmentStrategy, FillStrategy, NormalizationConfig, TimeSeriesNormalizer,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    run(&mut io::stdout()).await
}

pub(crate) async fn run(out: &mut impl Write) -> anyhow::Result<()> {
    let samples = [(0, 10.0), (300, 12.0), (1_700, 18.0), (4_900, 35.0)];
    writeln!(out, "samples (ms, value): {samples:?}")?;
    let strategies = [
        ("linear", FillStrategy::Linear),
        ("forward", FillStrategy::ForwardFill),
        ("backward", FillStrategy::BackwardFill),
        ("zero", FillStrategy::ZeroFill),
        ("mean", FillStrategy::MeanFill),
        ("polynomial", FillStrategy::Polynomial { degree: 2 }),
        ("spline", FillStrategy::Spline),
        ("none", FillStrategy::None),
    ];
    for (name, fill) in strategies {
        let config = NormalizationConfig::builder()
            .interval(Duration::seconds(1))
            .alignment(AlignmentStrategy::Round)
            .fill_strategy(fill)
            .build()?;
        let mut normalizer = TimeSeriesNormalizer::new(config).with_reduce(Reduce::First);
        for (ms, value) in samples {
            let time = DateTime::<Utc>::UNIX_EPOCH + Duration::milliseconds(ms);
            normalizer.process_event(time, value).await?;
        }
        write!(out, "{name:<10}")?;
        for point in normalizer.normalize().await? {
            let value = point.value.map_or("-".to_owned(), |value| format!("{value:.2}"));
            let mark = if point.filled { "*" } else { " " };
            write!(out, " {value:>6}{mark}")?;
        }
        writeln!(out)?;
    }
    writeln!(out, "* filled")?;
    Ok(())
}
