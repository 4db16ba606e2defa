//! The type of `shared` in a build without the feature `shared-dedup`: no value of it exists.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `shared` of a `dedup` stage, which this build refuses: the feature `shared-dedup` is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedStore {}

impl<'de> Deserialize<'de> for SharedStore {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom(super::ONLY_THE_PROGRAM))
    }
}

impl Serialize for SharedStore {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        match *self {}
    }
}
