//! Slow and has_no_partitions event time: computes every number from all events so far.

use proptest::prelude::*;
use stream_processor_core::{RejectReason, time::MIN_TIME};

use crate::common::{Row, bits, encoded};

/// The kind of watermark.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Bounded,
    Periodic(i64),
    Punctuated,
    Manual,
}

/// The options of `[time]` that the tests vary.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub kind: Kind,
    pub bound: i64,
    pub partitioned: bool,
    pub idle_timeout: Option<i64>,
    pub close_after_idle: Option<i64>,
    pub skew: Option<i64>,
    pub keeps_future: bool,
    pub max_partitions: u32,
}

/// One step of a test: an event, or a call of the host.
#[derive(Debug, Clone)]
pub enum Step {
    Event { ts: i64, key: u32, partition: u32, mark: f64 },
    Tick(i64),
    Advance(i64),
    Restore,
    Declare(u32),
}

/// Generates options that are valid together.
pub fn rules() -> impl Strategy<Value = Rules> {
    let kind = prop::sample::select(vec![
        Kind::Bounded,
        Kind::Periodic(700_000),
        Kind::Punctuated,
        Kind::Manual,
    ]);
    let timeout = || prop::option::of(1_i64..3_000_000);
    let bound = prop::sample::select(vec![0_i64, 1_500_000]);
    (kind, bound, any::<bool>(), (timeout(), timeout(), timeout()), any::<bool>(), 1_u32..5)
        .prop_map(
            |(kind, bound, partitioned, (idle, close, skew), keeps_future, max_partitions)| {
                let manual = kind == Kind::Manual;
                Rules {
                    kind,
                    bound,
                    partitioned: partitioned && !manual,
                    idle_timeout: idle.filter(|_| !manual),
                    close_after_idle: close,
                    skew,
                    keeps_future: keeps_future && skew.is_some(),
                    max_partitions,
                }
            },
        )
}

/// Generates steps whose event times and host times advance roughly together.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    #[derive(Debug, Clone)]
    enum Choice {
        Event(i64, u32, u32, f64),
        Tick(i64),
        Advance(i64),
        Restore,
        Declare(u32),
    }
    let mark = prop::sample::select(vec![0.0, -0.0, f64::NAN, 1.0, -2.5]);
    let jump = prop_oneof![8 => -2_000_000_i64..2_000_000, 1 => -9_000_000_i64..20_000_000];
    let choice = prop_oneof![
        24 => (jump, 0_u32..4, 0_u32..5, mark).prop_map(|(ts, key, partition, mark)| Choice::Event(ts, key, partition, mark)),
        5 => (-100_000_i64..2_500_000).prop_map(Choice::Tick),
        1 => (-3_000_000_i64..1_000_000).prop_map(Choice::Advance),
        1 => Just(Choice::Restore),
        1 => (0_u32..5).prop_map(Choice::Declare),
    ];
    prop::collection::vec(choice, 0..120).prop_map(|choices| {
        let mut now = -3_000_000;
        let steps = choices.into_iter().map(|choice| match choice {
            Choice::Event(ts, key, partition, mark) => {
                Step::Event { ts: now + ts, key, partition, mark }
            }
            Choice::Tick(step) => {
                now += step;
                Step::Tick(now)
            }
            Choice::Advance(step) => Step::Advance(now + step),
            Choice::Restore => Step::Restore,
            Choice::Declare(partition) => Step::Declare(partition),
        });
        steps.collect()
    })
}

/// A known partition with all its events.
struct Known {
    name: u32,
    events: Vec<(i64, bool)>,
    seen: Option<i64>,
    idle: bool,
}

impl Known {
    fn greatest(&self) -> Option<i64> {
        self.events.iter().map(|(ts, _)| *ts).max()
    }

