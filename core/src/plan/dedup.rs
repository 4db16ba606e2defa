//! Deduplication: checked options, and the list of identity columns.

use std::sync::Arc;

use super::Caps;
use super::columns::Columns;
use super::sharding::OneShard;
use super::stage::{PlanStage, Planned, PlannedStage, StageSite};
use crate::dedup::BloomSizes;
use crate::key;
use crate::keys::interner::Interner;
use crate::spec::{
    Clock, Dedup, DedupMode, ONLY_THE_PROGRAM, OnUnjudged, PipelineSpec, SpecError, Strategy,
};
use crate::stages::{DedupStage, Stage};
use crate::util::names::NameTable;

/// Limits and defaults of the options.
const MAX_ENTRIES: u32 = 1 << 31;
const MAX_CAPACITY: u32 = 1 << 28;
const DEFAULT_ENTRIES: u32 = 10_000_000;
const DEFAULT_CAPACITY: u32 = 1_000_000;
const DEFAULT_RATE: f64 = 0.01;
const RATES: core::ops::RangeInclusive<f64> = 1e-6..=0.5;
const DEFAULT_GENERATIONS: u32 = 4;
const MAX_GENERATIONS: u32 = 64;

/// The plan of a `dedup` stage.
#[derive(Debug, Clone)]
pub(crate) struct DedupPlan {
    /// Index of the identity column that the stage reads.
    pub(crate) identity_column: usize,
    /// Time to live in microseconds; `None`: identities never expire.
    pub(crate) ttl_us: Option<i64>,
    pub(crate) clock: Clock,
    pub(crate) refresh: bool,
    pub(crate) on_unjudged: OnUnjudged,
    pub(crate) memory: MemoryPlan,
    /// True if events of different keys may have one identity.
    across_keys: bool,
}

/// State bytes of one exactly remembered identity: 24 in the log, and 10 to 15 in the index.
pub(crate) const ENTRY_BYTES: u64 = 40;

/// The storage of identities: exact with a limit, or Bloom filters of given sizes.
#[derive(Debug, Clone)]
pub(crate) enum MemoryPlan {
    Exact { max_entries: u32 },
    Bloom(BloomSizes),
}

impl PlanStage for Dedup {
    #[inline]
    fn plan(&self, site: &StageSite<'_>, input: Columns) -> Planned {
        Ok((Arc::new(DedupPlan::new(self, site, &input)?), input))
    }
}

impl DedupPlan {
    #[inline]
    fn new(dedup: &Dedup, site: &StageSite<'_>, input: &Columns) -> Result<Self, SpecError> {
        let StageSite { path, spec, identity_columns, .. } = *site;
        let identity_columns = if input.is_of_source() { identity_columns } else { &[] };
        let error =
            |field: &str, message: String| Err(SpecError::new(format!("{path}.{field}"), message));
        if dedup.shared.is_some() {
            return error("shared", ONLY_THE_PROGRAM.to_owned());
        }
        if dedup.strategies.is_empty() {
            let message = "empty: name a field, a list of fields, or \"@content\"".to_owned();
            return error("strategies", message);
        }
        if let Some(place) = first_repeated(&dedup.strategies) {
            return error(
                &format!("strategies[{place}]"),
                "the same strategy is listed twice: remove one".to_owned(),
            );
        }
        if dedup.ttl.is_some_and(|ttl| ttl.as_micros() <= 0) {
            return error(
                "ttl",
                "must be longer than 0s; leave it out to remember identities without limit"
                    .to_owned(),
            );
        }
        if dedup.on_unjudged.is_some() && (dedup.ttl.is_none() || dedup.clock == Clock::Arrival) {
            let message =
                "is for a `ttl` by event time only: without one every event can be judged";
            return error("on_unjudged", message.to_owned());
        }
        let Some(identity_column) =
            identity_columns.iter().position(|column| column.strategies == dedup.strategies)
        else {
            let message =
                "the rows of an earlier stage have no identities: put `dedup` before it".to_owned();
            return error("type", message);
        };
        Ok(Self {
            identity_column,
            ttl_us: dedup.ttl.map(|ttl| ttl.as_micros()),
            clock: dedup.clock,
            refresh: dedup.refresh,
            on_unjudged: dedup.on_unjudged.unwrap_or_default(),
            memory: fit_to_budget(path, memory(path, dedup)?, Caps::of(spec).max_memory)?,
            across_keys: !identities_include_key(&dedup.strategies, &spec.source.key.0),
        })
    }
}

impl PlannedStage for DedupPlan {
    #[inline]
    fn build(&self, index: u32, seed: u64) -> Box<dyn Stage> {
        Box::new(DedupStage::new(index, self.clone(), seed))
    }

    #[inline]
    fn sees_watermark(&self) -> bool {
        self.ttl_us.is_some()
    }

    #[inline]
    fn across_keys(&self, index: usize) -> Option<OneShard> {
        self.across_keys.then_some(OneShard::Dedup { stage: index })
    }
}

