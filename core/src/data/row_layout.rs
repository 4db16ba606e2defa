//! The layout of rows: which column holds which part of a row.

use super::frame::FrameColumn;
use super::schema::{ColumnRole, OutputColumn};

/// The columns of the rows that a stage emits.
///
/// Stages address columns by [`ColumnRole`]; only the layout knows positions.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RowLayout {
    columns: Vec<OutputColumn>,
}

impl RowLayout {
    /// Adds a column and returns its position.
    pub(crate) fn push(&mut self, column: OutputColumn) -> usize {
        self.columns.push(column);
        self.columns.len() - 1
    }

    pub(crate) fn columns(&self) -> &[OutputColumn] {
        &self.columns
    }

    pub(crate) fn into_columns(self) -> Vec<OutputColumn> {
        self.columns
    }

    /// Returns the roles of the columns, in order.
    pub(crate) fn roles(&self) -> impl Iterator<Item = ColumnRole> + Clone {
        self.columns.iter().map(|column| column.role)
    }

    /// Returns the position of the first column with `role`.
    pub(crate) fn position(&self, role: ColumnRole) -> Option<usize> {
        self.columns.iter().position(|column| column.role == role)
    }

    /// Returns empty columns of this layout.
    pub(crate) fn empty_columns(&self) -> Vec<FrameColumn> {
        self.columns.iter().map(|column| FrameColumn::of(column.kind)).collect()
    }
}
