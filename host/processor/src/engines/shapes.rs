//! Shapes: the outputs of aggregators, and which one a key has.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::aggregation::Aggregator;
use crate::engine::aggregation::AggregatorFactory;
use crate::engine::spec::Aggregation;
use crate::engine::{self, SpecError, key};

/// Maximum length of a key in bytes, whatever `limits.max_key_bytes` is.
pub(super) const MAX_KEY_BYTES: usize = 16 << 20;

/// The aggregations of the engine that an aggregator stands for, with their names.
pub(crate) type Shape = Vec<Aggregation>;

/// Returns the shape of the aggregator of a key; `None` for a program's own aggregators.
type ShapeOf = dyn Fn(&str) -> Option<Result<Shape, SpecError>> + Send + Sync;

/// The aggregators of a processor, whatever their type.
pub(crate) struct Aggregators {
    shape_of: Box<ShapeOf>,
    /// The shape of the key `""`.
    first: Option<Result<Shape, SpecError>>,
    /// Makes a program's own aggregators; `None` for those of the engine.
    own: Option<AggregatorFactory>,
}

impl Aggregators {
    pub(crate) fn new<A, F>(factory: F) -> Self
    where
        A: Aggregator,
        F: Fn(&str) -> A + Send + Sync + 'static,
    {
        let aggregator = factory("");
        let first = aggregator.operations();
        if first.is_none() {
            let make = move |key: &[u8]| Own(factory(&key::text(key)));
            let own = Some(AggregatorFactory::new(&Own(aggregator), make));
            return Self { shape_of: Box::new(|_| None), first, own };
        }
        Self { shape_of: Box::new(move |key| factory(key).operations()), first, own: None }
    }

    /// Returns the shape of the key `""`; `None` for a program's own aggregators.
    pub(super) fn first(&self) -> Option<Result<Shape, SpecError>> {
        self.first.clone()
    }

    /// Returns the shape of the aggregator of `key`; `None` for a program's own aggregators.
    pub(super) fn shape_of(&self, key: &str) -> Option<Result<Shape, SpecError>> {
        (self.shape_of)(key)
    }

    /// Returns the factory of a program's own aggregators.
    pub(super) fn own(&self) -> Option<&AggregatorFactory> {
        self.own.as_ref()
    }
}

/// An aggregator of the program, for the engine.
#[derive(Clone)]
struct Own<A>(A);

impl<A: Aggregator> engine::aggregation::Aggregator for Own<A> {
    fn update(&mut self, value: f64) {
        self.0.update(value);
    }

    fn merge(&mut self, later: &Self) {
        self.0.merge(&later.0);
    }

    fn results(&self, add: &mut dyn FnMut(&str, Option<f64>)) {
        let results = self.0.results();
        results.iter().for_each(|(name, value)| add(name, value));
    }
}

/// The engine of each key, by the shape of its aggregator. At `max_keys` keys, all are forgotten:
/// the factory is then asked again.
pub(super) struct KeyShapes {
    engines: HashMap<Box<str>, u32, RandomState>,
    max_keys: usize,
}

impl KeyShapes {
    pub(super) fn new(max_keys: u32) -> Self {
        Self { engines: HashMap::default(), max_keys: max_keys as usize }
    }

    /// Returns the index of the engine of `key`, if the key is known.
    #[inline]
    pub(super) fn get(&self, key: &str) -> Option<usize> {
        self.engines.get(key).map(|index| *index as usize)
    }

    pub(super) fn insert(&mut self, key: &str, engine: usize) {
        if self.engines.len() >= self.max_keys {
            self.engines.clear();
        }
        self.engines.insert(key.into(), u32::try_from(engine).unwrap_or(u32::MAX));
    }
}
