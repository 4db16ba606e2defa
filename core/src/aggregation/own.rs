//! Aggregators that programs bring: their trait, and the factory that windows use.

use core::any::Any;
use core::fmt;
use std::sync::Arc;

/// An aggregation of a program's own, which windows run like those of the engine.
///
/// The engine keeps one value for each key in each slice, window or session, and merges them where
/// windows slide, sessions meet, or late events correct a window. It adds values and merges in the
/// same order as for its own aggregations.
/// ```
/// use stream_processor_core::aggregation::{Aggregator, AggregatorFactory};
/// use stream_processor_core::{BatchBuilder, Engine, Options, PipelineSpec};
///
/// #[derive(Clone, Default)]
/// struct GeometricMean { logs: f64, count: u32 }
///
/// impl Aggregator for GeometricMean {
///     fn update(&mut self, value: f64) {
///         self.logs += value.log2();
///         self.count += 1;
///     }
///     fn merge(&mut self, later: &Self) {
///         self.logs += later.logs;
///         self.count += later.count;
///     }
///     fn results(&self, add: &mut dyn FnMut(&str, Option<f64>)) {
///         let mean = (self.count > 0).then(|| (self.logs / f64::from(self.count)).exp2());
///         add("geometric_mean", mean);
///     }
/// }
///
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "sliding", "size": "10s", "slide": "5s",
///       "aggregations": []}]}"#)?;
/// let factory = AggregatorFactory::new(&GeometricMean::default(), |_key| GeometricMean::default());
/// let mut engine = Engine::open_with(&spec, Options::default(), factory)?;
/// let mut events = BatchBuilder::new(engine.plan());
/// events.push(1_000_000, "api", &[2.0])?;
/// events.push(7_000_000, "api", &[8.0])?;
/// events.push(12_000_000, "api", &[1.0])?;
/// events.push_to(&mut engine)?;
/// let rows = engine.poll(10).expect("two windows");
/// assert_eq!(rows.number(1, "geometric_mean"), Some(4.0));
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
pub trait Aggregator: Clone + Send + Sync + 'static {
    /// Adds a value, which is finite.
    fn update(&mut self, value: f64);

    /// Merges `later`, as if its values came after those here.
    fn merge(&mut self, later: &Self);

    /// Passes the name and the result of each output to `add`; `None` is a result that is
    /// undefined. Names and their order must always be those of the factory's first value.
    fn results(&self, add: &mut dyn FnMut(&str, Option<f64>));
}

/// Makes the aggregators of a window, one for each key in each slice, window or session. See
/// [`Aggregator`] for an example.
/// ```
/// use stream_processor_core::aggregation::{Aggregator, AggregatorFactory};
///
/// #[derive(Clone, Default)]
/// struct Product(f64);
///
/// impl Aggregator for Product {
///     fn update(&mut self, value: f64) {
///         self.0 *= value;
///     }
///     fn merge(&mut self, later: &Self) {
///         self.0 *= later.0;
///     }
///     fn results(&self, add: &mut dyn FnMut(&str, Option<f64>)) {
///         add("product", Some(self.0));
///     }
/// }
///
/// let factory = AggregatorFactory::new(&Product(1.0), |_key| Product(1.0));
/// assert_eq!(factory.names().collect::<Vec<_>>(), ["product"]);
/// ```
pub struct AggregatorFactory(Box<dyn OwnColumn>);

impl AggregatorFactory {
    /// Creates a factory. `first` names the outputs, which become columns of the rows. `make` gets
    /// the encoded key ([`crate::key::text`] returns it as text).
    pub fn new<A: Aggregator>(
        first: &A,
        make: impl Fn(&[u8]) -> A + Send + Sync + 'static,
    ) -> Self {
        let mut names = Vec::new();
        first.results(&mut |name, _| names.push(name.to_owned()));
        let (names, make) = (names.into(), Arc::new(make));
        Self(Box::new(Aggregators { names, make, slots: Vec::new(), results: Vec::new() }))
    }

    /// Returns the names of the outputs.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.names().iter().map(String::as_str)
    }

    /// Returns a column without slots.
    pub(crate) fn into_column(self) -> Box<dyn OwnColumn> {
        self.0
    }
}

impl Clone for AggregatorFactory {
    fn clone(&self) -> Self {
        Self(self.0.empty(0))
    }
}

impl fmt::Debug for AggregatorFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregatorFactory").field("names", &self.0.names()).finish_non_exhaustive()
    }
}

/// The aggregators of all slots of a stage. A call covers a whole batch, so that the loops inside
/// know the type of the aggregators.
pub(crate) trait OwnColumn: Send + Sync {
    fn names(&self) -> &[String];

    /// Returns the number of slots.
    fn slots(&self) -> usize;

    fn as_any(&self) -> &dyn Any;

    /// Returns a column of `slots` empty slots.
    fn empty(&self, slots: usize) -> Box<dyn OwnColumn>;

