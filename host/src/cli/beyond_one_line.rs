//! The pipeline file for a command line that asks for more than a one-line pipeline can do: options
//! that only pipeline files have, or the flags of several stages.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, FromArgMatches};
use serde_json::{Map, Value, json};
use stream_processor::Pipeline;
use stream_processor::spec::PipelineSpec;

use super::args::{Cli, Command};
use super::{one_line, toml_text};

/// The one-line commands, in the order of their stages in a pipeline.
const COMMANDS: [&str; 3] = ["dedup", "normalize", "window"];

/// The sections of a pipeline file that have options, and the names of their schemas.
const SECTIONS: [(&str, &str); 4] =
    [("source", "Source"), ("time", "Time"), ("sink", "Sink"), ("limits", "Limits")];

/// Returns the pipeline file that does what `arguments` ask for, which `error` refused. Returns
/// `None` if they are no one-line command, or no pipeline file can do it either.
pub(crate) fn file(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let arguments: Vec<&str> = arguments.iter().map(|text| text.to_str()).collect::<Option<_>>()?;
    let [program, command, flags @ ..] = arguments.as_slice() else { return None };
    if !COMMANDS.contains(command) || unknown_flag(error).is_none() {
        return None;
    }
    let parse = |command: &str, flags: &[&str]| {
        super::command().try_get_matches_from([&[*program, command][..], flags].concat())
    };
    let mut flags = flags.to_vec();
    let mut options = Vec::new();
    let mut others: Vec<(&str, Vec<&str>)> = Vec::new();
    let matches = loop {
        let error = match parse(command, &flags) {
            Ok(matches) => break matches,
            Err(error) => error,
        };
        let flag = unknown_flag(&error)?;
        let place = flags.iter().position(|text| text.split('=').next() == Some(flag.as_str()))?;
        match stage_of_flag(&flag, command) {
            Some((other, takes_value)) => {
                let has_next = takes_value && !flags.get(place)?.contains('=');
                let end = (place + 1 + usize::from(has_next)).min(flags.len());
                let taken: Vec<&str> = flags.drain(place..end).collect();
                match others.iter_mut().find(|(command, _)| *command == other) {
                    Some((_, known)) => known.extend(taken),
                    None => others.push((other, taken)),
                }
            }
            None => {
                let (name, value) = take_option(&mut flags, place)?;
                options.push((name, value));
            }
        }
    };
    let mut spec = spec_of(&matches)?;
    let mut stages = vec![(*command, stages_of(&mut spec))];
    for (other, flags) in others {
        let mut spec = spec_of(&parse(other, &flags).ok()?)?;
        stages.push((other, stages_of(&mut spec)));
    }
    for (name, value) in options {
        let stage = stages.first_mut().and_then(|(_, stages)| stages.last_mut())?;
        set_option(&mut spec, stage, &name, &value)?;
    }
    spec["stages"] = joined(stages);
    Pipeline::new(PipelineSpec::from_value(spec.clone()).ok()?).ok()?;
    Some(toml_text::pipeline(&spec))
}

/// Returns the flag that clap does not know.
fn unknown_flag(error: &clap::Error) -> Option<String> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) if error.kind() == ErrorKind::UnknownArgument => {
            flag.starts_with("--").then(|| flag.split('=').next().unwrap_or_default().to_owned())
        }
        _ => None,
    }
}

/// Returns the other one-line command that has `flag`, and whether the flag takes a value.
fn stage_of_flag(flag: &str, own: &str) -> Option<(&'static str, bool)> {
    let name = flag.strip_prefix("--")?;
    let definition = super::command();
    COMMANDS.into_iter().filter(|command| *command != own).find_map(|command| {
        let mut flags = definition.find_subcommand(command)?.get_arguments();
        let flag = flags.find(|flag| {
            let aliases = flag.get_all_aliases().unwrap_or_default();
            flag.get_long() == Some(name) || aliases.contains(&name)
        })?;
        Some((command, flag.get_action().takes_values()))
    })
}

