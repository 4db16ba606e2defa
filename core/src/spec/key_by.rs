//! The `key_by` stage: another key for later stages.

use serde::{Deserialize, Serialize};

use super::sections::Names;
use super::stages::{StageOptions, StageOutput, StageState};

/// `type = "key_by"`: later stages group events by these fields.
/// ```
/// use stream_processor_core::spec::{KeyBy};
/// let options: KeyBy = serde_json::from_str(r#"{"fields": ["zone", "shelf"]}"#)?;
/// assert_eq!(options.fields.0, ["zone", "shelf"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyBy {
    /// The fields of the new key, in any order; none: all events form one stream. If no earlier
    /// stage groups by key, any fields of the events may be named. Events without one of them are
    /// rejected.
    pub fields: Names,
}

impl StageOptions for KeyBy {
    #[inline]
    fn output(&self) -> StageOutput {
        StageOutput::ChangedEvents
    }

    #[inline]
    fn state(&self) -> StageState {
        StageState::None
    }

    #[inline]
    fn new_key(&self) -> Option<&[String]> {
        Some(&self.fields.0)
    }
}
