//! `cargo xtask campaign`: long random tests of a chosen size.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::run::cargo;

const CAMPAIGNS: &str = "there is one campaign: pipelines [--count N] [--seed S]";

/// Runs the campaign that `arguments` name, with its options.
pub(crate) fn campaign(arguments: &[String]) -> Result<ExitCode> {
    match arguments.split_first() {
        Some((name, options)) if name == "pipelines" => pipelines(options),
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
    let status = command.status().context("cannot start cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
