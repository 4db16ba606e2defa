//! Key changes: which fields of the input key make the new key.

use std::sync::Arc;

use super::columns::Columns;
use super::sharding::OneShard;
use super::stage::{PlanStage, Planned, PlannedStage, StageSite};
use crate::spec::{KeyBy, SpecError};
use crate::stages::{KeyByStage, Stage};
use crate::util::names::first_repeated;

/// The plan of a `key_by` stage.
#[derive(Debug, Clone)]
pub(crate) struct KeyByPlan {
    /// Indices of the new key's fields in the input key.
    pub(crate) places: Vec<usize>,
}

impl PlanStage for KeyBy {
    #[inline]
    fn plan(&self, site: &StageSite<'_>, mut columns: Columns) -> Planned {
        let path = format!("{}.fields", site.path);
        let names = &self.fields.0;
        let mut places = Vec::with_capacity(names.len());
        let repeated = first_repeated(names.iter().map(String::as_str));
        for (index, name) in names.iter().enumerate() {
            if repeated == Some(index) {
                return Err(SpecError::new(path, format!("`{name}` is named twice")));
            }
            let Some(place) = columns.key_field(name) else {
                let known: Vec<&str> = columns.key().iter().map(String::as_str).collect();
                let message = match known.as_slice() {
                    [] => format!(
                        "an earlier key_by has removed the key: name `{name}` in source.key, or in the first key_by"
                    ),
                    known => format!(
                        "`{name}` is not a field of the key, {}; only the first key_by, before all stages that use the key, may name \
                         other fields of the events: name `{name}` there, or in source.key as well",
                        crate::spec::expected(name, known)
                    ),
                };
                return Err(SpecError::new(path, message));
            };
            places.push(place);
        }
        columns.set_key(names.clone());
        Ok((Arc::new(KeyByPlan { places }), columns))
    }
}

impl PlannedStage for KeyByPlan {
    #[inline]
    fn build(&self, _: u32, _: u64) -> Box<dyn Stage> {
        Box::new(KeyByStage::new(self.clone()))
    }

    #[inline]
    fn sees_watermark(&self) -> bool {
        false
    }

    #[inline]
    fn across_keys(&self, index: usize) -> Option<OneShard> {
        Some(OneShard::KeyBy { stage: index })
    }

    #[inline]
    fn new_key_fields(&self) -> Option<usize> {
        Some(self.places.len())
    }
}
