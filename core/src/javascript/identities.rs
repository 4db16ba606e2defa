//! Identities of the events of one call, computed from their JSON.

use crate::Plan;
use crate::data::batch::Identity;
use crate::text::Identifier;

/// The identities of the events of one call, for each identity column of a pipeline.
pub struct CallIdentities {
    columns: Vec<(Identifier, Vec<Identity>)>,
}

impl CallIdentities {
    /// Creates empty identity columns for the pipeline of `plan`.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let strategies = plan.input.identities.iter();
        Self { columns: strategies.map(|list| (Identifier::new(list), Vec::new())).collect() }
    }

    /// Removes the identities of the previous call.
    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(|(_, found)| found.clear());
    }

    /// Adds the identities of events, one JSON object a line. A faulty line has no identity.
    pub fn add(&mut self, lines: &str) {
        for (identifier, found) in &mut self.columns {
            found.extend(lines.split('\n').map(|line| identifier.of_json(line.as_bytes())));
        }
    }

    /// Removes the identities of all events except those at `indexes`, which ascend.
    pub fn keep(&mut self, indexes: &[u32]) {
        for (_, found) in &mut self.columns {
            let kept = indexes.iter().filter_map(|index| found.get(*index as usize).copied());
            *found = kept.collect();
        }
    }

    /// Returns the identities of `count` events from number `first` on, column by column.
    pub(super) fn of_events(&self, first: usize, count: usize) -> Vec<&[Identity]> {
        let range = first..first.saturating_add(count);
        let columns = self.columns.iter();
        columns.map(|(_, found)| found.get(range.clone()).unwrap_or_default()).collect()
    }
}