    /// Returns copies of `slots`, renumbered from 0.
    fn pick(&self, slots: &[u32]) -> Box<dyn OwnColumn>;

    /// Empties `slot`, appending it if it is the next one.
    fn reset(&mut self, slot: usize);

    /// Makes the aggregators of those of `slots` that are empty; `keys` has the encoded key of each.
    fn open(&mut self, slots: &[u32], keys: &mut dyn Iterator<Item = &[u8]>);

    /// Adds each of `values` that is not missing to its slot.
    fn add(&mut self, slots: &[u32], values: &[f64]);

    /// Merges slot i of `later`, a column of the same factory, into `slots[i]`.
    fn merge(&mut self, slots: &[u32], later: &dyn OwnColumn);

    /// Merges slot `later` into `slot` and empties it.
    fn join(&mut self, slot: usize, later: usize);

    /// Computes the results of `slots`.
    fn seal(&mut self, slots: &[u32]);

    /// Returns the result of output `output` of the sealed `slot`; NaN stands for null.
    fn result(&self, output: usize, slot: usize) -> f64;
}

struct Aggregators<A, F> {
    names: Arc<[String]>,
    make: Arc<F>,
    /// `None` before the first event.
    slots: Vec<Option<A>>,
    /// The results of slot 0, then those of slot 1, as far as sealed.
    results: Vec<f64>,
}

impl<A: Aggregator, F: Fn(&[u8]) -> A + Send + Sync + 'static> Aggregators<A, F> {
    fn with_slots(&self, slots: Vec<Option<A>>) -> Box<dyn OwnColumn> {
        let (names, make) = (Arc::clone(&self.names), Arc::clone(&self.make));
        Box::new(Self { names, make, slots, results: Vec::new() })
    }

    fn merge_into(&mut self, slot: usize, later: Option<&A>) {
        let (Some(slot), Some(later)) = (self.slots.get_mut(slot), later) else { return };
        match slot {
            Some(aggregator) => aggregator.merge(later),
            None => *slot = Some(later.clone()),
        }
    }
}

impl<A: Aggregator, F: Fn(&[u8]) -> A + Send + Sync + 'static> OwnColumn for Aggregators<A, F> {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn slots(&self) -> usize {
        self.slots.len()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn empty(&self, slots: usize) -> Box<dyn OwnColumn> {
        self.with_slots(vec![None; slots])
    }

    fn pick(&self, slots: &[u32]) -> Box<dyn OwnColumn> {
        let copy = |slot: &u32| self.slots.get(*slot as usize).cloned().flatten();
        self.with_slots(slots.iter().map(copy).collect())
    }

    fn reset(&mut self, slot: usize) {
        match self.slots.get_mut(slot) {
            Some(aggregator) => *aggregator = None,
            None => self.slots.push(None),
        }
    }

    fn open(&mut self, slots: &[u32], keys: &mut dyn Iterator<Item = &[u8]>) {
        for (slot, key) in slots.iter().zip(keys) {
            if let Some(aggregator @ None) = self.slots.get_mut(*slot as usize) {
                *aggregator = Some((self.make)(key));
            }
        }
    }

    fn add(&mut self, slots: &[u32], values: &[f64]) {
        for (slot, value) in slots.iter().zip(values) {
            if let Some(Some(aggregator)) = self.slots.get_mut(*slot as usize)
                && !value.is_nan()
            {
                aggregator.update(*value);
            }
        }
    }

    fn merge(&mut self, slots: &[u32], later: &dyn OwnColumn) {
        let Some(later) = later.as_any().downcast_ref::<Self>() else { return };
        for (slot, later) in slots.iter().zip(&later.slots) {
            self.merge_into(*slot as usize, later.as_ref());
        }
    }

    fn join(&mut self, slot: usize, later: usize) {
        let moved = self.slots.get_mut(later).and_then(Option::take);
        self.merge_into(slot, moved.as_ref());
    }

    fn seal(&mut self, slots: &[u32]) {
        let names = &self.names;
        self.results.resize(self.slots.len() * names.len(), f64::NAN);
        for slot in slots {
            let from = *slot as usize * names.len();
            let Some(results) = self.results.get_mut(from..from + names.len()) else { continue };
            results.fill(f64::NAN);
            let Some(Some(aggregator)) = self.slots.get(*slot as usize) else { continue };
            let mut next = 0;
            aggregator.results(&mut |name, result| {
                let is_next = names.get(next).is_some_and(|known| known == name);
                let place = if is_next { Some(next) } else { names.iter().position(|n| n == name) };
                next += 1;
                if let Some(entry) = place.and_then(|place| results.get_mut(place)) {
                    *entry = result.filter(|result| result.is_finite()).unwrap_or(f64::NAN);
                }
            });
        }
    }

    fn result(&self, output: usize, slot: usize) -> f64 {
        self.results.get(slot * self.names.len() + output).copied().unwrap_or(f64::NAN)
    }
}
