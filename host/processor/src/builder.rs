//! The builder of a processor: configuration, windows and the aggregator of each key.

use chrono::Duration;

use crate::aggregation::Aggregator;
use crate::config::{StreamProcessorConfig, count, duration, not_negative};
use crate::engine::spec::{self, OutOfOrderness, Watermark, WindowKind};
use crate::engine::{PipelineSpec, SpecError};
use crate::engines::{Aggregators, Setup};
use crate::error::Error;
use crate::stream_processor::StreamProcessor;

/// The name of the key in pipelines and rows.
pub(crate) const KEY: &str = "key";
/// The name of the value in pipelines.
pub(crate) const VALUE: &str = "value";

/// Builds a [`StreamProcessor`].
///
/// Each `build_…` takes the windows and a factory, which returns the aggregator of a key. The
/// factory is asked once for each key, and once for the key `""` when the processor is built.
/// Values that an aggregator already has are ignored. A closure that is stored in a variable first
/// needs the type of its argument: `|key: &str|`.
///
/// Building never fails. If a size or an option is wrong, [`StreamProcessor::check`] and every call
/// return the error.
/// ```
/// use processor::{StreamProcessorBuilder, aggregation::CompositeAggregator};
/// use chrono::Duration;
///
/// let latency = |key: &str| {
///     let mut aggregator = CompositeAggregator::new();
///     aggregator.add_count("requests").add_p99("p99");
///     if key.starts_with("batch") {
///         aggregator.add_max("slowest");
///     }
///     aggregator
/// };
/// let processor = StreamProcessorBuilder::new()
///     .with_max_out_of_orderness(Duration::seconds(2))
///     .build_sliding(Duration::minutes(10), Duration::seconds(30), latency);
/// processor.check()?;
/// # Ok::<(), processor::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct StreamProcessorBuilder {
    config: Option<StreamProcessorConfig>,
    max_out_of_orderness: Option<Duration>,
    time: spec::Time,
    limits: Option<spec::Limits>,
}

impl StreamProcessorBuilder {
    /// Creates a builder with the defaults of [`StreamProcessorConfig`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets lateness, the interval of watermarks and the buffers.
    #[must_use]
    pub fn with_config(self, config: StreamProcessorConfig) -> Self {
        Self { config: Some(config), ..self }
    }

    /// Sets how far an event may be behind the greatest event time and still be on time: the
    /// disorder of the stream. Windows fire that much later. Default: 0.
    #[must_use]
    pub fn with_max_out_of_orderness(self, bound: Duration) -> Self {
        Self { max_out_of_orderness: Some(bound), ..self }
    }

    /// Sets the other options of event time. A `watermark` other than `bounded` takes precedence
    /// over `watermark_interval` of the configuration; `watermark_field` can be `value`.
    /// ```
    /// # use processor::{StreamProcessorBuilder, aggregation::CountAggregator};
    /// use processor::engine::spec::{Time, Watermark};
    /// use chrono::Duration;
    ///
    /// let time = Time { watermark: Watermark::Manual, ..Time::default() };
    /// let processor = StreamProcessorBuilder::new()
    ///     .with_time(time)
    ///     .build_tumbling(Duration::minutes(5), |_key: &str| CountAggregator::new());
    /// # processor.check()?;
    /// # Ok::<(), processor::Error>(())
    /// ```
    #[must_use]
    pub fn with_time(self, time: spec::Time) -> Self {
        Self { time, ..self }
    }

    /// Sets the limits of the engine. Keys whose aggregators have different outputs count
    /// separately. The configuration's `max_windows_per_key` takes precedence if it is set too;
    /// `result_buffer_size` always replaces `max_result_rows`.
    #[must_use]
    pub fn with_limits(self, limits: spec::Limits) -> Self {
        Self { limits: Some(limits), ..self }
    }

    /// Builds a processor with consecutive windows of one size.
    pub fn build_tumbling<A, F>(self, size: Duration, aggregator_factory: F) -> StreamProcessor
    where
        A: Aggregator,
        F: Fn(&str) -> A + Send + Sync + 'static,
    {
        let window = self.window(WindowKind::Tumbling, [("size", size)]);
        self.build(window, aggregator_factory)
    }

    /// Builds a processor with windows of one size that start every `slide`.
    pub fn build_sliding<A, F>(
        self,
        size: Duration,
        slide: Duration,
        aggregator_factory: F,
    ) -> StreamProcessor
    where
        A: Aggregator,
        F: Fn(&str) -> A + Send + Sync + 'static,
    {
        let window = self.window(WindowKind::Sliding, [("size", size), ("slide", slide)]);
        self.build(window, aggregator_factory)
    }

    /// Builds a processor with sessions: windows of events at most `gap` apart.
    pub fn build_session<A, F>(self, gap: Duration, aggregator_factory: F) -> StreamProcessor
    where
        A: Aggregator,
        F: Fn(&str) -> A + Send + Sync + 'static,
    {
        let window = self.window(WindowKind::Session, [("gap", gap)]);
        self.build(window, aggregator_factory)
    }

