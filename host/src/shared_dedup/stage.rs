//! The checked description of a shared stage, and the pipeline as the engine runs it.

use std::time::Duration;

use stream_processor_core::spec::{Clock, Dedup, OnUnavailable, SharedStore, Stage, Strategy};
use stream_processor_core::{PipelineSpec, Plan, SpecError};

use super::StoreConfig;
use super::store::std_duration;

/// A strategy by this field gives the identities of the shared stage a column of their own, which
/// holds verdicts. No event has the field.
const VERDICT_FIELD: &str = "\0shared";

/// A `dedup` stage whose identities are in a shared store.
#[derive(Debug, Clone)]
pub(crate) struct SharedStage {
    pub(super) store: StoreConfig,
    pub(super) strategies: Vec<Strategy>,
    pub(super) key_prefix: String,
    pub(super) ttl: Option<Duration>,
    pub(super) on_unavailable: OnUnavailable,
    pub(super) reader: Option<String>,
    /// The pipeline for the engine: its first stage reads verdicts.
    engine_spec: PipelineSpec,
    /// The index of the identity column of the stage.
    column: usize,
}

impl SharedStage {
    /// Returns the shared stage of `spec`, if it has one, and the plan of the engine, whose input
    /// has the identities that the program needs.
    ///
    /// # Errors
    /// Another stage than the first is shared, or the options of the stage are wrong.
    pub(crate) fn plan(spec: &PipelineSpec) -> Result<(Option<Self>, Plan), SpecError> {
        let Some((written, shared)) = first_shared(spec)? else {
            return Ok((None, Plan::new(spec)?));
        };
        // The options that a local stage has as well are checked as they are written.
        Plan::new(&with_first(spec, Dedup { shared: None, ..written.clone() }))?;
        let store = StoreConfig::new(shared)?;
        let verdicts = [verdict_strategy(&spec.source.key.0)];
        let judged = Dedup {
            strategies: verdicts.to_vec(),
            ttl: None,
            clock: Clock::Event,
            shared: None,
            ..written.clone()
        };
        let engine_spec = with_first(spec, judged);
        let mut plan = Plan::new(&engine_spec)?;
        let columns = &mut plan.input.identities;
        let column = columns.iter().position(|column| *column == verdicts).unwrap_or_default();
        if let Some(strategies) = columns.get_mut(column) {
            strategies.clone_from(&written.strategies);
        }
        let ttl = written.ttl.map(std_duration);
        let stage = Self {
            store,
            strategies: written.strategies.clone(),
            key_prefix: shared.key_prefix.clone(),
            ttl,
            on_unavailable: shared.on_unavailable,
            reader: shared.reader.clone(),
            engine_spec,
            column,
        };
        Ok((Some(stage), plan))
    }

    /// Returns the pipeline as the engine runs it.
    pub(crate) fn engine_spec(&self) -> &PipelineSpec {
        &self.engine_spec
    }

    /// Returns the name of this process, if it has one.
    pub(crate) fn reader(&self) -> Option<&str> {
        self.reader.as_deref()
    }

    /// Returns the index of the identity column of the stage.
    pub(crate) fn column(&self) -> usize {
        self.column
    }

    /// Returns the address of the server, or the path of the folder. It contains no secret.
    pub(crate) fn store_name(&self) -> String {
        self.store.name()
    }
}

/// Returns the options of the first stage if it is shared.
///
/// # Errors
/// Another stage is shared.
fn first_shared(spec: &PipelineSpec) -> Result<Option<(&Dedup, &SharedStore)>, SpecError> {
    let mut stages = spec.stages.iter().map(shared_of);
    let first = stages.next().flatten();
    if let Some(index) = stages.position(|shared| shared.is_some()) {
        let message = if first.is_some() {
            "only one stage can share identities, the first: remove `shared`"
        } else {
            "only the first stage can share identities, because the program checks them before \
             events reach the engine: move this stage to the front"
        };
        return Err(SpecError::new(format!("stages[{}].shared", index + 1), message));
    }
    Ok(first)
}

/// Returns the options of a stage if it is shared.
fn shared_of(stage: &Stage) -> Option<(&Dedup, &SharedStore)> {
    match stage {
        Stage::Dedup(dedup) => dedup.shared.as_ref().map(|shared| (dedup, shared)),
        _ => None,
    }
}

/// Returns the pipeline with other options of its first stage.
fn with_first(spec: &PipelineSpec, dedup: Dedup) -> PipelineSpec {
    let mut spec = spec.clone();
    if let Some(first) = spec.stages.first_mut() {
        *first = Stage::Dedup(dedup);
    }
    spec
}

/// Returns the strategy of the verdicts. It includes the key, so that keys stay independent of each
/// other: the store has judged the events of all of them.
fn verdict_strategy(key: &[String]) -> Strategy {
    let names = std::iter::once(VERDICT_FIELD.to_owned()).chain(key.iter().cloned());
    Strategy::Fields(names.collect())
}
