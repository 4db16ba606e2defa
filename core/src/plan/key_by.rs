//! Key changes: which fields of the input key make the new key.

use super::Columns;
use crate::data::schema::OutputColumn;
use crate::spec::{KeyBy, SpecError};

/// The plan of a `key_by` stage.
#[derive(Debug, Clone)]
pub(crate) struct KeyByPlan {
    /// Indices of the new key's fields in the input key.
    pub(crate) places: Vec<usize>,
    /// The columns of its input, which the stage forwards.
    pub(crate) columns: Vec<OutputColumn>,
}

impl KeyByPlan {
    pub(super) fn new(
        path: &str,
        stage: &KeyBy,
        mut columns: Columns,
    ) -> Result<(Self, Columns), SpecError> {
        let path = format!("{path}.fields");
        let names = &stage.fields.0;
        let mut places = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            if names.iter().take(index).any(|earlier| earlier == name) {
                return Err(SpecError::new(path, format!("`{name}` is named twice")));
            }
            let Some(place) = columns.key_field(name) else {
                let known: Vec<&str> = columns.key().iter().map(String::as_str).collect();
                let message = match known.as_slice() {
                    [] => format!(
                        "the events have no key any more: name `{name}` in source.key, or in the first key_by"
                    ),
                    known => format!(
                        "`{name}` is no field of the key, {}; only a first key_by, before all stages that go by key, takes \
                         other fields of the events: put it there, or name `{name}` in source.key as well",
                        crate::spec::expected(name, known)
                    ),
                };
                return Err(SpecError::new(path, message));
            };
            places.push(place);
        }
        columns.set_key(names.clone());
        Ok((Self { places, columns: columns.list().to_vec() }, columns))
    }
}
