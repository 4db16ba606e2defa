//! The combination of the larger nodes of a window, cached while the window moves by less than
//! their length.
//!
//! Only values that do not depend on the order of combination are taken from it. All others are
//! combined from left to right each time.

use std::borrow::Cow;

use super::aggregate_tree::{AggregateTree, Node, NodeRange, SliceView};

/// The larger nodes of the last window, combined.
pub(super) struct CachedInterior {
    ranges: Vec<NodeRange>,
    node: Node,
}

impl CachedInterior {
    /// Returns the interior of a window of `ranges`: `known` if it still applies, otherwise a new
    /// one.
    pub(super) fn of(
        known: Option<Self>,
        ranges: &[NodeRange],
        tree: &mut AggregateTree,
        slices: &SliceView<'_>,
    ) -> Self {
        // Nodes shorter than 1/64 of the window hold few events and would change the interior
        // often.
        let least = slices.grid.slices_per_window().checked_ilog2().unwrap_or(0).saturating_sub(6);
        let ranges: Vec<NodeRange> =
            ranges.iter().copied().filter(|range| range.level() >= least.max(1)).collect();
        if let Some(known) = known.filter(|known| known.ranges == ranges) {
            return known;
        }
        let mut node = Node { keys: Vec::new(), values: slices.empty() };
        // The largest node first, so that the smaller ones are added to it.
        let mut by_level = ranges.clone();
        crate::util::sort::by(&mut by_level, |a, b| b.level().cmp(&a.level()));
        for range in by_level {
            node = match tree.get(range, slices) {
                first if node.keys.is_empty() => Cow::into_owned(first),
                next => node.combined_with(&next),
            };
        }
        Self { ranges, node }
    }

    /// Returns the combined values.
    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    /// Returns true if the node `range` is part of the interior.
    pub(super) fn has(&self, range: NodeRange) -> bool {
        self.ranges.contains(&range)
    }

    /// Returns true if slice `index` is part of the interior.
    pub(super) fn covers(&self, index: i64) -> bool {
        self.ranges.iter().any(|range| range.covers(index))
    }
}