/// Takes the flag at `place` and its value out of `flags`: `--name value`, `--name=value`, or a flag
/// without a value, which is true. Returns the name of the option in pipeline files.
fn take_option(flags: &mut Vec<&str>, place: usize) -> Option<(String, Value)> {
    let flag = flags.remove(place).strip_prefix("--")?;
    let name = |flag: &str| flag.replace('-', "_");
    if let Some((flag, value)) = flag.split_once('=') {
        return Some((name(flag), value_of(value)));
    }
    match flags.get(place) {
        Some(value) if !value.starts_with("--") => {
            let value = value_of(value);
            flags.remove(place);
            Some((name(flag), value))
        }
        _ => Some((name(flag), Value::Bool(true))),
    }
}

/// Returns a number or a boolean if the text reads as one, otherwise the text.
fn value_of(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => text.into(),
    }
}

/// Returns the description that a one-line command builds.
fn spec_of(matches: &ArgMatches) -> Option<Value> {
    let built = match Cli::from_arg_matches(matches).ok()?.command {
        Command::Window(arguments) => one_line::window(&arguments),
        Command::Normalize(arguments) => one_line::normalize(&arguments),
        Command::Dedup(arguments) => one_line::dedup(&arguments),
        _ => return None,
    };
    built.ok().map(|one_line| one_line.spec)
}

fn stages_of(spec: &mut Value) -> Vec<Value> {
    match spec["stages"].take() {
        Value::Array(stages) => stages,
        _ => Vec::new(),
    }
}

/// Returns the stages of all commands: those of the filters first, then the others in the order of
/// [`COMMANDS`].
fn joined(mut stages: Vec<(&str, Vec<Value>)>) -> Value {
    stages.sort_by_key(|(command, _)| COMMANDS.iter().position(|known| known == command));
    let all: Vec<Value> = stages.into_iter().flat_map(|(_, stages)| stages).collect();
    let (filters, others): (Vec<Value>, Vec<Value>) =
        all.into_iter().partition(|stage| stage["type"] == "filter");
    filters.into_iter().chain(others).collect()
}

/// Sets an option of pipeline files in the stage or the section that has it.
fn set_option(spec: &mut Value, stage: &mut Value, name: &str, value: &Value) -> Option<()> {
    let schema = PipelineSpec::json_schema();
    let has = |definition: &str| schema["$defs"][definition]["properties"].get(name).is_some();
    let kind = stage["type"].as_str().unwrap_or_default();
    let of_stage = match kind {
        "dedup" => "Dedup",
        "normalize" => "Normalize",
        _ => "Window",
    };
    let options: &mut Map<String, Value> = if has(of_stage) {
        stage.as_object_mut()?
    } else {
        let (section, _) = SECTIONS.into_iter().find(|(_, definition)| has(definition))?;
        let sections = spec.as_object_mut()?;
        sections.entry(section).or_insert_with(|| json!({})).as_object_mut()?
    };
    options.insert(name.to_owned(), value.clone());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(line: &str) -> Option<String> {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = super::super::command().try_get_matches_from(&arguments).unwrap_err();
        file(&error, &arguments)
    }

    #[test]
    fn options_of_pipeline_files_are_shown_in_one() {
        let text = file_of("x window --tumbling 1m --max-keys 5 --key k -i a.csv").unwrap();
        assert!(text.contains("[limits]\nmax_keys = 5\n"), "{text}");
        assert!(text.contains("key = [\"k\"]"), "{text}");
        let text = file_of("x dedup --by id --max-partitions=8 --mode bloom").unwrap();
        assert!(text.contains("max_partitions = 8"), "{text}");
        assert_eq!(file_of("x window --tumbling 1m --max-key 5"), None);
        assert_eq!(file_of("x check --max-keys 5"), None);
    }

    #[test]
    fn flags_of_two_commands_are_shown_as_two_stages() {
        let text = file_of("x window --tumbling 1m --agg count --by id --ttl 5m").unwrap();
        let dedup = text.find("type = \"dedup\"").unwrap();
        assert!(dedup < text.find("type = \"window\"").unwrap(), "{text}");
        assert!(text.contains("ttl = \"5m\""), "{text}");
        let line = "x dedup --by id --where v>1 --session 30s";
        let text = file_of(line).unwrap();
        assert!(text.find("\"filter\"").unwrap() < text.find("\"dedup\"").unwrap(), "{text}");
    }
}