#[inline]
fn memory(path: &str, dedup: &Dedup) -> Result<MemoryPlan, SpecError> {
    let error =
        |field: &str, message: &str| Err(SpecError::new(format!("{path}.{field}"), message));
    match dedup.mode {
        DedupMode::Exact => {
            let others = [
                ("capacity", dedup.capacity.is_some()),
                ("false_positive_rate", dedup.false_positive_rate.is_some()),
                ("generations", dedup.generations.is_some()),
            ];
            if let Some((field, _)) = others.iter().find(|(_, is_set)| *is_set) {
                return error(field, "is for `mode = \"bloom\"` only");
            }
            match dedup.max_entries.unwrap_or(DEFAULT_ENTRIES) {
                max_entries @ 1..=MAX_ENTRIES => Ok(MemoryPlan::Exact { max_entries }),
                _ => error("max_entries", "must be 1 to 2147483648"),
            }
        }
        DedupMode::Bloom => {
            if dedup.max_entries.is_some() {
                return error(
                    "max_entries",
                    "is for `mode = \"exact\"` only: set `capacity` instead",
                );
            }
            let capacity = dedup.capacity.unwrap_or(DEFAULT_CAPACITY);
            let rate = dedup.false_positive_rate.unwrap_or(DEFAULT_RATE);
            let generations = dedup.generations.unwrap_or(DEFAULT_GENERATIONS);
            if !(1..=MAX_CAPACITY).contains(&capacity) {
                return error("capacity", "must be 1 to 268435456");
            }
            if !RATES.contains(&rate) {
                return error("false_positive_rate", "must be 1e-6 to 0.5");
            }
            if !(1..=MAX_GENERATIONS).contains(&generations) {
                return error("generations", "must be 1 to 64");
            }
            Ok(MemoryPlan::Bloom(BloomSizes::new(capacity, rate, generations)))
        }
    }
}

/// Shrinks `memory` to `max_bytes`, or returns an error if that is not possible.
#[inline]
fn fit_to_budget(path: &str, memory: MemoryPlan, max_bytes: u64) -> Result<MemoryPlan, SpecError> {
    match memory {
        MemoryPlan::Exact { max_entries } => {
            let room = u32::try_from(max_bytes / ENTRY_BYTES).unwrap_or(u32::MAX);
            Ok(MemoryPlan::Exact { max_entries: max_entries.min(room).max(1) })
        }
        MemoryPlan::Bloom(sizes) if sizes.most_bytes() > max_bytes => {
            let message = format!(
                "the filters of {path} may take {} bytes, but its share is {max_bytes}: raise the limit, or lower `capacity`",
                sizes.most_bytes()
            );
            Err(SpecError::new("limits.max_state_bytes", message))
        }
        bloom => Ok(bloom),
    }
}

/// An identity column: the identities of events by one list of strategies.
#[derive(Debug, Clone)]
pub(crate) struct IdentityColumn {
    pub(super) strategies: Vec<Strategy>,
    /// Index of the last stage that reads the column.
    pub(super) last_use: usize,
}

/// Returns the identity columns of `spec`, ordered by last use, latest first. After any stage, the
/// columns still needed are therefore a prefix of the list.
#[inline]
pub(super) fn identity_columns(spec: &PipelineSpec) -> Vec<IdentityColumn> {
    let mut identity_columns: Vec<IdentityColumn> = Vec::new();
    for (stage, spec) in spec.stages.iter().enumerate() {
        if let Some(strategies) = spec.options().strategies() {
            match identity_columns.iter_mut().find(|column| column.strategies == strategies) {
                Some(column) => column.last_use = stage,
                None => identity_columns
                    .push(IdentityColumn { strategies: strategies.to_vec(), last_use: stage }),
            }
        }
        if spec.emits_rows() {
            break;
        }
    }
    crate::util::sort::by(&mut identity_columns, |a, b| b.last_use.cmp(&a.last_use));
    identity_columns
}

/// Returns true if events of different keys never share an identity by `strategies`: each strategy
/// then includes all fields of `key`.
#[inline]
fn identities_include_key(strategies: &[Strategy], key: &[String]) -> bool {
    strategies.iter().all(|strategy| match strategy {
        Strategy::Content => true,
        Strategy::Fields(names) if names.len() < key.len() => false,
        Strategy::Fields(names) => {
            let names: NameTable = names.iter().map(String::as_str).collect();
            key.iter().all(|field| names.contains(field))
        }
    })
}

/// Returns the position of the first strategy that is listed earlier too.
fn first_repeated(strategies: &[Strategy]) -> Option<usize> {
    let mut known = Interner::new(0);
    let is_known = |strategy: &Strategy| {
        let mut encoded = Vec::new();
        if let Strategy::Fields(names) = strategy {
            names.iter().for_each(|name| key::push_str(&mut encoded, name));
        }
        let count = known.len();
        known.intern(&encoded);
        known.len() == count
    };
    strategies.iter().position(is_known)
}
