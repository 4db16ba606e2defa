//! `cargo xtask campaign`: long random tests of a chosen size.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::run::{cargo, text};
use crate::{fuzz, setup};

const CAMPAIGNS: &str = "there are: pipelines [--count N] [--seed S], state [--count N], \
                         snapshots [--every N], fuzz [--seconds N] [--target NAME]";

/// Runs the campaign that `arguments` name, with its options.
pub(crate) fn campaign(arguments: &[String]) -> Result<ExitCode> {
    match arguments.split_first() {
        Some((name, options)) if name == "pipelines" => pipelines(options),
        Some((name, options)) if name == "state" => state(options),
        Some((name, options)) if name == "snapshots" => snapshots(options),
        Some((name, options)) if name == "fuzz" => fuzz(options),
        _ => bail!("{CAMPAIGNS}"),
    }
}

/// Runs random pipelines from seed S on, with every way to cut the stream:
/// `core/tests/pipelines`.
fn pipelines(options: &[String]) -> Result<ExitCode> {
    let test = ["test", "--quiet", "--release", "--package", "stream-processor-core"];
    let mut command = cargo(&test);
    for option in options.chunks(2) {
        let (variable, value) = match option {
            [name, value] if name == "--count" => ("CAMPAIGN_COUNT", value),
            [name, value] if name == "--seed" => ("CAMPAIGN_SEED", value),
            _ => bail!("no such option: {}; {CAMPAIGNS}", option.join(" ")),
        };
        let number: u64 =
            value.parse().with_context(|| format!("{}: a number", option.join(" ")))?;
        command.env(variable, number.to_string());
    }
    command.args(["--test", "pipelines", "long_campaign", "--", "--ignored", "--nocapture"]);
    exit_code(&mut command)
}

/// Runs the tests of the state backends with N kills of each local store, on real servers:
/// `host/processor/tests/state`.
fn state(options: &[String]) -> Result<ExitCode> {
    let count = number(options, "--count", 50)?;
    setup::servers()?;
    let mut command = cargo(&["test", "--quiet", "--release", "--package", "processor"]);
    command.args(["--all-features", "--test", "state", "--", "--nocapture"]);
    command.env("STREAM_PROCESSOR_SERVERS", "required");
    command.env("STREAM_PROCESSOR_CRASHES", count.to_string());
    exit_code(&mut command)
}

/// Runs every forgery of the state of all vectors, or every N-th: `core/tests/it/snapshots`. Built
/// with the checks of the dev profile, such as those of overflows.
fn snapshots(options: &[String]) -> Result<ExitCode> {
    let every = number(options, "--every", 1)?;
    let mut command = cargo(&["test", "--quiet", "--package", "stream-processor-core"]);
    command.args(["--test", "it", "snapshot_campaign", "--", "--ignored", "--nocapture"]);
    command.env("CAMPAIGN_EVERY", every.max(1).to_string());
    exit_code(&mut command)
}

/// Runs the fuzz targets for N seconds each: `tests/fuzz`.
fn fuzz(options: &[String]) -> Result<ExitCode> {
    let (mut seconds, mut target) = (120, None);
    for option in options.chunks(2) {
        match option {
            [name, value] if name == "--seconds" => {
                seconds = value.parse().with_context(|| format!("--seconds {value}: a number"))?;
            }
            [name, value] if name == "--target" => target = Some(value.as_str()),
            _ => bail!("no such option: {}; {CAMPAIGNS}", option.join(" ")),
        }
    }
    fuzz::fuzz(seconds, target)
}

/// Returns the number of the only option, `name`, or `default` if there are no options.
fn number(options: &[String], name: &str, default: u32) -> Result<u32> {
    match options {
        [] => Ok(default),
        [found, value] if found == name => {
            value.parse().with_context(|| format!("{name} {value}: a number"))
        }
        _ => bail!("no such option: {}; {CAMPAIGNS}", options.join(" ")),
    }
}

/// Runs a command to its end, with its output, and returns its result.
fn exit_code(command: &mut Command) -> Result<ExitCode> {
    let status = command.status().with_context(|| format!("cannot start {}", text(command)))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
