//! Distinct names, numbered in the order in which they were added.

use super::byte_table::ByteTable;
use super::id_table::NONE;

/// Distinct names with their positions. Each operation takes one lookup in a hash table, however
/// many names there are.
#[derive(Debug, Clone)]
pub(crate) struct NameTable {
    names: Vec<Box<str>>,
    positions: ByteTable,
}

impl Default for NameTable {
    fn default() -> Self {
        Self { names: Vec::new(), positions: ByteTable::new(0) }
    }
}

impl<'a> FromIterator<&'a str> for NameTable {
    fn from_iter<T: IntoIterator<Item = &'a str>>(names: T) -> Self {
        let mut table = Self::default();
        names.into_iter().for_each(|name| {
            table.add(name);
        });
        table
    }
}

impl NameTable {
    /// Returns the position of `name`, and adds it at the end if it is new.
    pub(crate) fn add(&mut self, name: &str) -> usize {
        if let Some(position) = self.find(name) {
            return position;
        }
        let position = self.names.len();
        self.names.push(name.into());
        self.positions.insert(name.as_bytes(), u32::try_from(position).unwrap_or(NONE));
        position
    }

    /// Returns the position of `name`.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.find_bytes(name.as_bytes())
    }

    /// Returns the position of the name with these bytes.
    pub(crate) fn find_bytes(&self, name: &[u8]) -> Option<usize> {
        Some(self.positions.find(name)).filter(|id| *id != NONE).map(|id| id as usize)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Returns the names in the order of their positions.
    pub(crate) fn names(&self) -> &[Box<str>] {
        &self.names
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

/// Returns the position of the first name that occurs earlier in the list too.
pub(crate) fn first_repeated<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<usize> {
    let mut table = NameTable::default();
    names
        .into_iter()
        .enumerate()
        .find(|(index, name)| table.add(name) < *index)
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_first_position() {
        let long = "a".repeat(100);
        let mut table: NameTable = ["b", "", &long, "b"].into_iter().collect();
        assert_eq!(table.names(), ["b", "", &long].map(Box::from));
        assert_eq!([table.add("c"), table.add(""), table.len()], [3, 1, 4]);
        assert_eq!((table.find(&long), table.find_bytes(b"a")), (Some(2), None));
        assert!(table.contains("c") && !table.contains("d"));
    }

    #[test]
    fn first_repetition_is_found() {
        assert_eq!(first_repeated(["a", "b", "c"]), None);
        assert_eq!(first_repeated(["a", "b", "b", "a"]), Some(2));
        assert_eq!(first_repeated([]), None);
    }
}
