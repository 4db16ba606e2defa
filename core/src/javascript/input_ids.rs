//! Ids of the two kinds of input that share an engine: columns and text.

use crate::Engine;

/// The ids of keys and partitions of columns and of text, so that neither kind uses an id of the
/// other.
///
/// Text has the ids below [`dictionary_keys`](crate::spec::Limits::dictionary_keys). Key ids of
/// columns start at 0, and behind those of text once there is text. Partition ids of columns are
/// always behind those of text.
#[derive(Debug, Clone, Copy, Default)]
pub struct InputIds {
    has_text: bool,
    /// The first key id of columns.
    columns: u32,
}

impl InputIds {
    /// Records that text is about to be pushed to `engine`; key ids of columns then make room.
    pub fn begin_text(&mut self, engine: &mut Engine) {
        if !self.has_text {
            self.has_text = true;
            self.columns = engine.plan().limits.dictionary_keys();
            engine.shift_key_ids(self.columns);
        }
    }

    /// Returns the engine's id for the key id `id` of columns. Id 0 starts over: the keys of columns
    /// defined before are removed from `engine`.
    pub fn first_key(&self, id: u32, engine: &mut Engine) -> u32 {
        if id == 0 {
            engine.undefine_keys(self.columns..u32::MAX);
        }
        self.columns.saturating_add(id)
    }

    /// Returns the engine's id for the partition id `id` of columns, as for
    /// [`InputIds::first_key`].
    pub fn first_partition(&self, id: u32, engine: &mut Engine) -> u32 {
        let first = engine.plan().limits.dictionary_keys();
        if id == 0 {
            engine.undefine_partitions(first..u32::MAX);
        }
        first.saturating_add(id)
    }

    /// Returns what is added to a key id of columns.
    pub(super) fn offset_of_columns(&self) -> u32 {
        self.columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_json::OwnedKeyDefinitions;
    use crate::{Batch, Column, KeyColumn, Options, PipelineSpec};

    #[test]
    fn ids_of_columns_make_room_for_text_and_start_over() {
        let spec = r#"{"source": {"key": "k", "value": "v"}, "limits": {"max_dictionary_keys": 3}, "stages": [
            {"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["count"]}]}"#;
        let mut engine =
            Engine::open(&PipelineSpec::from_json(spec).unwrap(), Options::default()).unwrap();
        let define = |engine: &mut Engine, keys: &str, first: u32| {
            let keys = OwnedKeyDefinitions::from_json(keys, first.., 1).unwrap();
            engine.define_keys(&keys.as_definitions(false)).unwrap();
        };
        let push = |engine: &mut Engine, id: u32| {
            engine.push(&Batch {
                timestamps: &[0],
                keys: KeyColumn::Ids(&[id]),
                columns: &[Column::F64(&[1.0])],
                ..Batch::default()
            })
        };
        let mut ids = InputIds::default();
        assert_eq!(ids.first_key(0, &mut engine), 0);
        define(&mut engine, r#"["a", "b"]"#, 0);
        assert!(push(&mut engine, 1).is_ok());
        ids.begin_text(&mut engine);
        ids.begin_text(&mut engine);
        assert_eq!((ids.offset_of_columns(), ids.first_key(2, &mut engine)), (3, 5));
        assert!(push(&mut engine, 1).is_err() && push(&mut engine, 4).is_ok());
        define(&mut engine, r#"["t"]"#, 0);
        assert_eq!(ids.first_key(0, &mut engine), 3);
        assert!(push(&mut engine, 0).is_ok() && push(&mut engine, 4).is_err());
    }
}
