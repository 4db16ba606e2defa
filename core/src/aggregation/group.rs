//! The aggregations of one group of values.

use core::fmt;

use crate::aggregates::Accumulators;
use crate::data::frame::{Order, Ordinals};
use crate::data::stats::StageStats;
use crate::error::{Error, SnapshotError};
use crate::plan::group_outputs;
use crate::snapshot::{Kind, SectionReader, read_section, write_section};
use crate::spec::{Aggregation, Limits, SpecError};

/// The number of values that are collected before the accumulators take them: their loops cost
/// less per value than a call.
const MAX_PENDING: usize = 128;

/// The slot of the accumulators that a group uses.
const SLOT: [u32; MAX_PENDING] = [0; MAX_PENDING];
/// Equal times and ordinals: the order of calls decides what is first and last.
const TIMES: [i64; MAX_PENDING] = [0; MAX_PENDING];
const ORDINALS: [u64; MAX_PENDING] = [0; MAX_PENDING];

/// The aggregations of one group of values.
///
/// Results are bit by bit those of a window with the same values in the same order. `first` and
/// `last` go by the order of calls.
/// ```
/// use stream_processor_core::aggregation::Group;
/// use stream_processor_core::spec::Aggregation;
///
/// let aggregations: Vec<Aggregation> = serde_json::from_str(r#"["count", "avg", "p95"]"#).unwrap();
/// let mut group = Group::new(&aggregations)?;
/// for value in [31.0, 45.0, 28.0] {
///     group.update(value);
/// }
/// let mut other = Group::new(&aggregations)?;
/// other.update(16.0);
/// group.merge(&other)?;
/// assert_eq!(group.result(1), Some(30.0));
/// let named: Vec<_> = group.names().zip(group.results()).collect();
/// assert_eq!(named[0], ("count", Some(4.0)));
/// # Ok::<(), stream_processor_core::SpecError>(())
/// ```
#[derive(Clone)]
pub struct Group {
    aggregations: Vec<Aggregation>,
    names: Vec<String>,
    accumulators: Accumulators,
    /// Values that the accumulators have not taken yet, and room for more.
    pending: Vec<f64>,
    /// The number of values in `pending`.
    waiting: usize,
}

impl Group {
    /// Creates an empty group.
    ///
    /// # Errors
    /// Returns an error if two aggregations have one name, if an option does not apply to its
    /// operation, if an aggregation names a field, and for `rate`, which needs a window.
    /// ```
    /// use stream_processor_core::{aggregation::Group, spec::Operation};
    /// assert!(Group::new(&[Operation::Rate.into()]).is_err());
    /// ```
    pub fn new(aggregations: &[Aggregation]) -> Result<Self, SpecError> {
        let (outputs, names) = group_outputs(aggregations)?;
        let mut accumulators = Accumulators::new(&outputs, 1, Limits::default().max_values);
        accumulators.reset(0);
        let aggregations = aggregations.to_vec();
        Ok(Self { aggregations, names, accumulators, pending: Vec::new(), waiting: 0 })
    }

    /// Adds a value. Skips NaN and the infinities, which the engine rejects.
    #[inline]
    pub fn update(&mut self, value: f64) {
        if value.is_finite() {
            match self.pending.get_mut(self.waiting) {
                Some(place) => {
                    *place = value;
                    self.waiting += 1;
                }
                None => self.update_slowly(value),
            }
        }
    }

    /// Merges `later`, whose values count as the later ones.
    ///
    /// # Errors
    /// Returns an error if the groups have different aggregations; nothing is merged then.
    pub fn merge(&mut self, later: &Self) -> Result<(), SpecError> {
        if self.aggregations != later.aggregations {
            let message = "the groups have different aggregations: merge groups of the same ones";
            return Err(SpecError::new("aggregations", message));
        }
        self.flush();
        if later.waiting == 0 {
            self.accumulators.merge(&[0], &later.accumulators);
        } else {
            self.accumulators.merge(&[0], &later.flushed());
        }
        Ok(())
    }

    /// Removes all values.
    pub fn reset(&mut self) {
        self.waiting = 0;
        self.accumulators.reset(0);
    }

