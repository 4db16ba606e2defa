//! Warnings about valid pipelines with surprising behaviour.

use super::{PipelineSpec, SpecError, Stage};

impl PipelineSpec {
    /// Returns warnings about valid but possibly unintended behaviour, each with the field that
    /// would change it.
    /// ```
    /// use stream_processor_core::PipelineSpec;
    /// let spec = PipelineSpec::from_json(r#"{"stages": [{"type": "normalize", "interval": "1s"}]}"#)?;
    /// assert_eq!(spec.warnings()[0].path(), "stages[0].max_gap");
    /// # Ok::<(), stream_processor_core::SpecError>(())
    /// ```
    #[must_use]
    pub fn warnings(&self) -> Vec<SpecError> {
        let count = self.stages.len();
        let warning = |(index, stage): (usize, &Stage)| {
            let (option, message) = stage.options().warning(index + 1 == count)?;
            Some(SpecError::new(format!("stages[{index}].{option}"), message))
        };
        self.stages.iter().enumerate().filter_map(warning).collect()
    }
}