    /// Computes the watermark of the partition from all its events.
    fn watermark(&self, rules: &Rules) -> i64 {
        let mut reached: Option<i64> = None;
        let mut greatest = i64::MIN;
        for (ts, mark) in &self.events {
            greatest = greatest.max(*ts);
            let moves = match rules.kind {
                Kind::Bounded => true,
                Kind::Periodic(step) => reached.is_none_or(|reached| greatest - reached >= step),
                Kind::Punctuated => *mark,
                Kind::Manual => false,
            };
            if moves {
                let to = if matches!(rules.kind, Kind::Periodic(_)) { greatest } else { *ts };
                reached = Some(reached.map_or(to, |reached| reached.max(to)));
            }
        }
        reached.map_or(i64::MIN, |reached| reached - rules.bound - 1)
    }
}

/// The reported state of a partition: name, greatest time, watermark, and whether it is idle.
pub type PartitionReport = (Option<String>, Option<i64>, Option<i64>, bool);

/// The state of event time and windows, in plain lists.
pub struct Oracle {
    rules: Rules,
    size: i64,
    known: Vec<Known>,
    now: Option<i64>,
    ticked: bool,
    open: bool,
    seen: Option<i64>,
    pub watermark: i64,
    /// Start, key and number of events of each window.
    windows: Vec<(i64, u32, usize)>,
    drops: Vec<RejectReason>,
    events: u64,
    future: u64,
    late: u64,
    rejected: u64,
}

impl Oracle {
    pub fn new(rules: Rules, size: i64) -> Self {
        Self {
            rules,
            size,
            known: Vec::new(),
            now: None,
            ticked: false,
            open: false,
            seen: None,
            watermark: i64::MIN,
            windows: Vec::new(),
            drops: Vec::new(),
            events: 0,
            future: 0,
            late: 0,
            rejected: 0,
        }
    }

    /// Returns true for a single bounded stream without timers, which has no partition statistics.
    fn has_no_partitions(&self) -> bool {
        let Rules { kind, partitioned, close_after_idle, skew, .. } = self.rules;
        kind == Kind::Bounded && !partitioned && close_after_idle.is_none() && skew.is_none()
    }

    /// Applies one step.
    pub fn step(&mut self, step: &Step) {
        let now = self.now.filter(|_| self.ticked);
        match step {
            Step::Event { ts, key, partition, mark } => {
                let name = if self.rules.partitioned { *partition } else { 0 };
                let marked = *mark != 0.0 && !mark.is_nan();
                self.event(*ts, *key, name, marked, now);
            }
            Step::Tick(at) => self.tick(*at),
            Step::Advance(watermark) => self.watermark = self.watermark.max(*watermark),
            Step::Restore => {
                self.ticked = false;
                self.seen = None;
                self.known.iter_mut().for_each(|known| known.seen = None);
            }
            Step::Declare(name) => {
                let room = self.known.len() < self.rules.max_partitions as usize;
                let fresh = self.known.iter().all(|known| known.name != *name);
                if self.rules.partitioned && fresh && room {
                    self.known.push(Known { name: *name, events: vec![], seen: now, idle: false });
                }
            }
        }
    }

    /// Processes one event: rejects it, or adds it to its window and its partition.
    fn event(&mut self, ts: i64, key: u32, name: u32, marked: bool, now: Option<i64>) {
        let future = now.zip(self.rules.skew).is_some_and(|(now, skew)| ts > now + skew);
        if future {
            self.events += 1;
            self.future += 1;
            if !self.rules.keeps_future {
                self.drops.push(RejectReason::Future);
                return;
            }
            self.window(ts, key);
            return;
        }
        let place = self.known.iter().position(|known| known.name == name);
        if place.is_none() && self.known.len() >= self.rules.max_partitions as usize {
            self.rejected += 1;
            self.drops.push(RejectReason::PartitionLimit);
            return;
        }
        self.events += 1;
        self.window(ts, key);
        let place = place.unwrap_or_else(|| {
            self.known.push(Known { name, events: vec![], seen: None, idle: false });
            self.known.len() - 1
        });
        let known = &mut self.known[place];
        known.events.push((ts, marked));
        (known.seen, known.idle) = (now, false);
        (self.open, self.seen) = (true, now);
        self.combine();
    }

