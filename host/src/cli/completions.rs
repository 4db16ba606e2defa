//! Completion scripts for shells.

use clap::{Arg, Command};
use clap_complete::Shell;

/// The name of the program without its hyphen, which the generator for bash cannot handle: it
/// takes the hyphen for the start of a subcommand, and completes nothing after one.
const NAME: &str = "streamprocessor";

/// Returns the completion script of `command` for `shell`, without hidden options.
pub(crate) fn script(shell: Shell, command: &Command) -> String {
    let mut command = without_hidden(command);
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    if shell == Shell::Bash {
        clap_complete::generate(shell, &mut command.name(NAME), NAME, &mut script);
        let script = String::from_utf8_lossy(&script);
        // The last lines register the function for the program.
        return script.replace(&format!(" {NAME}\n"), &format!(" {name}\n"));
    }
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Returns a copy of the command and its subcommands without hidden options, which the generators
/// would complete.
fn without_hidden(command: &Command) -> Command {
    let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let subcommands = command.get_subcommands().map(without_hidden);
    let about = command.get_about().cloned().unwrap_or_default();
    // The generators add these.
    let own = |argument: &&Arg| !matches!(argument.get_id().as_str(), "help" | "version");
    let copy = Command::new(command.get_name().to_owned())
        .about(about)
        .args(shown.filter(own).cloned())
        .subcommands(subcommands);
    match command.get_version() {
        Some(version) => copy.version(version.to_owned()),
        None => copy,
    }
}
