//! Key ids of the two kinds of input that share an engine.

/// The first key id of the kind of input that came second.
const SECOND: u32 = 1 << 24;

/// The first key ids of columns and of text, so that neither kind uses an id of the other.
///
/// The kind that comes first has ids from 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct InputIds {
    columns: Option<u32>,
    text: Option<u32>,
}

impl InputIds {
    /// Returns the first key id of columns.
    pub fn first_of_columns(&mut self) -> u32 {
        *self.columns.get_or_insert(if self.text.is_some() { SECOND } else { 0 })
    }

    /// Returns the first key id of text at the first call, and `None` after it.
    pub fn begin_text(&mut self) -> Option<u32> {
        if self.text.is_some() {
            return None;
        }
        self.text = Some(if self.columns.is_some() { SECOND } else { 0 });
        self.text
    }

    /// Returns what is added to a key id of columns.
    pub(super) fn offset_of_columns(&self) -> u32 {
        self.columns.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_kind_of_input_has_ids_from_zero() {
        let mut ids = InputIds::default();
        assert_eq!((ids.first_of_columns(), ids.begin_text()), (0, Some(SECOND)));
        assert_eq!((ids.first_of_columns(), ids.begin_text()), (0, None));
        let mut ids = InputIds::default();
        assert_eq!((ids.begin_text(), ids.first_of_columns()), (Some(0), SECOND));
        assert_eq!(ids.offset_of_columns(), SECOND);
    }
}
