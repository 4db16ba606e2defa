//! Windows that take late events, give early rows or wait until they are final: as the oracle says, however they are run.

mod common;

use std::collections::BTreeMap;

use common::{Event, KeysAs, Row, Run, bits, cuts, encoded, events, run_cut, spec};
use proptest::prelude::*;
use stream_processor_core::{Engine, Options, PipelineSpec, RejectReason, watermark::Generator};

/// A window stage; times in microseconds.
#[derive(Debug, Clone, Copy)]
struct Setup {
    size: i64,
    slide: i64,
    offset: i64,
    lateness: i64,
    early: Option<i64>,
    is_final: bool,
}

impl Setup {
    fn tumbling(size: i64) -> Self {
        Self { size, slide: size, offset: 0, lateness: 0, early: None, is_final: false }
    }

    fn sliding(size: i64, slide: i64) -> Self {
        Self { slide, ..Self::tumbling(size) }
    }

    fn lateness(self, lateness: i64) -> Self {
        Self { lateness, ..self }
    }

    fn early(self, early: i64) -> Self {
        Self { early: Some(early), ..self }
    }

    fn once(self) -> Self {
        Self { is_final: true, ..self }
    }

    fn stage(self, field: &str) -> String {
        self.stage_of(field, r#""count", "sum", "avg", "min", "max""#)
    }

    fn stage_of(self, field: &str, aggregations: &str) -> String {
        let Self { size, slide, offset, lateness, early, is_final } = self;
        let mut text = format!(
            r#"{{"type": "window", "size": "{size}us", "offset": "{offset}us", "allowed_lateness": "{lateness}us",
                "field": "{field}", "aggregations": [{aggregations}]"#
        );
        match slide == size {
            true => text.push_str(r#", "window": "tumbling""#),
            false => text.push_str(&format!(r#", "window": "sliding", "slide": "{slide}us""#)),
        }
        if let Some(early) = early {
            text.push_str(&format!(r#", "early": "{early}us""#));
        }
        if is_final {
            text.push_str(r#", "emit": "final""#);
        }
        text + "}"
    }

    fn revises(self) -> bool {
        !self.is_final && (self.lateness > 0 || self.early.is_some())
    }

    fn last_us(self, start: i64) -> i64 {
        start + self.size - 1
    }

    fn fires_at(self, start: i64) -> i64 {
        self.last_us(start) + if self.is_final { self.lateness } else { 0 }
    }

    fn gone_at(self, start: i64) -> i64 {
        self.last_us(start) + self.lateness
    }

    /// The starts of the windows that cover `time`, the first first.
    fn starts(self, time: i64) -> Vec<i64> {
        let mut start = (time - self.offset).div_euclid(self.slide) * self.slide + self.offset;
        let mut starts = Vec::new();
        while start + self.size > time {
            starts.insert(0, start);
            start -= self.slide;
        }
        starts
    }
}

fn pipeline(stages: &[String], bound: Option<i64>, result_rows: u32) -> PipelineSpec {
    let bound = bound.map_or("unbounded".to_owned(), |bound| format!("{bound}us"));
    spec(&format!(
        r#"{{"source": {{"key": "k", "value": "v"}}, "time": {{"max_out_of_orderness": "{bound}"}},
            "limits": {{"max_result_rows": {result_rows}}}, "stages": [{}]}}"#,
        stages.join(", ")
    ))
}

/// Events, each with the watermark that it meets, and the watermark after the last of them.
struct Judged {
    events: Vec<(Event, i64)>,
    watermark: i64,
}

fn judged(events: &[Event], bound: Option<i64>) -> Judged {
    let mut watermark = i64::MIN;
    let mut list = Vec::new();
    for event in events {
        list.push((*event, watermark));
        if let Some(bound) = bound {
            watermark = watermark.max(event.ts - bound - 1);
        }
    }
    Judged { events: list, watermark }
}

/// The stage, event by event: all values of every window are kept, and each row is computed from them anew.
struct Oracle {
    setup: Setup,
    open: BTreeMap<(i64, Vec<u8>), Open>,
    watermark: i64,
    /// Each row behind its rank and the watermark of the event before the one at which it came.
    rows: Vec<(u64, Row, i64)>,
    late: u64,
    unassigned: u64,
}

#[derive(Default)]
struct Open {
    id: u32,
    values: Vec<f64>,
    rows: u32,
    changed: bool,
}

impl Oracle {
    fn of(setup: Setup, stream: &Judged) -> Self {
        let (open, rows) = (BTreeMap::new(), Vec::new());
        let mut oracle = Self { setup, open, watermark: i64::MIN, rows, late: 0, unassigned: 0 };
        for (ordinal, (event, watermark)) in (0..).zip(&stream.events) {
            oracle.advance(*watermark);
            oracle.take(event, ordinal);
        }
        oracle.advance(stream.watermark);
        oracle.advance(i64::MAX);
        oracle
    }

    /// Fires all that is due between the watermark so far and `to`.
    fn advance(&mut self, to: i64) {
        let setup = self.setup;
        let crossed = |due: i64| self.watermark < due && due <= to;
        let mut due = Vec::new();
        for (start, key) in self.open.keys() {
            let fires_at = setup.fires_at(*start);
            if crossed(fires_at) {
                due.push((fires_at, *start, key.clone()));
            }
            let early = |step: i64| (1..).map(move |nth| start + nth * step);
            let early = setup.early.into_iter().flat_map(early);
            let early = early.take_while(|due| *due < fires_at && *due <= to);
            due.extend(early.filter(|due| crossed(*due)).map(|due| (due, *start, key.clone())));
        }
        due.sort();
        for (firing, start, key) in due {
            let on_time = firing == setup.fires_at(start);
            if on_time || self.open[&(start, key.clone())].changed {
                self.emit(start, key, firing, 0, !on_time);
            }
        }
        self.watermark = to;
        self.open.retain(|(start, _), _| setup.gone_at(*start) > to);
    }

    fn take(&mut self, event: &Event, ordinal: u64) {
        let (setup, key) = (self.setup, encoded(event.key));
        let starts = setup.starts(event.ts);
        self.unassigned += u64::from(starts.is_empty());
        let gone = starts.iter().filter(|start| setup.gone_at(**start) <= self.watermark).count();
        self.late += u64::from(!starts.is_empty() && gone == starts.len());
        for start in &starts[gone..] {
            let window = self.open.entry((*start, key.clone())).or_default();
            window.id = event.key;
            window.values.push(event.value);
            window.changed = true;
        }
        for start in &starts[gone..] {
            if setup.fires_at(*start) <= self.watermark {
                self.emit(*start, key.clone(), self.watermark, ordinal + 1, false);
            }
        }
    }

    fn emit(&mut self, start: i64, key: Vec<u8>, firing: i64, rank: u64, early: bool) {
        let setup = self.setup;
        let window = self.open.get_mut(&(start, key.clone())).unwrap();
        let mut values = results(&window.values).to_vec();
        if setup.revises() {
            values.push(f64::from(window.rows));
        }
        if setup.early.is_some() {
            values.push(f64::from(u8::from(early)));
        }
        window.rows += 1;
        window.changed = false;
        let values = values.into_iter().map(bits).collect();
        let row = Row { firing, end: start + setup.size, start, key, values };
        self.rows.push((rank, row, self.watermark));
    }

    fn plain_rows(&self) -> Vec<Row> {
        self.rows.iter().map(|(_, row, _)| row.clone()).collect()
    }

    /// What the next stage sees: the counts of the rows at the windows' last microseconds.
    fn passed_on(&self, watermark: i64) -> Judged {
        let lag = self.setup.lateness;
        let rows = self.rows.iter().map(|(_, row, watermark)| {
            let key = (0..8).find(|key| encoded(*key) == row.key).unwrap();
            let value = f64::from_bits(row.values[0]);
            (Event { ts: row.end - 1, key, value }, watermark.saturating_sub(lag))
        });
        Judged { events: rows.collect(), watermark: watermark.saturating_sub(lag) }
    }
}

/// count, sum, avg, min, max of whole numbers: no rounding, whatever the order.
fn results(values: &[f64]) -> [f64; 5] {
    let sum: f64 = values.iter().sum();
    let count = values.len() as f64;
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [count, sum, sum / count, min, max]
}

fn whole_numbers() -> impl Strategy<Value = Vec<Event>> {
    events().prop_map(|mut events| {
        for (nth, event) in (0..).zip(&mut events) {
            event.value = f64::from(nth * 37 % 101);
        }
        events
    })
}

fn setups() -> impl Strategy<Value = Setup> {
    let windows = vec![
        (1_000, 1_000),
        (7_000, 7_000),
        (20_000, 20_000),
        (10_000, 3_000),
        (3_000, 10_000),
        (2_500, 1_000),
        (4_000, 6_000),
        (8_000, 1_000),
    ];
    let offset = prop::sample::select(vec![0_i64, 300_000, -900_001]);
    let lateness = prop::sample::select(vec![0_i64, 1, 400_000, 3_000_000, 40_000_000]);
    let early = prop::sample::select(vec![None, Some(300_000), Some(1_000_000), Some(999_999)]);
    let windows = prop::sample::select(windows);
    (windows, offset, lateness, early, any::<bool>()).prop_map(
        |((size, slide), offset, lateness, early, is_final)| Setup {
            size: size * 1000,
            slide: slide * 1000,
            offset,
            lateness,
            early: early.filter(|early| !is_final && *early < size * 1000),
            is_final,
        },
    )
}

fn bounds() -> impl Strategy<Value = Option<i64>> {
    prop::sample::select(vec![Some(0), Some(0), Some(700_000), Some(2_000_000), None])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn rows_are_those_of_the_oracle(
        events in whole_numbers(),
        cuts in cuts(),
        setup in setups(),
        bound in bounds(),
        buffer in prop::sample::select(vec![1_u32, 3, 1000]),
        restores_when_full in prop::sample::select(vec![false, false, true]),
    ) {
        let due = Oracle::of(setup, &judged(&events, bound));
        prop_assume!(!restores_when_full || due.rows.len() < 300);
        let mut run = Run::new(pipeline(&[setup.stage("v")], bound, buffer));
        run.restores_when_full = restores_when_full;
        let (rows, stats) = run_cut(run, &events, &cuts);
        prop_assert_eq!(rows, due.plain_rows());
        prop_assert_eq!(stats.late_dropped, due.late);
        prop_assert_eq!(stats.unassigned, due.unassigned);
        prop_assert_eq!(stats.events, events.len() as u64);
        prop_assert_eq!((stats.stages[0].keys, stats.stages[0].open_windows), (0, 0));
    }

    #[test]
    fn roll_ups_see_final_rows_that_are_never_late(
        events in whole_numbers(),
        cuts in cuts(),
        first in setups(),
        second in setups(),
        bound in bounds(),
        buffer in prop::sample::select(vec![1_u32, 3, 1000]),
        restores_when_full in prop::sample::select(vec![false, false, true]),
    ) {
        let first = Setup { early: None, is_final: true, ..first };
        let stream = judged(&events, bound);
        let between = Oracle::of(first, &stream);
        let due = Oracle::of(second, &between.passed_on(stream.watermark));
        prop_assume!(!restores_when_full || due.rows.len() < 300);
        // What one says of the first stage makes no difference: others follow.
        let said = Setup { is_final: false, ..first };
        let mut run = Run::new(pipeline(&[said.stage("v"), second.stage("count")], bound, buffer));
        run.restores_when_full = restores_when_full;
        let (rows, stats) = run_cut(run, &events, &cuts);
        prop_assert_eq!(due.late, 0);
        prop_assert_eq!(stats.stages[1].late_dropped, 0);
        prop_assert_eq!(stats.stages[0].late_dropped, between.late);
        prop_assert_eq!(rows, due.plain_rows());
    }

    #[test]
    fn the_last_row_is_the_final_one_to_the_last_bit(
        events in events(),
        setup in setups(),
        bound in bounds(),
    ) {
        let aggregations = r#""count", "sum", "avg", "min", "max", "range", "variance", "first", "last", "p50",
            {"op": "stddev", "population": true}, {"op": "p99", "engine": "exact"}"#;
        let rows = |setup: Setup| {
            let stage = setup.stage_of("v", aggregations);
            run_cut(Run::new(pipeline(&[stage], bound, 100_000)), &events, &[]).0
        };
        let mut last = BTreeMap::new();
        for row in rows(Setup { is_final: false, ..setup }) {
            last.insert((row.end, row.key), row.values[..12].to_vec());
        }
        let once = rows(Setup { early: None, is_final: true, ..setup });
        prop_assert_eq!(once.len(), last.len());
        for row in once {
            prop_assert_eq!(Some(&row.values), last.get(&(row.end, row.key)));
        }
    }

    #[test]
    fn shards_give_the_rows_of_one_instance(
        events in whole_numbers(),
        setup in setups(),
        bound in bounds(),
        batch in 1_usize..50,
        shards in 2_u32..5,
    ) {
        let pipeline = pipeline(&[setup.stage("v")], bound, 1000);
        let mut generator = Generator::new(&pipeline);
        let mut runs: Vec<Run> = (0..shards).map(|_| Run::new(pipeline.clone())).collect();
        let mut ordinal = 0;
        for batch in events.chunks(batch) {
            let timestamps: Vec<i64> = batch.iter().map(|event| event.ts).collect();
            let mut watermarks = Vec::new();
            generator.observe_all(&timestamps, &mut watermarks);
            for (shard, run) in (0..).zip(&mut runs) {
                let mine = |at: &usize| batch[*at].key % shards == shard;
                let picked: Vec<usize> = (0..batch.len()).filter(mine).collect();
                let part: Vec<Event> = picked.iter().map(|at| batch[*at]).collect();
                let met: Vec<i64> = picked.iter().map(|at| watermarks[*at]).collect();
                let ordinals: Vec<u64> = picked.iter().map(|at| ordinal + *at as u64).collect();
                run.push_judged(&part, Some(&ordinals), Some(&met), KeysAs::Ids);
                run.advance(generator.watermark());
            }
            ordinal += batch.len() as u64;
        }
        let mut rows = Vec::new();
        for mut run in runs {
            run.end();
            rows.extend(run.ranks.into_iter().zip(run.rows));
        }
        let order = |(rank, row): &(u64, Row)| (row.firing, *rank, row.end, row.key.clone());
        rows.sort_by_key(order);
        let due = Oracle::of(setup, &judged(&events, bound)).rows;
        let due: Vec<_> = due.into_iter().map(|(rank, row, _)| (rank, row)).collect();
        prop_assert!(due.is_sorted_by_key(order));
        prop_assert_eq!(rows, due);
    }
}

const SECOND: i64 = 1_000_000;

fn at(seconds: i64, key: u32) -> Event {
    Event { ts: seconds * SECOND, key, value: 1.0 }
}

fn run_of(setup: Setup) -> Run {
    Run::new(pipeline(&[setup.stage("v")], Some(0), 1000))
}

/// Start in seconds, count and revision of each row so far.
fn said(run: &mut Run) -> Vec<(i64, u32, u32)> {
    while run.poll(100) > 0 {}
    let number = |bits: u64| f64::from_bits(bits) as u32;
    let row = |row: Row| (row.start / SECOND, number(row.values[0]), number(row.values[5]));
    core::mem::take(&mut run.rows).into_iter().map(row).collect()
}

#[test]
fn a_late_event_makes_its_window_fire_again_until_it_is_gone() {
    let mut run = run_of(Setup::tumbling(10 * SECOND).lateness(5 * SECOND));
    run.push(&[at(1, 1), at(12, 1)], KeysAs::Ids);
    assert_eq!(said(&mut run), [(0, 1, 0)]);
    run.push(&[at(2, 1)], KeysAs::Ids);
    assert_eq!(said(&mut run), [(0, 2, 1)], "at once");
    run.push(&[at(3, 2)], KeysAs::Ids);
    assert_eq!(said(&mut run), [(0, 1, 0)], "a key that had no row yet gets its first one");
    assert_eq!(run.engine.stats().stages[0].open_windows, 3);
    // The watermark is just below 15 s after this one, which is when the window is gone.
    run.push(&[at(15, 1), at(4, 1)], KeysAs::Ids);
    assert_eq!(said(&mut run), []);
    let drops = run.engine.drops(10);
    assert_eq!((drops[0].ordinal, drops[0].reason), (5, RejectReason::Late));
    assert_eq!((drops[0].watermark, drops[0].window_end), (15 * SECOND - 1, Some(10 * SECOND)));
    assert_eq!(drops[0].late_by(run.engine.plan()), Some(0));
    assert_eq!(run.engine.stats().stages[0].open_windows, 1, "the window is forgotten");
    run.push(&[at(20, 1), at(9, 1)], KeysAs::Ids);
    assert_eq!(run.engine.drops(10)[0].late_by(run.engine.plan()), Some(5 * SECOND));
}

#[test]
fn a_late_event_makes_all_of_its_sliding_windows_fire_again_that_have_fired() {
    let mut run = run_of(Setup::sliding(10 * SECOND, 5 * SECOND).lateness(5 * SECOND));
    run.push(&[at(1, 1), at(7, 1), at(16, 1)], KeysAs::Ids);
    run.push(&[at(16, 1)], KeysAs::Ids);
    assert_eq!(said(&mut run), [(-5, 1, 0), (0, 2, 0), (5, 1, 0)]);
    // The watermark is just below 16 s: [-5, 5) and [0, 10) are gone, [5, 15) has fired.
    run.push(&[at(8, 1), at(4, 1)], KeysAs::Ids);
    assert_eq!(said(&mut run), [(5, 2, 1)]);
    assert_eq!(run.engine.stats().late_dropped, 1);
}

#[test]
fn final_rows_come_once_when_no_more_events_are_allowed() {
    let mut run = run_of(Setup::tumbling(10 * SECOND).lateness(5 * SECOND).once());
    run.push(&[at(1, 1), at(12, 1), at(2, 1), at(14, 1)], KeysAs::Ids);
    assert_eq!(run.poll(10), 0);
    let stage = run.engine.stats().stages[0].clone();
    assert_eq!((stage.watermark, stage.next_fire), (Some(14 * SECOND - 1), Some(15 * SECOND - 1)));
    run.push(&[at(15, 1)], KeysAs::Ids);
    assert_eq!(run.poll(10), 1);
    assert_eq!(run.rows[0].values.len(), 5, "no revision");
    assert_eq!((run.rows[0].firing, run.rows[0].end), (15 * SECOND - 1, 10 * SECOND));
    assert_eq!(run.engine.stats().stages[0].next_fire, Some(25 * SECOND - 1));
}

#[test]
fn early_rows_come_as_the_watermark_crosses_their_time_and_only_of_what_has_changed() {
    let mut run = run_of(Setup::tumbling(60 * SECOND).early(10 * SECOND));
    run.push(&[at(1, 1), at(2, 2), at(10, 1)], KeysAs::Ids);
    assert_eq!(said(&mut run), [], "the watermark is just below 10 s");
    run.push(&[at(11, 1)], KeysAs::Ids);
    assert_eq!(said(&mut run), [(0, 3, 0), (0, 1, 0)]);
    run.push(&[at(12, 1), at(55, 1)], KeysAs::Ids);
    let early = |run: &Run| run.rows.iter().map(|row| row.values[6] == bits(1.0)).collect();
    run.poll(10);
    let (firing, marks): (Vec<i64>, Vec<bool>) =
        (run.rows.iter().map(|row| row.firing).collect(), early(&run));
    assert_eq!((firing, marks), (vec![20 * SECOND], vec![true]), "one row, however far it went");
    assert_eq!(said(&mut run), [(0, 5, 1)]);
    run.push(&[at(70, 9)], KeysAs::Ids);
    run.poll(10);
    assert_eq!(early(&run), [false, false]);
    assert_eq!(said(&mut run), [(0, 5, 2), (0, 1, 1)], "all keys, changed or not");
}

#[test]
fn a_jump_costs_rows_not_time() {
    let setup = Setup::sliding(3600 * SECOND, 600 * SECOND).lateness(SECOND).early(1_000);
    let mut run = run_of(setup);
    let far = 200 * 365 * 86_400;
    run.push(&[at(0, 1), at(far, 1), at(far, 2)], KeysAs::Ids);
    let rows = said(&mut run);
    let of = |revision, start| rows.iter().filter(|row| row.2 == revision && row.0 < start).count();
    assert_eq!(of(0, 3600), 6, "one early row of each window");
    assert_eq!(of(1, 3600), 6, "and the one when it ends");
    assert_eq!(
        rows.len(),
        17,
        "and early ones of the windows that have begun where it has come to"
    );
}

#[test]
fn slices_that_are_kept_for_late_events_count_for_the_limit() {
    let setup = Setup::tumbling(SECOND).lateness(2 * SECOND);
    let mut pipeline = pipeline(&[setup.stage("v")], Some(0), 1000);
    pipeline.limits.max_windows_per_key = 3;
    let mut run = Run::new(pipeline.clone());
    run.push(&[at(0, 1), at(1, 1), at(2, 1), at(3, 1), at(4, 1)], KeysAs::Ids);
    let drops = run.engine.drops(10);
    assert_eq!(drops.len(), 1, "two that have fired, one that will, and none more");
    assert_eq!((drops[0].ordinal, drops[0].reason), (3, RejectReason::WindowLimit));
    pipeline.limits.max_windows_per_key = 2;
    let error = Engine::open(&pipeline, Options::default()).map(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "stages[0].allowed_lateness: 2s after windows of 1s, 3 pieces of 1000000 us would be kept for each key, \
         more than limits.max_windows_per_key = 2"
    );
}

#[test]
fn descriptions_that_do_not_fit_are_refused_with_the_reason() {
    let error = |fields: &str, more: &str| {
        let text = format!(
            r#"{{"source": {{"value": "v"}}, "stages": [{{"type": "window", "window": "tumbling", "size": "10s",
                "aggregations": ["count"], {fields}}}{more}]}}"#
        );
        match PipelineSpec::from_json(&text) {
            Ok(spec) => match Engine::open(&spec, Options::default()) {
                Ok(_) => String::new(),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        }
    };
    let next =
        r#", {"type": "window", "window": "tumbling", "size": "1m", "aggregations": ["sum"]}"#;
    let cases = [
        (
            r#""allowed_lateness": "-1s""#,
            "",
            "stages[0].allowed_lateness: -1s: must be 0s or longer",
        ),
        (
            r#""early": "10s""#,
            "",
            "stages[0].early: 10s: must be longer than 0s and shorter than the window, 10s",
        ),
        (r#""early": "0s""#, "", "stages[0].early: 0s: must be longer than 0s"),
        (
            r#""early": "1s""#,
            next,
            "stages[0].early: a window before another stage gives each row once",
        ),
        (
            r#""early": "1s", "emit": "final""#,
            "",
            "stages[0].early: emit = \"final\" gives each row once",
        ),
        (r#""emit": "finl""#, "", "did you mean `final`?"),
    ];
    for (fields, more, start) in cases {
        let found = error(fields, more);
        assert!(found.contains(start), "{found}");
    }
    let taken = r#", {"type": "window", "window": "tumbling", "size": "1m", "early": "1s",
        "aggregations": [{"op": "sum", "name": "revision"}]}"#;
    assert!(error(r#""emit": "close""#, taken).contains("a second column `revision`"));
    assert_eq!(error(r#""allowed_lateness": "1s", "emit": "final""#, next), "");
}

#[test]
fn columns_say_which_row_of_a_window_it_is_only_where_there_may_be_several() {
    let columns = |setup: Setup| {
        let run = run_of(setup);
        let columns = run.engine.plan().output.columns.iter().skip(7);
        columns.map(|column| column.name.clone()).collect::<Vec<_>>()
    };
    let plain = Setup::tumbling(SECOND);
    assert_eq!(columns(plain), [""; 0]);
    assert_eq!(columns(plain.lateness(1)), ["revision"]);
    assert_eq!(columns(plain.early(1)), ["revision", "early"]);
    assert_eq!(columns(plain.lateness(1).once()), [""; 0]);
}
