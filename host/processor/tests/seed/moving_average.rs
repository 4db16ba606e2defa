//! Exponential moving average.

fn smoothed(value: f64) -> anyhow::Result<Option<f64>> {
    use processor::aggregation::statistics::ExponentialMovingAverage;

    let mut ema = ExponentialMovingAverage::with_span(10.0)?;
    ema.update(value);
    let smoothed = ema.value();
    ema.update(value + 11.0);
    assert_eq!(ema.value(), Some(value + 2.0));
    Ok(smoothed)
}

#[test]
fn moving_average_starts_at_the_first_value() {
    assert_eq!(smoothed(4.0).unwrap(), Some(4.0));
}
