//! The first invariant of ARCHITECTURE.md for random pipelines: the rows depend on the pipeline and
//! on the events in their order, and on nothing else.
//!
//! `cargo test` runs a short campaign. `cargo xtask campaign pipelines` runs a long one with other
//! seeds.

use crate::cases::{
    Case, Choice, Failure, Outcome, agrees_with_unbounded, check, generate, shrink,
};

/// The results of all cases of a campaign.
#[derive(Default)]
struct Report {
    valid: usize,
    refused: usize,
    sharded: usize,
    rows: usize,
    failures: Vec<(u64, Case, Failure)>,
}

/// Runs the cases of `seeds` until `most_failures` of them have failed, and shrinks those.
fn campaign(
    choice: Choice,
    seeds: std::ops::Range<u64>,
    most_failures: usize,
    property: impl Fn(&Case, u64) -> Result<Outcome, Failure>,
) -> Report {
    let mut report = Report::default();
    for seed in seeds {
        let case = generate(seed, choice);
        match property(&case, seed) {
            Ok(Outcome::Refused) => report.refused += 1,
            Ok(Outcome::Agrees { sharded, rows }) => {
                report.valid += 1;
                report.sharded += usize::from(sharded > 0);
                report.rows += rows;
            }
            Err(failure) => {
                report.valid += 1;
                let (case, failure) = shrink(case, failure, |case| property(case, seed).err());
                report.failures.push((seed, case, failure));
                if report.failures.len() >= most_failures {
                    break;
                }
            }
        }
    }
    report
}

impl Report {
    /// Panics if a case has failed, or if the cases do not test what they should.
    fn assert_passed(&self) {
        for (seed, case, failure) in &self.failures {
            println!(
                "seed {seed}, {}: {} differ\n{case}{}\n",
                case.stages().join(" -> "),
                failure.what,
                failure.detail
            );
        }
        let Self { valid, refused, sharded, rows, failures } = self;
        println!(
            "{valid} pipelines, {sharded} of them in shards, {rows} rows; {refused} are refused"
        );
        assert!(failures.is_empty(), "{} of {valid} pipelines fail", failures.len());
        assert!(*valid > 7 * refused / 3, "most of what is generated is a pipeline");
        assert!(*rows > *valid, "pipelines give rows");
    }
}

#[test]
fn rows_do_not_depend_on_batches_polls_snapshots_or_shards() {
    let report = campaign(Choice::Everything, 0..250, 3, check);
    report.assert_passed();
    assert!(report.sharded > 50, "many pipelines run in shards: {}", report.sharded);
}

/// Checks that without late events the final rows are those of a batch computation over all events.
///
/// Excluded is what depends on the order of arrival by definition: `ema`, `rolling`, `zscore`,
/// `dedup` and count windows; early rows; and `max_buffered`, a limit on what waits for the
/// watermark. Sums are still equal bit by bit: a stage processes the rows of the stage before it in
/// the order of their firing, which does not depend on the disorder.
#[test]
fn stream_without_late_events_has_the_final_rows_of_an_unbounded_one() {
    let unbounded = |case: &Case, _: u64| agrees_with_unbounded(case);
    campaign(Choice::AnyOrder, 0..500, 3, unbounded).assert_passed();
}

#[test]
#[ignore = "long: cargo xtask campaign pipelines"]
#[allow(clippy::disallowed_methods, reason = "the campaign's options come from its command")]
fn long_campaign() {
    let option = |name: &str, default: u64| {
        std::env::var(name).ok().map_or(default, |text| text.parse().expect(name))
    };
    let (first, count) = (option("CAMPAIGN_SEED", 1_000_000), option("CAMPAIGN_COUNT", 3_000));
    let seeds = first..first + count;
    let cut = campaign(Choice::Everything, seeds.clone(), 20, check);
    let unbounded = |case: &Case, _: u64| agrees_with_unbounded(case);
    let complete = campaign(Choice::AnyOrder, seeds, 20, unbounded);
    let all = Report {
        valid: cut.valid + complete.valid,
        refused: cut.refused + complete.refused,
        sharded: cut.sharded,
        rows: cut.rows + complete.rows,
        failures: [cut.failures, complete.failures].concat(),
    };
    all.assert_passed();
}
