//! The processor: takes events, and gives the results of windows as a stream.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use chrono::{DateTime, Utc};
use futures_core::Stream;

use crate::engine::spec::{Stage, Window};
use crate::engine::{PipelineSpec, SpecError};
use crate::engines::{Engines, Setup};
use crate::error::Error;
use crate::result::WindowResult;
use crate::stats::{LatencyHistogram, ProcessorStats};
use crate::time::{date_time, micros};

/// Aggregates events by key and window.
///
/// Events go in with [`StreamProcessor::process_event`]; results come out of the stream that
/// [`StreamProcessor::results`] returns. A window fires when the watermark passes its end.
/// [`StreamProcessor::finish`] fires all open windows and ends the stream of results. All methods
/// except `results` take `&self`: tasks share a processor in an [`Arc`].
/// ```
/// use processor::{StreamProcessorBuilder, aggregation::CompositeAggregator};
/// use chrono::{DateTime, Duration};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> anyhow::Result<()> {
/// let mut processor = StreamProcessorBuilder::new().build_tumbling(Duration::minutes(5), |_key: &str| {
///     let mut aggregator = CompositeAggregator::new();
///     aggregator.add_count("requests").add_avg("latency");
///     aggregator
/// });
/// let mut results = processor.results().unwrap();
/// let noon: DateTime<chrono::Utc> = "2024-05-01T12:00:00Z".parse()?;
/// for (seconds, latency) in [(1, 120.0), (2, 130.0), (400, 90.0)] {
///     processor.process_event("api", noon + Duration::seconds(seconds), latency).await?;
/// }
/// processor.finish().await?;
/// let first = results.next().await.unwrap();
/// assert_eq!((first.key.as_str(), first.event_count), ("api", 2));
/// assert_eq!(first.results.get("latency"), Some(125.0));
/// assert_eq!(results.next().await.unwrap().results.get("latency"), Some(90.0));
/// assert!(results.next().await.is_none());
/// # Ok(()) }
/// ```
///
/// Without a reader, `process_event` does not wait: at `result_buffer_size` results it returns
/// [`Error::ResultsFull`], and the event is not taken. Results are discarded once their stream was
/// dropped. Dropping the processor ends the stream of results without firing open windows.
pub struct StreamProcessor {
    shared: Arc<Shared>,
    /// The pipeline for other runtimes, or why there is none.
    spec: Result<Option<PipelineSpec>, SpecError>,
}

struct Shared {
    state: Mutex<State>,
}

struct State {
    /// `None` if the pipeline is invalid.
    engines: Option<Engines>,
    latencies: LatencyHistogram,
    reader: Reader,
    /// Tasks that wait for room for results.
    room: Vec<Waker>,
    /// True if the processor was dropped: no events come any more.
    is_closed: bool,
}

/// The reader of the results.
enum Reader {
    /// [`StreamProcessor::results`] was not called yet.
    NotTaken,
    /// The stream exists; the waker of its task, if it waits.
    Reading(Option<Waker>),
    /// The stream was dropped: results are discarded.
    Dropped,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the reader's waker if there is something for it; discards results without a reader.
    fn wake_reader(&mut self) -> Option<Waker> {
        let engines = self.engines.as_mut()?;
        match &mut self.reader {
            Reader::Reading(waker @ Some(_)) if engines.has_results() || engines.is_ended() => {
                waker.take()
            }
            Reader::Dropped => {
                while engines.next_result().is_some() {}
                None
            }
            _ => None,
        }
    }
}

impl StreamProcessor {
    /// Creates a processor, or one that returns the error of `setup` from every call.
    pub(crate) fn new(setup: Result<Setup, SpecError>) -> Self {
        match setup.map_err(Error::from).and_then(Engines::open) {
            Ok((engines, spec)) => Self::with(Some(engines), Ok(spec)),
            Err(Error::Spec(error)) => Self::with(None, Err(error)),
            Err(error) => Self::with(None, Err(SpecError::new("", error.to_string()))),
        }
    }

    pub(crate) fn restore(setup: Setup, snapshot: &[u8]) -> Result<Self, Error> {
        let (engines, spec) = Engines::restore(setup, snapshot)?;
        Ok(Self::with(Some(engines), Ok(Some(spec))))
    }

