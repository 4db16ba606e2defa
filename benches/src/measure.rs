//! Measures seconds of processor time.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs `work`. Returns the processor time of this thread in seconds, and the result.
///
/// # Errors
/// The error of `work`.
///
/// # Errors
/// Those of `work`.
pub fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let started = thread_seconds();
    let result = work()?;
    Ok((thread_seconds() - started, result))
}

/// The minimum processor time of each part of some work over several rounds. Disturbances of the
/// machine hit different parts in each round. All rounds have the same parts.
#[derive(Debug, Default)]
pub struct Laps {
    least: Vec<f64>,
    /// The number of the current part, and its start time.
    lap: usize,
    since: f64,
}

impl Laps {
    /// Starts a round.
    pub fn start(&mut self) {
        self.lap = 0;
        self.restart_lap();
    }

    /// Excludes the work since the start of the current part.
    pub fn restart_lap(&mut self) {
        self.since = thread_seconds();
    }

    /// Ends the current part and starts the next one.
    pub fn end_lap(&mut self) {
        let now = thread_seconds();
        let taken = now - self.since;
        match self.least.get_mut(self.lap) {
            Some(least) => *least = least.min(taken),
            None => self.least.push(taken),
        }
        self.lap += 1;
        self.since = now;
    }

    /// Returns the sum of the minimum seconds of all parts.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.least.iter().sum()
    }
}

#[expect(unsafe_code, reason = "the clock of a thread is a call of the C library")]
#[expect(clippy::cast_precision_loss, reason = "seconds and nanoseconds of a run")]
fn thread_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to a structure that outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Runs a child process to its end. Returns its processor time, user and system, and its output.
///
/// # Errors
/// The child does not start or fails.
///
/// # Errors
/// A child that does not start or that fails.
pub fn child(command: &mut Command) -> Result<(f64, String)> {
    let before = children_seconds()?;
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", output.status);
    }
    Ok((children_seconds()? - before, String::from_utf8(output.stdout)?))
}

/// Returns the processor time of all ended children, as Linux counts it: in hundredths of a second.
fn children_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field is the name in parentheses. Fields 16 and 17 are the times of children.
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat has a name")?;
    let ticks = fields.split_whitespace().skip(13).take(2).map(str::parse::<u32>);
    let ticks: u32 = ticks.sum::<std::result::Result<u32, _>>()?;
    Ok(f64::from(ticks) / 100.0)
}