    /// Adds one event to its window, or drops it as late.
    fn window(&mut self, ts: i64, key: u32) {
        let start = ts.div_euclid(self.size) * self.size;
        if start + self.size - 1 <= self.watermark {
            self.late += 1;
            self.drops.push(RejectReason::Late);
            return;
        }
        match self.windows.iter_mut().find(|(at, of, _)| (*at, *of) == (start, key)) {
            Some((_, _, count)) => *count += 1,
            None => self.windows.push((start, key, 1)),
        }
    }

    /// Moves the host's time: partitions become idle, and a silent stream closes its windows.
    fn tick(&mut self, at: i64) {
        let now = self.now.map_or(at, |now| now.max(at));
        self.now = Some(now);
        self.ticked = true;
        for known in &mut self.known {
            let seen = *known.seen.get_or_insert(now);
            known.idle |= self.rules.idle_timeout.is_some_and(|timeout| now - seen >= timeout);
        }
        self.combine();
        if let (Some(timeout), true) = (self.rules.close_after_idle, self.open)
            && now - *self.seen.get_or_insert(now) >= timeout
        {
            self.open = false;
            let greatest = self.known.iter().filter_map(Known::greatest).max().unwrap();
            let end = greatest.div_euclid(self.size) * self.size + self.size;
            self.watermark = self.watermark.max(end - 1);
        }
    }

    /// Raises the watermark to the minimum of all partitions that are not idle. If all are idle,
    /// the maximum counts.
    fn combine(&mut self) {
        let watermarks = |idle: bool| {
            self.known
                .iter()
                .filter(move |known| idle || !known.idle)
                .map(|known| known.watermark(&self.rules))
        };
        let reached = watermarks(false).min().or(watermarks(true).max());
        self.watermark = self.watermark.max(reached.unwrap_or(i64::MIN));
    }

    /// Returns the next host time at which something changes.
    pub fn next_deadline(&self) -> Option<i64> {
        if self.has_no_partitions() {
            return None;
        }
        let at = |seen: Option<i64>, timeout: i64| seen.map_or(MIN_TIME, |seen| seen + timeout);
        let mut deadlines = Vec::new();
        if let Some(timeout) = self.rules.idle_timeout {
            deadlines.extend(
                self.known.iter().filter(|known| !known.idle).map(|known| at(known.seen, timeout)),
            );
        }
        if let (Some(timeout), true) = (self.rules.close_after_idle, self.open) {
            deadlines.push(at(self.seen, timeout));
        }
        if self.rules.skew.is_some() && !self.ticked {
            deadlines.push(MIN_TIME);
        }
        deadlines.into_iter().min()
    }

    /// Returns the number of windows that have fired.
    pub fn fired(&self) -> usize {
        self.windows.iter().filter(|(start, _, _)| start + self.size - 1 <= self.watermark).count()
    }

    /// Returns the expected rows of all windows.
    pub fn rows(&self) -> Vec<Row> {
        let rows = self.windows.iter().map(|(start, key, count)| Row {
            firing: start + self.size - 1,
            end: start + self.size,
            start: *start,
            key: encoded(*key),
            values: vec![bits(*count as f64), bits(*count as f64 * 1.5)],
            ..Row::default()
        });
        let mut rows: Vec<Row> = rows.collect();
        rows.sort_by(|a, b| (a.end, &a.key).cmp(&(b.end, &b.key)));
        rows
    }

    pub fn take_drops(&mut self) -> Vec<RejectReason> {
        core::mem::take(&mut self.drops)
    }

    /// Returns the state of all partitions, sorted.
    pub fn partition_stats(&self) -> Vec<PartitionReport> {
        if self.has_no_partitions() {
            return Vec::new();
        }
        let stats = self.known.iter().map(|known| {
            let name = self.rules.partitioned.then(|| format!("k{}", known.name));
            let watermark =
                Some(known.watermark(&self.rules)).filter(|watermark| *watermark != i64::MIN);
            (name, known.greatest(), watermark, known.idle)
        });
        let mut stats: Vec<_> = stats.collect();
        stats.sort();
        stats
    }

    /// Returns the numbers of events, future, late and rejected ones.
    pub fn summary(&self) -> (u64, u64, u64, u64) {
        (self.events, self.future, self.late, self.rejected)
    }
}
