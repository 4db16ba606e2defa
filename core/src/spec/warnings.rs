//! Warnings about valid pipelines with surprising behaviour.

use super::normalize::{Fill, Normalize};
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
        let stages = self.stages.iter().enumerate();
        let warning = |(index, stage): (usize, &Stage)| match stage {
            Stage::Normalize(normalize) if fills_gaps_of_any_length(normalize) => {
                let holds = if index + 1 < self.stages.len() {
                    ", and later stages wait for it"
                } else {
                    ""
                };
                let message = format!(
                    "missing: what follows a key's last sample waits for its next one, or the end of input{holds}"
                );
                Some(SpecError::new(format!("stages[{index}].max_gap"), message))
            }
            _ => None,
        };
        stages.filter_map(warning).collect()
    }
}

/// Returns true if a field is filled across gaps of any length.
fn fills_gaps_of_any_length(normalize: &Normalize) -> bool {
    if normalize.max_gap.is_some() {
        return false;
    }
    let fills = |fill: Option<Fill>| fill.unwrap_or_default() != Fill::None;
    match normalize.fields.as_slice() {
        [] => fills(normalize.fill),
        fields => fields
            .iter()
            .any(|field| field.max_gap.is_none() && fills(field.fill.or(normalize.fill))),
    }
}