    /// Builds a processor with any windows of a pipeline: cumulating, count, global and calendar
    /// windows too. Lateness is that of `window`; its aggregations are replaced by those of the
    /// factory.
    /// ```
    /// # use processor::{StreamProcessorBuilder, aggregation::CountAggregator};
    /// let window = serde_json::from_str(r#"{"window": "count", "count": 100, "aggregations": []}"#)?;
    /// let processor = StreamProcessorBuilder::new()
    ///     .build_window(window, |_key: &str| CountAggregator::new());
    /// processor.check()?;
    /// # Ok::<(), anyhow::Error>(())
    /// ```
    pub fn build_window<A, F>(self, window: spec::Window, aggregator_factory: F) -> StreamProcessor
    where
        A: Aggregator,
        F: Fn(&str) -> A + Send + Sync + 'static,
    {
        self.build(Ok(window), aggregator_factory)
    }

    /// Builds a processor that continues from [`StreamProcessor::snapshot`]. The configuration, the
    /// windows and the factory must be those of the processor that was written. Sizes of windows
    /// are given as for [`StreamProcessorBuilder::build_window`]; [`StreamProcessor::window`]
    /// returns them.
    ///
    /// # Errors
    /// [`Error::Spec`] for wrong options, [`Error::OtherSnapshot`] for the snapshot of another
    /// processor, with the option that differs, [`Error::Engine`] for other bytes,
    /// [`Error::CustomState`] for aggregators of your own.
    pub fn restore<A, F>(
        self,
        window: spec::Window,
        aggregator_factory: F,
        snapshot: &[u8],
    ) -> Result<StreamProcessor, Error>
    where
        A: Aggregator,
        F: Fn(&str) -> A + Send + Sync + 'static,
    {
        let setup = self.setup(Ok(window), aggregator_factory)?;
        StreamProcessor::restore(setup, snapshot)
    }

    fn build<A, F>(self, window: Result<spec::Window, SpecError>, factory: F) -> StreamProcessor
    where
        A: Aggregator,
        F: Fn(&str) -> A + Send + Sync + 'static,
    {
        StreamProcessor::new(self.setup(window, factory))
    }

    fn setup<A, F>(
        self,
        window: Result<spec::Window, SpecError>,
        factory: F,
    ) -> Result<Setup, SpecError>
    where
        A: Aggregator,
        F: Fn(&str) -> A + Send + Sync + 'static,
    {
        let config = self.config.clone().unwrap_or_default();
        let buffer = count("config.result_buffer_size", config.result_buffer_size)?;
        let mut limits = self.limits.clone().unwrap_or_default();
        if self.config.is_some() || self.limits.is_none() {
            limits.max_windows_per_key =
                count("config.max_windows_per_key", config.max_windows_per_key)?;
            limits.on_max_windows_per_key = spec::LimitPolicy::Drop;
        }
        let source = spec::Source {
            key: spec::Names(vec![KEY.to_owned()]),
            value: spec::Names(vec![VALUE.to_owned()]),
            ..spec::Source::default()
        };
        let time = self.event_time(&config)?;
        let pipeline = PipelineSpec { source, time, limits, ..PipelineSpec::default() };
        Ok(Setup { pipeline, window: window?, aggregators: Aggregators::new(factory), buffer })
    }

    /// Returns the options of event time.
    fn event_time(&self, config: &StreamProcessorConfig) -> Result<spec::Time, SpecError> {
        let mut time = self.time.clone();
        if let Some(bound) = self.max_out_of_orderness {
            let bound = not_negative("time.max_out_of_orderness", bound)?;
            time.max_out_of_orderness = OutOfOrderness::Bounded(bound);
        }
        let interval = not_negative("config.watermark_interval", config.watermark_interval)?;
        if time.watermark == Watermark::Bounded && interval.as_micros() > 0 {
            time.watermark = Watermark::Periodic;
            time.watermark_interval = Some(interval);
        }
        if let Some(field) = time.watermark_field.as_deref().filter(|field| *field != VALUE) {
            let message = format!("`{field}`: events have one field that can mark them, `{VALUE}`");
            return Err(SpecError::new("time.watermark_field", message));
        }
        Ok(time)
    }

    /// Returns windows of `kind` with `sizes` by the name of the option.
    fn window<const N: usize>(
        &self,
        kind: WindowKind,
        sizes: [(&str, Duration); N],
    ) -> Result<spec::Window, SpecError> {
        let config = self.config.clone().unwrap_or_default();
        let mut window = spec::Window {
            window: kind,
            size: None,
            slide: None,
            gap: None,
            step: None,
            count: None,
            unit: None,
            zone: None,
            zone_offsets: None,
            zone_offsets_until: None,
            offset: spec::Duration::default(),
            field: None,
            aggregations: Vec::new(),
            allowed_lateness: config.allowed_lateness()?,
            emit: spec::Emit::Close,
            early: None,
            distinct_seed: None,
        };
        for (name, size) in sizes {
            let size = Some(duration(&format!("stages[0].{name}"), size)?);
            match name {
                "slide" => window.slide = size,
                "gap" => window.gap = size,
                _ => window.size = size,
            }
        }
        Ok(window)
    }
}
