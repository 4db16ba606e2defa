//! Engines whose windows run aggregators that the program brings.

use super::{Engine, Options};
use crate::aggregation::AggregatorFactory;
use crate::error::Error;
use crate::plan::Plan;
use crate::spec::{PipelineSpec, SpecError, Stage};

impl Engine {
    /// Creates an engine whose first stage with windows also runs the aggregators of `factory`. They
    /// take the values of the stage's `field` or, without one, of the default value; their outputs
    /// follow those of the stage's `aggregations`, which may be empty. See
    /// [`crate::aggregation::Aggregator`] for an example.
    ///
    /// Such an engine has no snapshots and exchanges no partial state.
    ///
    /// # Errors
    /// [`Error::Spec`] as for [`Engine::open`], for a pipeline without windows or without a value,
    /// and for an output with the name of another column. [`Error::CustomState`] with
    /// [`Options::emits_partials`].
    pub fn open_with(
        spec: &PipelineSpec,
        options: Options,
        factory: AggregatorFactory,
    ) -> Result<Self, Error> {
        if options.emits_partials {
            return Err(Error::CustomState);
        }
        let is_window = |stage: &Stage| matches!(stage, Stage::Window(_));
        let Some(windows) = spec.stages.iter().position(is_window) else {
            let message = "an aggregator needs a stage with windows: add one of type \"window\"";
            return Err(SpecError::new("stages", message).into());
        };
        let plan = Plan::with_own_outputs(spec, factory.names().map(String::from).collect())?;
        let mut engine = Self::of_plan(plan, options)?;
        engine.has_own_state = true;
        if let Some(stage) = engine.stages.get_mut(windows) {
            stage.use_own(factory);
        }
        Ok(engine)
    }
}
