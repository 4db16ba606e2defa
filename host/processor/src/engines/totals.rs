//! Counters of all engines together.

use super::Engines;
use crate::engine::{ReasonCount, StageStats, Stats};
use crate::stats::ProcessorStats;
use crate::time::date_time;

impl Engines {
    /// Returns the counters, without latencies.
    pub(crate) fn stats(&mut self) -> ProcessorStats {
        for engine in &mut self.list {
            while engine.read(usize::MAX) {}
        }
        let mut list = self.list.iter().map(|engine| engine.engine.stats());
        let mut total = list.next().unwrap_or_default();
        list.for_each(|stats| add(&mut total, &stats));
        let window = total.stages.first();
        ProcessorStats {
            events_processed: total.events,
            events_late: total.late_dropped,
            events_dropped: total.late_dropped + total.limit_dropped,
            windows_fired: self.list.iter().map(|engine| engine.fired).sum(),
            active_windows: window.map_or(0, |stage| stage.open_windows),
            watermark: total.watermark.map(date_time),
            engine: total,
            ..ProcessorStats::default()
        }
    }
}

/// Adds the counters of a follower to those of the leader, whose watermark and partitions stay.
fn add(total: &mut Stats, stats: &Stats) {
    for (total, count) in [
        (&mut total.events, stats.events),
        (&mut total.rejected, stats.rejected),
        (&mut total.late_dropped, stats.late_dropped),
        (&mut total.limit_dropped, stats.limit_dropped),
        (&mut total.limit_refused, stats.limit_refused),
        (&mut total.evicted_events, stats.evicted_events),
        (&mut total.state_bytes, stats.state_bytes),
        (&mut total.unassigned, stats.unassigned),
        (&mut total.rows, stats.rows),
    ] {
        *total += count;
    }
    for ReasonCount { reason, count } in &stats.rejected_by_reason {
        let listed = &mut total.rejected_by_reason;
        match listed.iter_mut().find(|listed| listed.reason == *reason) {
            Some(listed) => listed.count += count,
            None => listed.push(ReasonCount { reason: *reason, count: *count }),
        }
    }
    for limit in &stats.limits_struck {
        if !total.limits_struck.contains(limit) {
            total.limits_struck.push(limit);
        }
    }
    for (total, stage) in total.stages.iter_mut().zip(&stats.stages) {
        add_stage(total, stage);
    }
}

fn add_stage(total: &mut StageStats, stage: &StageStats) {
    for (total, count) in [
        (&mut total.events, stage.events),
        (&mut total.rows, stage.rows),
        (&mut total.late_dropped, stage.late_dropped),
        (&mut total.unassigned, stage.unassigned),
        (&mut total.key_limit, stage.key_limit),
        (&mut total.evicted_keys, stage.evicted_keys),
        (&mut total.evicted_windows, stage.evicted_windows),
        (&mut total.evicted_events, stage.evicted_events),
        (&mut total.window_limit, stage.window_limit),
        (&mut total.state_limit, stage.state_limit),
        (&mut total.value_limit, stage.value_limit),
        (&mut total.folded_values, stage.folded_values),
        (&mut total.keys, stage.keys),
        (&mut total.state_bytes, stage.state_bytes),
        (&mut total.open_windows, stage.open_windows),
    ] {
        *total += count;
    }
    total.next_fire = total.next_fire.into_iter().chain(stage.next_fire).min();
}