    /// Returns the number of aggregations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Returns whether there are no aggregations.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns the names of the aggregations in order: `name`, or that of the operation.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Returns the result of aggregation number `index`; `None` if it is undefined, as the mean of
    /// no values is, or if there is no such aggregation.
    #[must_use]
    pub fn result(&self, index: usize) -> Option<f64> {
        result(&self.sealed(), index)
    }

    /// Returns the results of all aggregations, in order. Costs about as much as one result.
    #[must_use]
    pub fn results(&self) -> Vec<Option<f64>> {
        let sealed = self.sealed();
        (0..self.len()).map(|index| result(&sealed, index)).collect()
    }

    /// Returns the state as bytes. Equal state gives equal bytes.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_section(&mut bytes, Kind::Group, |writer| {
            let identity = self.identity();
            writer.length(identity.len());
            writer.raw(&identity);
            self.flushed().save(&[0], writer);
        });
        bytes
    }

    /// Reads what [`Group::save`] returned for the same `aggregations`.
    /// ```
    /// use stream_processor_core::{aggregation::Group, spec::Operation};
    /// let mut group = Group::new(&[Operation::Sum.into()])?;
    /// group.update(2.0);
    /// let mut loaded = Group::load(&[Operation::Sum.into()], &group.save())?;
    /// loaded.update(3.0);
    /// assert_eq!(loaded.result(0), Some(5.0));
    /// let error = Group::load(&[Operation::Avg.into()], &group.save()).unwrap_err();
    /// assert_eq!(error.code(), "snapshot_other_pipeline");
    /// # Ok::<(), stream_processor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Group::new`], and [`Error::Snapshot`] for other bytes.
    pub fn load(aggregations: &[Aggregation], bytes: &[u8]) -> Result<Self, Error> {
        let mut group = Self::new(aggregations)?;
        let payload = read_section(bytes, Kind::Group, bytes.len() as u64)?;
        let mut reader = SectionReader::new(&payload);
        let length = reader.length()?;
        if reader.raw(length)? != group.identity() {
            return Err(SnapshotError::OtherPipeline.into());
        }
        group.accumulators.load(&[0], &mut reader)?;
        reader.end()?;
        Ok(group)
    }

    /// Returns what groups must agree on to exchange state.
    fn identity(&self) -> Vec<u8> {
        serde_json::to_vec(&self.aggregations).unwrap_or_default()
    }

    /// Adds a value that finds no room: makes room for more, up to [`MAX_PENDING`], or flushes.
    #[cold]
    fn update_slowly(&mut self, value: f64) {
        let room = self.pending.len();
        if room < MAX_PENDING {
            let more = (2 * room).clamp(8, MAX_PENDING);
            self.pending.reserve_exact(more - room);
            self.pending.resize(more, 0.0);
        } else {
            self.flush();
        }
        if let Some(place) = self.pending.get_mut(self.waiting) {
            *place = value;
            self.waiting += 1;
        }
    }

    fn flush(&mut self) {
        add(&mut self.accumulators, self.pending.get(..self.waiting).unwrap_or_default());
        self.waiting = 0;
    }

    /// Returns the accumulators with all values.
    fn flushed(&self) -> Accumulators {
        let mut accumulators = self.accumulators.clone();
        add(&mut accumulators, self.pending.get(..self.waiting).unwrap_or_default());
        accumulators
    }

    fn sealed(&self) -> Accumulators {
        let mut accumulators = self.flushed();
        accumulators.seal(&[0], &mut StageStats::default());
        accumulators
    }
}

impl fmt::Debug for Group {
    /// Formats the results by name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.names().zip(self.results())).finish()
    }
}

/// Adds `values` to the only slot.
fn add(accumulators: &mut Accumulators, values: &[f64]) {
    for values in values.chunks(MAX_PENDING) {
        let slots = SLOT.get(..values.len()).unwrap_or_default();
        let timestamps = TIMES.get(..values.len()).unwrap_or_default();
        let ordinals = Ordinals::Listed(ORDINALS.get(..values.len()).unwrap_or_default());
        accumulators.add_to_one_slot(0, slots, values, Order { timestamps, ordinals });
    }
}

fn result(sealed: &Accumulators, index: usize) -> Option<f64> {
    Some(sealed.result(index, 0, 0)).filter(|result| !result.is_nan())
}
