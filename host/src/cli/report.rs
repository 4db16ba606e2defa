//! Messages of a run on stderr: the first bad lines, a progress bar, and a summary at the end.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use stream_processor::{
    Observer, PartitionSummary, RefusedLine, RunProgress, Summary, UnlikelyTimes,
};
use stream_processor_core::Escaped;
use stream_processor_core::time::write_rfc3339;

use super::describe;
use super::loss::Options;

/// Maximum number of bad lines to print. All are counted.
const BAD_LINES_SHOWN: u64 = 5;

/// Maximum number of partitions to print. `--summary-json` lists all.
const PARTITIONS_SHOWN: usize = 10;

/// 1980 in microseconds since the epoch.
const YEAR_1980: i64 = 315_532_800_000_000;

/// The period of the spinner while no input arrives.
const SPINNER_PERIOD: Duration = Duration::from_millis(250);

/// Prints the messages of a run.
pub(crate) struct Report {
    quiet: bool,
    options: Options,
    bar: Option<ProgressBar>,
    bad_lines: u64,
}

impl Report {
    /// Creates a report. `len_bytes` is the length of the input, if it is known. There is no
    /// progress bar if rows are printed on the terminal.
    pub(crate) fn new(
        quiet: bool,
        options: Options,
        len_bytes: Option<u64>,
        rows_on_terminal: bool,
    ) -> Self {
        let wanted = !quiet && !rows_on_terminal && io::stderr().is_terminal();
        Self { quiet, options, bar: wanted.then(|| bar(len_bytes)), bad_lines: 0 }
    }

    /// Prints a line above the progress bar.
    fn print(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| print_message(line)),
            None => print_message(line),
        }
    }

    /// Removes the progress bar and prints the number of bad lines that were not printed.
    pub(crate) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let more = self.bad_lines.saturating_sub(BAD_LINES_SHOWN);
        if more > 0 && !self.quiet {
            let lines = if more == 1 { "line" } else { "lines" };
            print_message(&format!("... and {} more bad {lines}", HumanCount(more)));
        }
    }
}

impl Observer for Report {
    fn refused(&mut self, line: &RefusedLine<'_>) {
        self.bad_lines += 1;
        if self.quiet || self.bad_lines > BAD_LINES_SHOWN {
            return;
        }
        self.print(&line.to_string());
    }

    fn unlikely_times(&mut self, times: &UnlikelyTimes) {
        if !self.quiet {
            self.print(&format!("warning: {}", unlikely(times, self.options)));
        }
    }

    fn warning(&mut self, message: &str) {
        if self.quiet {
            return;
        }
        let text = format!("warning: {message}");
        match &self.bar {
            Some(bar) => bar.suspend(|| print_message(&text)),
            None => print_message(&text),
        }
    }

    fn progress(&mut self, progress: &RunProgress) {
        if let Some(bar) = &self.bar {
            bar.set_position(progress.bytes());
            let events = progress.accepted();
            let rate = events as f64 / bar.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
            bar.set_message(format!("{} events, {}", HumanCount(events), per_second(rate)));
        }
    }
}

/// Returns a line about event times that can hardly be meant, and what to do.
fn unlikely(times: &UnlikelyTimes, options: Options) -> String {
    let set = |flag: &str, value: &str| match options {
        Options::Flags => format!("--{} {value}", flag.replace('_', "-")),
        Options::File => format!("{flag} = \"{value}\""),
    };
    let advice = match times.fitting_unit {
        Some((unit, time)) => {
            let name = describe::name(&unit);
            format!("with {} this is {}", set("timestamp_unit", &name), rfc3339(time))
        }
        None if times.are_dates => {
            format!("with {} they are dates", set("timestamp_format", "%Y%m%d"))
        }
        None => {
            let unit = set("timestamp_unit", "UNIT");
            format!("if they are not meant, check the field of the time, and its unit ({unit})")
        }
    };
    let side = if times.example < YEAR_1980 { "before 1980" } else { "after 2200" };
    format!("most event times are {side}, such as {}: {advice}", rfc3339(times.example))
}

