//! Completion scripts, run by real shells: bash, zsh and fish.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;

use crate::common::run;

/// Calls the completion function that the script registers.
const BASH: &str = r#"
source "$SCRIPT"
read -r -a COMP_WORDS <<< "$LINE"
[[ $LINE == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
function=$(complete -p stream-processor | sed 's/.*-F \([^ ]*\).*/\1/')
"$function" stream-processor "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

const FISH: &str = "source $SCRIPT; complete -C $LINE | cut -f 1";

/// Starts an interactive zsh, which completes the line and exits: completion needs a terminal.
const ZSH: &str =
    "zmodload zsh/zpty; zpty shell zsh -i; while zpty -r shell line; do :; done; cat $HITS";

/// The startup file of the interactive zsh: stores what the completion adds.
const ZSHRC: &str = r#"
fpath=($ZDOTDIR $fpath)
autoload -Uz compinit; compinit -u -D
compadd() {
  if (( ${@[(I)-[OAD]]} )); then builtin compadd "$@"; return; fi
  local -a hits; builtin compadd -O hits "$@"
  (( $#hits )) && print -rl -- $hits >> $HITS
  builtin compadd "$@"
}
list_hits() { _main_complete; compstate[insert]=; compstate[list]= }
zle -C list_hits list-choices list_hits
zle-line-init() { BUFFER=$LINE; CURSOR=$#BUFFER; zle list_hits; exit }
zle -N zle-line-init
"#;

/// Command lines, and all that completes their last word.
const LINES: [(&str, &[&str]); 8] = [
    ("win", &["window"]),
    ("n", &["normalize"]),
    ("window --tum", &["--tumbling"]),
    ("window --calendar ", &["day", "week", "month"]),
    ("window --tumbling 1m --agg p", &["p50", "p95", "p99"]),
    ("normalize --fill s", &["spline"]),
    ("dedup --clock ", &["event", "arrival"]),
    // Hidden options are not completed.
    ("window --batch", &[]),
];

/// Completes `line` in `shell`. Returns the words that it proposes.
fn complete(shell: &str, script: &Path, line: &str) -> BTreeSet<String> {
    let folder = script.parent().unwrap();
    let hits = folder.join("hits");
    fs::write(&hits, "").unwrap();
    let (flag, code) = match shell {
        "bash" => ("--norc", BASH),
        "fish" => ("--no-config", FISH),
        _ => ("-f", ZSH),
    };
    let mut command = Command::new(shell);
    command.args([flag, "-c", code]).env("SCRIPT", script).env("LINE", line);
    command.env("HITS", hits).env("ZDOTDIR", folder).env("HOME", folder);
    let output = command.output().unwrap_or_else(|error| {
        panic!("{shell} cannot start ({error}): `cargo xtask test host` installs it")
    });
    let words = String::from_utf8(output.stdout).unwrap();
    words.lines().map(str::trim_end).filter(|word| !word.is_empty()).map(String::from).collect()
}

fn test_completions(shell: &str) {
    let folder = tempdir().unwrap();
    let script = folder.path().join("_stream-processor");
    let ran = run(&["completions", shell], "");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    fs::write(&script, ran.stdout).unwrap();
    fs::write(folder.path().join(".zshrc"), ZSHRC).unwrap();
    for (line, expected) in LINES {
        let found = complete(shell, &script, &format!("stream-processor {line}"));
        let expected = expected.iter().copied().map(String::from).collect::<BTreeSet<_>>();
        assert_eq!(found, expected, "{shell}: {line}");
    }
}

#[test]
fn bash_completes_commands_options_and_names() {
    test_completions("bash");
}

#[test]
fn zsh_completes_commands_options_and_names() {
    test_completions("zsh");
}

#[test]
fn fish_completes_commands_options_and_names() {
    test_completions("fish");
}
