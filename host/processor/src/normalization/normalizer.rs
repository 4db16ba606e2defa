//! The normalizer: one series, over the engine's stage `normalize`.

use std::fmt;

use chrono::{DateTime, Utc};

use super::NormalizationConfig;
use crate::engine::spec::{self, Stage};
use crate::engine::{
    Batch, Column, Engine, KeyColumn, Options, PipelineSpec, Progress, RejectReason, RowColumn,
    SpecError, StageStats,
};
use crate::error::Error;
use crate::time::{date_time, micros};

/// The number of points that are read from the engine at once.
const POINTS: usize = 4096;

/// Turns the irregular samples of one series into values at regular times.
///
/// [`TimeSeriesNormalizer::normalize`] returns a whole series. A stream takes its points with
/// [`TimeSeriesNormalizer::take_certain`] as they become certain; points not taken stay in memory.
/// Several metrics have a normalizer each, with their own strategies.
/// ```
/// use processor::normalization::{AlignmentStrategy, NormalizationConfig, TimeSeriesNormalizer};
/// use processor::engine::spec::Reduce;
/// use chrono::{DateTime, Duration, Utc};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> anyhow::Result<()> {
/// let config = NormalizationConfig::builder()
///     .interval(Duration::seconds(10))
///     .alignment(AlignmentStrategy::Round)
///     .build()?;
/// let mut normalizer = TimeSeriesNormalizer::new(config).with_reduce(Reduce::Mean);
/// let start = DateTime::<Utc>::UNIX_EPOCH;
/// for (second, value) in [(1, 4.0), (2, 6.0), (29, 11.0), (41, 9.0)] {
///     normalizer.process_event(start + Duration::seconds(second), value).await?;
/// }
/// let certain = normalizer.take_certain();
/// assert_eq!(certain[0].value, Some(5.0)); // the mean of 4 and 6
/// assert!(certain[1].filled);
/// let rest = normalizer.normalize().await?;
/// assert_eq!(rest.last().unwrap().value, Some(9.0));
/// # Ok(()) }
/// ```
pub struct TimeSeriesNormalizer {
    pipeline: Result<PipelineSpec, SpecError>,
    /// `None` before the first sample of a series.
    engine: Option<Engine>,
    points: Vec<NormalizedPoint>,
    /// The counters of earlier series.
    earlier: StageStats,
}

/// A value at a grid point.
///
/// ```
/// use processor::normalization::NormalizedPoint;
/// use chrono::DateTime;
///
/// let timestamp = DateTime::from_timestamp(60, 0).unwrap();
/// let point = NormalizedPoint { timestamp, value: Some(21.5), filled: false, outlier: false };
/// assert_eq!(point.value, Some(21.5));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormalizedPoint {
    /// The grid point.
    pub timestamp: DateTime<Utc>,
    /// The value; `None` in a gap that is not filled.
    pub value: Option<f64>,
    /// True if the value is computed from other points.
    pub filled: bool,
    /// True if the value is an outlier, with [`TimeSeriesNormalizer::with_outliers`].
    pub outlier: bool,
}

impl TimeSeriesNormalizer {
    /// Creates a normalizer. If the configuration is wrong, the first call says so.
    #[must_use]
    pub fn new(config: NormalizationConfig) -> Self {
        Self {
            pipeline: config.pipeline(),
            engine: None,
            points: Vec::new(),
            earlier: StageStats::default(),
        }
    }

    /// Sets the method that combines several samples on one grid point; default: the last one.
    #[must_use]
    pub fn with_reduce(self, reduce: spec::Reduce) -> Self {
        self.with(|stage| stage.reduce = Some(reduce))
    }

    /// Sets what values are computed from: samples moved to their grid points, or samples at their
    /// own times. Alignment and `with_reduce` apply to the former only.
    #[must_use]
    pub fn with_basis(self, basis: spec::Basis) -> Self {
        self.with(|stage| {
            stage.basis = basis;
            if basis == spec::Basis::Samples {
                stage.align = None;
            }
        })
    }

    /// Sets which values are outliers, and what happens to them.
    #[must_use]
    pub fn with_outliers(self, outliers: spec::Outliers) -> Self {
        self.with(|stage| stage.outliers = Some(outliers))
    }

