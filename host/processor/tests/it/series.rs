//! Normalization of a series, in whole and as a stream.

use chrono::Duration;
use processor::engine::spec::{Basis, OutlierAction, Outliers, Reduce};
use processor::normalization::{
    AlignmentStrategy, FillStrategy, NormalizationConfig, NormalizedPoint, TimeSeriesNormalizer,
};

use crate::common::time;

/// The samples of the visual example, in milliseconds.
const PICTURE: [(i64, f64); 4] = [(0, 10.0), (300, 12.0), (1_700, 18.0), (4_900, 35.0)];

fn config(fill: FillStrategy) -> NormalizationConfig {
    let builder = NormalizationConfig::builder().interval(Duration::seconds(1));
    builder.fill_strategy(fill).build().unwrap()
}

async fn points(
    mut normalizer: TimeSeriesNormalizer,
    samples: &[(i64, f64)],
) -> Vec<NormalizedPoint> {
    for (ms, value) in samples {
        let at = time(0) + Duration::milliseconds(*ms);
        normalizer.process_event(at, *value).await.unwrap();
    }
    normalizer.normalize().await.unwrap()
}

/// Returns the values, rounded to two decimals.
fn rounded(points: &[NormalizedPoint]) -> Vec<Option<f64>> {
    let round = |value: f64| (value * 100.0).round() / 100.0;
    points.iter().map(|point| point.value.map(round)).collect()
}

#[tokio::test]
async fn figures_of_the_picture_are_computed() {
    let rounding =
        NormalizationConfig { alignment: AlignmentStrategy::Round, ..config(FillStrategy::Linear) };
    let normalizer = TimeSeriesNormalizer::new(rounding).with_reduce(Reduce::First);
    let found = points(normalizer, &PICTURE).await;
    let expected = [10.0, 14.0, 18.0, 23.67, 29.33, 35.0];
    assert_eq!(rounded(&found), expected.map(Some));
    let filled: Vec<bool> = found.iter().map(|point| point.filled).collect();
    assert_eq!(filled, [false, true, false, true, true, false]);

    let normalizer =
        TimeSeriesNormalizer::new(config(FillStrategy::Linear)).with_basis(Basis::Samples);
    let found = points(normalizer, &PICTURE).await;
    assert_eq!(rounded(&found), [10.0, 15.0, 19.59, 24.91, 30.22].map(Some));
}

#[tokio::test]
async fn each_strategy_fills_its_way() {
    let samples = [(0, 1.0), (1_000, 2.0), (4_000, 8.0), (5_000, 8.0)];
    for (fill, expected) in [
        (FillStrategy::Linear, [4.0, 6.0].map(Some)),
        (FillStrategy::ForwardFill, [2.0, 2.0].map(Some)),
        (FillStrategy::BackwardFill, [8.0, 8.0].map(Some)),
        (FillStrategy::ZeroFill, [0.0, 0.0].map(Some)),
        (FillStrategy::MeanFill, [5.0, 5.0].map(Some)),
        (FillStrategy::Polynomial { degree: 1 }, [4.0, 6.0].map(Some)),
        (FillStrategy::None, [None, None]),
    ] {
        let found = points(TimeSeriesNormalizer::new(config(fill)), &samples).await;
        assert_eq!(rounded(&found)[2..4], expected, "{fill:?}");
    }
    let spline = points(TimeSeriesNormalizer::new(config(FillStrategy::Spline)), &samples).await;
    let values: Vec<f64> = spline.iter().filter_map(|point| point.value).collect();
    assert_eq!(values.len(), 6);
    assert!(values.is_sorted() && values[2] > 2.0 && values[3] < 8.0, "{values:?}");
}