fn rfc3339(time: i64) -> String {
    let mut text = Vec::new();
    write_rfc3339(time, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Returns a progress bar if the length of the input is known, otherwise a spinner.
fn bar(len_bytes: Option<u64>) -> ProgressBar {
    let (bar, template) = match len_bytes {
        Some(len) => (ProgressBar::new(len), "{percent:>3} % {wide_bar} {msg}, {eta} left"),
        None => {
            let spinner = ProgressBar::new_spinner();
            spinner.enable_steady_tick(SPINNER_PERIOD);
            (spinner, "{spinner} {elapsed}  {bytes}  {msg}")
        }
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Returns a summary of the run in one line.
pub(crate) fn sentence(summary: &Summary) -> String {
    let mut parts = vec![counted(summary.events, "event", "events")];
    if summary.rejected > 0 {
        let reasons = summary.rejected_by_reason.iter();
        let reasons: Vec<_> =
            reasons.map(|(reason, count)| format!("{reason} {}", HumanCount(*count))).collect();
        parts.push(format!("{} rejected ({})", HumanCount(summary.rejected), reasons.join(", ")));
    }
    let others = [
        (summary.skipped, "skipped"),
        (summary.late_dropped, "late"),
        (summary.duplicates, if summary.duplicates == 1 { "duplicate" } else { "duplicates" }),
        (summary.unjudged, "unjudged"),
        (summary.unchecked, "unchecked"),
        (summary.future, "in the future"),
        (summary.unassigned, "in no window"),
        (summary.limit_dropped, "dropped at a limit"),
        (summary.evicted_events, "evicted"),
    ];
    let others = others.iter().filter(|(count, _)| *count > 0);
    parts.extend(others.map(|(count, what)| format!("{} {what}", HumanCount(*count))));
    if !summary.limits_struck.is_empty() {
        parts.push(format!("limits reached: {}", summary.limits_struck.join(", ")));
    }
    parts.push(counted(summary.rows, "row", "rows"));
    format!(
        "{} from {} in {:.2} s ({})",
        parts.join(", "),
        HumanBytes(summary.input_bytes),
        summary.elapsed_seconds,
        per_second(summary.events_per_second())
    )
}

/// Returns a line for each partition with its progress, if there are several.
pub(crate) fn partitions(summary: &Summary) -> Vec<String> {
    let all = summary.partitions.as_slice();
    if all.len() < 2 {
        return Vec::new();
    }
    let line = |of: &PartitionSummary| {
        let name = Escaped(of.partition.as_deref().unwrap_or("unnamed"));
        let reached = of.greatest_time.as_deref().unwrap_or("no event");
        let marks = [(of.idle, ", idle"), (of.holds_back, ", holds back the watermark")];
        let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
        format!("partition {name}: up to {reached}{marks}")
    };
    let mut lines: Vec<String> = all.iter().take(PARTITIONS_SHOWN).map(line).collect();
    let more = all.len().saturating_sub(PARTITIONS_SHOWN);
    if more > 0 {
        lines
            .push(format!("... and {}", counted(more as u64, "more partition", "more partitions")));
    }
    lines
}

/// Returns a count with its noun in the singular or plural.
fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", HumanCount(count), if count == 1 { one } else { many })
}

/// Returns a rate in events/s, k events/s or M events/s.
fn per_second(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{:.1} M events/s", rate / 1e6),
        rate if rate >= 1e3 => format!("{:.0} k events/s", rate / 1e3),
        rate => format!("{rate:.0} events/s"),
    }
}

/// True if a line could not be written to stderr.
static MESSAGE_WAS_LOST: AtomicBool = AtomicBool::new(false);

/// Writes a message of one or more lines to stderr, with [`Escaped`] names. A closed pipe is not a
/// failure.
pub(crate) fn print_message(message: &str) {
    let written = message.lines().try_for_each(|line| writeln!(io::stderr(), "{}", Escaped(line)));
    if written.is_err_and(|error| error.kind() != ErrorKind::BrokenPipe) {
        MESSAGE_WAS_LOST.store(true, Ordering::Relaxed);
    }
}

/// Returns whether a message could not be written.
pub(crate) fn message_was_lost() -> bool {
    MESSAGE_WAS_LOST.load(Ordering::Relaxed)
}