    /// Processes a sample. Samples may be out of order by `out_of_order_threshold`; later ones are
    /// dropped and counted as `late_dropped`.
    ///
    /// # Errors
    /// [`Error::Spec`] for a wrong configuration, [`Error::Rejected`] for a value that is not
    /// finite.
    pub async fn process_event(
        &mut self,
        timestamp: DateTime<Utc>,
        value: f64,
    ) -> Result<(), Error> {
        if !value.is_finite() {
            return Err(Error::Rejected { reason: RejectReason::NonFinite });
        }
        let engine = open(&self.pipeline, &mut self.engine)?;
        let batch = Batch {
            timestamps: &[micros(timestamp)],
            keys: KeyColumn::Unkeyed,
            columns: &[Column::F64(&[value])],
            ..Batch::default()
        };
        let mut full = engine.push(&batch)?.full;
        while full {
            read(engine, &mut self.points);
            let columns = [Column::F64(&[])];
            full = engine.push(&Batch { columns: &columns, ..Batch::default() })?.full;
        }
        Ok(())
    }

    /// Returns the points that no later sample can change, and which were not taken yet.
    pub fn take_certain(&mut self) -> Vec<NormalizedPoint> {
        if let Some(engine) = &mut self.engine {
            read(engine, &mut self.points);
        }
        std::mem::take(&mut self.points)
    }

    /// Ends the series and returns all points that were not taken yet. The next sample begins a new
    /// series.
    ///
    /// # Errors
    /// [`Error::Spec`] for a wrong configuration.
    pub async fn normalize(&mut self) -> Result<Vec<NormalizedPoint>, Error> {
        let engine = open(&self.pipeline, &mut self.engine)?;
        while engine.finish()? == Progress::Full {
            read(engine, &mut self.points);
        }
        let points = self.take_certain();
        self.earlier = self.stats();
        self.engine = None;
        Ok(points)
    }

    /// Returns the counters of all series.
    #[must_use]
    pub fn stats(&self) -> StageStats {
        let stats = self.engine.as_ref().map(Engine::stats);
        let current = stats.and_then(|stats| stats.stages.first().cloned()).unwrap_or_default();
        let earlier = &self.earlier;
        let mut total = current;
        for (total, earlier) in [
            (&mut total.events, earlier.events),
            (&mut total.rows, earlier.rows),
            (&mut total.late_dropped, earlier.late_dropped),
            (&mut total.filled, earlier.filled),
            (&mut total.outliers, earlier.outliers),
            (&mut total.fill_limit, earlier.fill_limit),
            (&mut total.buffer_limit, earlier.buffer_limit),
        ] {
            *total += earlier;
        }
        total
    }

    /// Changes the options of the stage.
    fn with(mut self, change: impl FnOnce(&mut spec::Normalize)) -> Self {
        if let Ok(PipelineSpec { stages, .. }) = &mut self.pipeline
            && let Some(Stage::Normalize(stage)) = stages.first_mut()
        {
            change(stage);
        }
        self
    }
}

/// Returns the engine of the current series, which is opened if it has none.
fn open<'a>(
    pipeline: &Result<PipelineSpec, SpecError>,
    engine: &'a mut Option<Engine>,
) -> Result<&'a mut Engine, Error> {
    match engine {
        Some(engine) => Ok(engine),
        None => {
            let pipeline = pipeline.as_ref().map_err(|error| error.clone())?;
            Ok(engine.insert(Engine::open(pipeline, Options::default())?))
        }
    }
}

/// Appends all waiting points to `points`.
fn read(engine: &mut Engine, points: &mut Vec<NormalizedPoint>) {
    while let Some(rows) = engine.poll(POINTS) {
        let column = |name: &str| rows.column(name);
        let (times, values) = (column("ts"), column("value"));
        let (filled, outliers) = (column("filled"), column("outlier"));
        let flag = |column: Option<RowColumn<'_>>, row: usize| matches!(column, Some(RowColumn::Bool(flags)) if flags.get(row) == Some(&1));
        points.extend((0..rows.len()).filter_map(|row| {
            Some(NormalizedPoint {
                timestamp: date_time(times?.get(row)?.as_time()?),
                value: values?.get(row)?.as_f64(),
                filled: flag(filled, row),
                outlier: flag(outliers, row),
            })
        }));
    }
}

impl fmt::Debug for TimeSeriesNormalizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeSeriesNormalizer")
            .field("pipeline", &self.pipeline)
            .field("points", &self.points.len())
            .finish_non_exhaustive()
    }
}
