//! Law 2 for random pipelines: rows are a function of the pipeline and of the events in their order.
//!
//! `cargo test` runs a short campaign, `cargo xtask campaign pipelines` a long one with other seeds.
#![cfg(feature = "text")]

mod pipelines;

use pipelines::{Case, Choice, Failure, Outcome, agrees_with_unbounded, check, generate, shrink};

/// What the cases of a campaign came to.
#[derive(Default)]
struct Report {
    valid: usize,
    refused: usize,
    sharded: usize,
    rows: usize,
    failures: Vec<(u64, Case, Failure)>,
}

/// Tries the cases of so many seeds, until so many have failed, and makes those smaller.
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
    /// Panics with all failures, if there are any, and where the cases do not test what they should.
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
        println!("{valid} pipelines, {sharded} of them in shards, {rows} rows; {refused} are none");
        assert!(failures.is_empty(), "{} of {valid} pipelines fail", failures.len());
        assert!(*valid > 7 * refused / 3, "most of what is generated is a pipeline");
        assert!(*rows > *valid, "pipelines give rows");
    }
}

#[test]
fn rows_do_not_depend_on_how_the_stream_is_cut() {
    let report = campaign(Choice::Everything, 0..250, 3, check);
    report.assert_passed();
    assert!(report.sharded > 50, "many pipelines run in shards: {}", report.sharded);
}

/// Where no event is late, the final rows are those of a batch computation over all events.
///
/// Left out is what depends on the order of arrival by definition: `ema`, `rolling`, `zscore`, `dedup` and windows of so
/// many events; early rows, which come beside the final ones; and `max_buffered`, a limit on what waits for the watermark.
/// Sums are equal to the last bit all the same: a stage takes the rows of the one before in the order of their firing,
/// which does not depend on the disorder that is allowed.
#[test]
fn final_rows_are_those_of_an_unbounded_stream_where_nothing_is_late() {
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
