//! The configuration of a normalizer.

use chrono::Duration;

use crate::config::{count, duration, not_negative};
use crate::engine::spec::{self, OutOfOrderness, Stage};
use crate::engine::{PipelineSpec, SpecError};
use crate::error::Error;

/// The grid of a [`super::TimeSeriesNormalizer`], and how its points are filled.
///
/// The struct has exactly these fields for good. Everything else is a method of the normalizer.
/// ```
/// use processor::normalization::{AlignmentStrategy, NormalizationConfig};
/// use chrono::Duration;
///
/// let config = NormalizationConfig::builder().interval(Duration::seconds(1)).build()?;
/// assert_eq!(config.alignment, AlignmentStrategy::Floor);
/// assert_eq!(config.out_of_order_buffer_size, 1000);
/// let error = NormalizationConfig::builder().build().unwrap_err();
/// assert_eq!(error.code(), "invalid_pipeline");
/// # Ok::<(), processor::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalizationConfig {
    /// The distance between grid points, which are multiples of it since the epoch.
    pub interval: Duration,
    /// The grid point that a sample belongs to.
    pub alignment: AlignmentStrategy,
    /// The method that fills grid points without samples.
    pub fill_strategy: FillStrategy,
    /// The longest time between two known points that is filled. In longer gaps, points have no
    /// value. `None`: gaps of any length are filled.
    pub max_gap_duration: Option<Duration>,
    /// The number of grid points, or samples, that may be buffered. Beyond it, the oldest point is
    /// completed early.
    pub out_of_order_buffer_size: usize,
    /// The longest time by which a sample may be behind the latest one and still count.
    pub out_of_order_threshold: Duration,
}

impl NormalizationConfig {
    /// Returns a builder: the defaults are floor, linear, gaps of any length, 1,000 and 0 s.
    #[must_use]
    pub fn builder() -> NormalizationConfigBuilder {
        NormalizationConfigBuilder::default()
    }

    /// Returns the pipeline that normalizes by this configuration.
    pub(super) fn pipeline(&self) -> Result<PipelineSpec, SpecError> {
        let (fill, degree) = self.fill_strategy.options();
        let gap = |gap: &Duration| duration("stages[0].max_gap", *gap);
        let stage = spec::Normalize {
            interval: spec::Interval::Every(duration("stages[0].interval", self.interval)?),
            offset: spec::Duration::default(),
            align: Some(self.alignment.option()),
            basis: spec::Basis::default(),
            reduce: None,
            fill: Some(fill),
            degree,
            max_gap: self.max_gap_duration.as_ref().map(gap).transpose()?,
            max_buffered: count("stages[0].max_buffered", self.out_of_order_buffer_size)?,
            outliers: None,
            fields: Vec::new(),
        };
        let bound = not_negative("time.max_out_of_orderness", self.out_of_order_threshold)?;
        let time = spec::Time {
            max_out_of_orderness: OutOfOrderness::Bounded(bound),
            ..spec::Time::default()
        };
        let value = spec::Names(vec!["value".to_owned()]);
        let source = spec::Source { value, ..spec::Source::default() };
        let stages = vec![Stage::Normalize(stage)];
        Ok(PipelineSpec { source, time, stages, ..PipelineSpec::default() })
    }
}

/// Builds a [`NormalizationConfig`]. Only the interval has no default.
#[derive(Debug, Clone, Default)]
pub struct NormalizationConfigBuilder {
    interval: Option<Duration>,
    alignment: AlignmentStrategy,
    fill_strategy: FillStrategy,
    max_gap_duration: Option<Duration>,
    out_of_order_buffer_size: Option<usize>,
    out_of_order_threshold: Duration,
}

impl NormalizationConfigBuilder {
    /// Sets the distance between grid points.
    #[must_use]
    pub fn interval(self, interval: Duration) -> Self {
        Self { interval: Some(interval), ..self }
    }

    /// Sets the grid point that a sample belongs to.
    #[must_use]
    pub fn alignment(self, alignment: AlignmentStrategy) -> Self {
        Self { alignment, ..self }
    }

    /// Sets the method that fills grid points without samples.
    #[must_use]
    pub fn fill_strategy(self, fill_strategy: FillStrategy) -> Self {
        Self { fill_strategy, ..self }
    }

    /// Sets the longest time that is filled.
    #[must_use]
    pub fn max_gap_duration(self, max_gap: impl Into<Option<Duration>>) -> Self {
        Self { max_gap_duration: max_gap.into(), ..self }
    }

    /// Sets the number of grid points, or samples, that may be buffered.
    #[must_use]
    pub fn out_of_order_buffer_size(self, size: usize) -> Self {
        Self { out_of_order_buffer_size: Some(size), ..self }
    }

    /// Sets how far a sample may be behind the latest one.
    #[must_use]
    pub fn out_of_order_threshold(self, threshold: Duration) -> Self {
        Self { out_of_order_threshold: threshold, ..self }
    }

    /// Returns the configuration.
    ///
    /// # Errors
    /// [`Error::Spec`] if the interval is missing, or an option is out of its range.
    pub fn build(self) -> Result<NormalizationConfig, Error> {
        let missing = || {
            let message = "missing: set the distance between grid points with interval(…)";
            SpecError::new("stages[0].interval", message)
        };
        let config = NormalizationConfig {
            interval: self.interval.ok_or_else(missing)?,
            alignment: self.alignment,
            fill_strategy: self.fill_strategy,
            max_gap_duration: self.max_gap_duration,
            out_of_order_buffer_size: self.out_of_order_buffer_size.unwrap_or(1000),
            out_of_order_threshold: self.out_of_order_threshold,
        };
        crate::engine::Plan::new(&config.pipeline()?)?;
        Ok(config)
    }
}

/// The grid point that a sample belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum AlignmentStrategy {
    /// The preceding one.
    #[default]
    Floor,
    /// The following one.
    Ceil,
    /// The nearest one; the following one in the middle between two.
    Round,
}

impl AlignmentStrategy {
    fn option(self) -> spec::Align {
        match self {
            Self::Floor => spec::Align::Floor,
            Self::Ceil => spec::Align::Ceil,
            Self::Round => spec::Align::Round,
        }
    }
}

/// The method that fills grid points between two known points.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FillStrategy {
    /// By the straight line between the two: continuous metrics.
    #[default]
    Linear,
    /// With the preceding value: discrete states.
    ForwardFill,
    /// With the following value: batch processing.
    BackwardFill,
    /// With zero: counts of events.
    ZeroFill,
    /// With the mean of the two: noisy data.
    MeanFill,
    /// By the polynomial of this degree, from 1 to 9, through the nearest known points: scientific
    /// data.
    Polynomial {
        /// The degree.
        degree: u8,
    },
    /// By a monotone cubic (PCHIP), which never overshoots: smooth curves.
    Spline,
    /// Not at all: the points have no value.
    None,
}

impl FillStrategy {
    /// Returns the option of the engine, and its degree.
    fn options(self) -> (spec::Fill, Option<u32>) {
        match self {
            Self::Linear => (spec::Fill::Linear, None),
            Self::ForwardFill => (spec::Fill::Forward, None),
            Self::BackwardFill => (spec::Fill::Backward, None),
            Self::ZeroFill => (spec::Fill::Zero, None),
            Self::MeanFill => (spec::Fill::Mean, None),
            Self::Polynomial { degree } => (spec::Fill::Polynomial, Some(degree.into())),
            Self::Spline => (spec::Fill::Spline, None),
            Self::None => (spec::Fill::None, None),
        }
    }
}
