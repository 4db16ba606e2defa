//! Another key for the stages behind.

use serde::{Deserialize, Serialize};

use super::sections::Names;

/// `type = "key_by"`: the stages behind keep events apart by these fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyBy {
    /// Fields of the key, in any order; none: one stream. The first one, before all stages that go by key, may name any fields
    /// of the events: an event without one is refused.
    pub fields: Names,
}