    fn with(engines: Option<Engines>, spec: Result<Option<PipelineSpec>, SpecError>) -> Self {
        let state = State {
            engines,
            latencies: LatencyHistogram::new(),
            reader: Reader::NotTaken,
            room: Vec::new(),
            is_closed: false,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state) }), spec }
    }

    /// Processes one event: a value of `key` at `timestamp`. Times finer than a microsecond are
    /// rounded down.
    ///
    /// # Errors
    /// [`Error::Spec`] if [`StreamProcessor::check`] does. [`Error::Key`] if the key is longer than
    /// `limits.max_key_bytes` or its aggregator is wrong. [`Error::ResultsFull`] if the event is not
    /// taken because results wait, [`Error::Rejected`]
    /// for a value that is not finite, [`Error::Engine`] after [`StreamProcessor::finish`].
    pub async fn process_event(
        &self,
        key: impl Into<String>,
        timestamp: DateTime<Utc>,
        value: f64,
    ) -> Result<(), Error> {
        let start = Instant::now();
        let key = key.into();
        self.run(|engines, latencies| {
            let result = engines.push(&key, micros(timestamp), value);
            let elapsed = start.elapsed().as_nanos();
            latencies.record(u64::try_from(elapsed).unwrap_or(u64::MAX));
            result
        })
    }

    /// Processes events in order, faster than one by one.
    ///
    /// # Errors
    /// As for [`StreamProcessor::process_event`]. [`Error::ResultsFull`] and [`Error::Key`] say how
    /// many events were taken: continue with the rest. If a value is not finite, no event is taken.
    pub async fn process_events<K: AsRef<str>>(
        &self,
        events: &[(K, DateTime<Utc>, f64)],
    ) -> Result<(), Error> {
        self.run(|engines, _| engines.push_all(events))
    }

    /// Returns the stream of results the first time, then `None`.
    pub fn results(&mut self) -> Option<WindowResults> {
        let mut state = self.shared.lock();
        match state.reader {
            Reader::NotTaken => {
                state.reader = Reader::Reading(None);
                Some(WindowResults { shared: Arc::clone(&self.shared) })
            }
            _ => None,
        }
    }

    /// Waits until there is room for results.
    ///
    /// # Errors
    /// As for [`StreamProcessor::check`].
    pub async fn ready(&self) -> Result<(), Error> {
        self.check()?;
        poll_fn(|context| {
            let mut state = self.shared.lock();
            if state.engines.as_ref().is_none_or(Engines::has_room) {
                return Poll::Ready(());
            }
            if !state.room.iter().any(|waker| waker.will_wake(context.waker())) {
                state.room.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
        Ok(())
    }

    /// Moves the watermark forward to `to`, for sources that know the time without events. Does
    /// nothing if that is not forward.
    ///
    /// # Errors
    /// As for [`StreamProcessor::check`], and [`Error::ResultsFull`]: read results, then call again.
    pub async fn advance_watermark(&self, to: DateTime<Utc>) -> Result<(), Error> {
        self.run(|engines, _| engines.advance(micros(to)))
    }

    /// Sets the time of the host, for options of [`crate::engine::spec::Time`] that depend on it:
    /// silence and events from the future. It never moves back.
    ///
    /// # Errors
    /// As for [`StreamProcessor::advance_watermark`].
    pub async fn tick(&self, now: DateTime<Utc>) -> Result<(), Error> {
        self.run(|engines, _| engines.tick(micros(now)))
    }

    /// Returns the earliest time at which [`StreamProcessor::tick`] has an effect; `None` if
    /// nothing waits for it.
    #[must_use]
    pub fn next_deadline(&self) -> Option<DateTime<Utc>> {
        self.shared.lock().engines.as_ref()?.next_deadline().map(date_time)
    }

    /// Ends the stream: all open windows fire, and the stream of results ends after them.
    ///
    /// # Errors
    /// As for [`StreamProcessor::check`], and [`Error::ResultsFull`]: reading results continues to
    /// fire windows. Call again to learn when all have fired.
    pub async fn finish(&self) -> Result<(), Error> {
        self.run(|engines, _| engines.finish())
    }

    /// Returns the counters; those of zero for a processor that [`StreamProcessor::check`] refuses.
    pub async fn stats(&self) -> ProcessorStats {
        let mut state = self.shared.lock();
        let stats = state.engines.as_mut().map(Engines::stats).unwrap_or_default();
        let latencies = &state.latencies;
        ProcessorStats {
            latency_p50_ms: latencies.percentile_ms(50.0),
            latency_p95_ms: latencies.percentile_ms(95.0),
            latency_p99_ms: latencies.percentile_ms(99.0),
            latency_max_ms: latencies.max_ms(),
            ..stats
        }
    }

    /// Returns the whole state: open windows, results not taken, and counters without latencies.
    /// [`crate::StreamProcessorBuilder::restore`] continues from it.
    ///
    /// # Errors
    /// As for [`StreamProcessor::check`], [`Error::CustomState`] for aggregators of your own, and
    /// [`Error::Engine`] beyond `limits.max_snapshot_bytes`.
    pub async fn snapshot(&self) -> Result<Vec<u8>, Error> {
        self.run(|engines, _| engines.snapshot())
    }

    /// Checks the windows, the configuration and the aggregator of the key `""`.
    ///
    /// # Errors
    /// [`Error::Spec`] with the path of what is wrong.
    /// ```
    /// use processor::{StreamProcessorBuilder, aggregation::PercentileAggregator};
    /// use chrono::Duration;
    ///
    /// let processor = StreamProcessorBuilder::new()
    ///     .build_tumbling(Duration::minutes(5), |_key: &str| PercentileAggregator::new(101));
    /// let error = processor.check().unwrap_err();
    /// assert!(error.to_string().contains("101 is no percentile"));
    /// ```
    pub fn check(&self) -> Result<(), Error> {
        match &self.spec {
            Ok(_) => Ok(()),
            Err(error) => Err(error.clone().into()),
        }
    }

    /// Returns the pipeline that does the same in the program `stream-processor` and in JavaScript,
    /// with the aggregator of the key `""`. Returns `None` for aggregators of your own, and if
    /// [`StreamProcessor::check`] fails.
    #[must_use]
    pub fn spec(&self) -> Option<&PipelineSpec> {
        self.spec.as_ref().ok()?.as_ref()
    }

    /// Returns the windows of [`StreamProcessor::spec`], as
    /// [`crate::StreamProcessorBuilder::restore`] needs them.
    #[must_use]
    pub fn window(&self) -> Option<&Window> {
        match self.spec()?.stages.first()? {
            Stage::Window(window) => Some(window),
            _ => None,
        }
    }

    /// Calls `run` with the engines and the latencies, then wakes the reader if it has results.
    fn run<T>(
        &self,
        run: impl FnOnce(&mut Engines, &mut LatencyHistogram) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.check()?;
        let mut state = self.shared.lock();
        let State { engines, latencies, .. } = &mut *state;
        let Some(engines) = engines else { return Err(SpecError::new("", "no engine").into()) };
        let result = run(engines, latencies);
        let waker = state.wake_reader();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }
}

impl Drop for StreamProcessor {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_closed = true;
        let waker = match &mut state.reader {
            Reader::Reading(waker) => waker.take(),
            _ => None,
        };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl fmt::Debug for StreamProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamProcessor").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// The results of a [`StreamProcessor`], in a defined order: by the watermark at which they fire,
/// then by the end of the window, its start, and the key.
///
/// It is a [`Stream`] too, for the combinators of the crate futures. It ends after
/// [`StreamProcessor::finish`], or when the processor is dropped.
pub struct WindowResults {
    shared: Arc<Shared>,
}

impl WindowResults {
    /// Waits for the next result; `None` at the end.
    pub async fn next(&mut self) -> Option<WindowResult> {
        poll_fn(|context| self.poll(context)).await
    }

    /// Returns the next result, if one waits.
    pub fn try_next(&mut self) -> Option<WindowResult> {
        let mut state = self.shared.lock();
        let (result, room) = take(&mut state);
        drop(state);
        room.into_iter().for_each(Waker::wake);
        result
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Option<WindowResult>> {
        let mut state = self.shared.lock();
        let (result, room) = take(&mut state);
        let is_ended = state.is_closed || state.engines.as_ref().is_none_or(Engines::is_ended);
        let poll = match result {
            None if !is_ended => {
                state.reader = Reader::Reading(Some(context.waker().clone()));
                Poll::Pending
            }
            result => Poll::Ready(result),
        };
        drop(state);
        room.into_iter().for_each(Waker::wake);
        poll
    }
}

/// Takes the next result, and the wakers of the tasks that it makes room for.
fn take(state: &mut State) -> (Option<WindowResult>, Vec<Waker>) {
    let State { engines: Some(engines), room, .. } = state else { return (None, Vec::new()) };
    let result = engines.next_result();
    let woken = if engines.has_room() { std::mem::take(room) } else { Vec::new() };
    (result, woken)
}

impl Stream for WindowResults {
    type Item = WindowResult;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<WindowResult>> {
        self.poll(context)
    }
}

impl Drop for WindowResults {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.reader = Reader::Dropped;
        state.wake_reader();
        let room = std::mem::take(&mut state.room);
        drop(state);
        room.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for WindowResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowResults").finish_non_exhaustive()
    }
}