#[tokio::test]
async fn alignment_chooses_the_grid_point() {
    for (alignment, second) in
        [(AlignmentStrategy::Floor, 1), (AlignmentStrategy::Ceil, 2), (AlignmentStrategy::Round, 1)]
    {
        let config = NormalizationConfig { alignment, ..config(FillStrategy::Linear) };
        let found = points(TimeSeriesNormalizer::new(config), &[(1_400, 5.0)]).await;
        assert_eq!(found[0].timestamp, time(second), "{alignment:?}");
    }
}

#[tokio::test]
async fn stream_takes_points_as_they_become_certain() {
    let samples: Vec<_> = (0..200).map(|at: i64| (at * 777, (at * 13 % 29) as f64)).collect();
    let whole = points(TimeSeriesNormalizer::new(config(FillStrategy::Linear)), &samples).await;
    let mut normalizer = TimeSeriesNormalizer::new(config(FillStrategy::Linear));
    let mut taken = Vec::new();
    for (ms, value) in samples {
        let at = time(0) + Duration::milliseconds(ms);
        normalizer.process_event(at, value).await.unwrap();
        taken.extend(normalizer.take_certain());
    }
    assert!(taken.len() > 150);
    taken.extend(normalizer.normalize().await.unwrap());
    assert_eq!(taken, whole);
}

#[tokio::test]
async fn next_sample_after_the_end_begins_a_new_series() {
    let mut normalizer = TimeSeriesNormalizer::new(config(FillStrategy::Linear));
    for start in [0, 1_000_000] {
        for second in [0, 2] {
            normalizer.process_event(time(start + second), 1.0).await.unwrap();
        }
        let found = normalizer.normalize().await.unwrap();
        assert_eq!((found.len(), found[0].timestamp), (3, time(start)));
    }
    let stats = normalizer.stats();
    assert_eq!((stats.events, stats.rows, stats.filled), (4, 6, 2));
    assert!(normalizer.normalize().await.unwrap().is_empty());
}

#[tokio::test]
async fn samples_out_of_order_are_sorted_within_the_threshold() {
    let builder = NormalizationConfig::builder().interval(Duration::seconds(1));
    let config = builder.out_of_order_threshold(Duration::seconds(2)).build().unwrap();
    let samples = [(0, 1.0), (3_000, 4.0), (1_000, 2.0), (9_000, 9.0), (2_000, 7.0)];
    let mut normalizer = TimeSeriesNormalizer::new(config);
    for (ms, value) in samples {
        normalizer.process_event(time(0) + Duration::milliseconds(ms), value).await.unwrap();
    }
    let found = normalizer.normalize().await.unwrap();
    assert_eq!(rounded(&found)[..4], [1.0, 2.0, 3.0, 4.0].map(Some));
    assert_eq!(normalizer.stats().late_dropped, 1);
}

#[tokio::test]
async fn outliers_are_flagged_or_dropped() {
    let mut samples: Vec<_> = (0..50).map(|at: i64| (at * 1000, (at % 4) as f64)).collect();
    samples[40].1 = 500.0;
    for (action, value, outlier) in
        [(OutlierAction::Flag, 500.0, true), (OutlierAction::Drop, 2.0, true)]
    {
        let outliers = Outliers { zscore: 4.0, window: 30, action };
        let normalizer =
            TimeSeriesNormalizer::new(config(FillStrategy::Linear)).with_outliers(outliers);
        let found = points(normalizer, &samples).await;
        assert_eq!(found[40].value, Some(value), "{action:?}");
        assert_eq!(found[40].outlier, outlier && action == OutlierAction::Flag, "{action:?}");
    }
}

#[tokio::test]
async fn long_series_are_returned_whole() {
    let mut normalizer = TimeSeriesNormalizer::new(config(FillStrategy::ForwardFill));
    for hour in 0..50 {
        normalizer.process_event(time(hour * 3600), hour as f64).await.unwrap();
    }
    let found = normalizer.normalize().await.unwrap();
    assert_eq!(found.len(), 49 * 3600 + 1);
    assert_eq!(found[3599].value, Some(0.0));
}
