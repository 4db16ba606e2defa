//! Formats that no option names: by the names of files, and by the first bytes of the input.

use std::path::{Path, PathBuf};

use stream_processor::spec::Format;
use stream_processor::{Input, InputKind};
use stream_processor_core::Escaped;

use super::report;

/// Returns the format by the name of a file, without its extension for compression.
pub(crate) fn of_path(path: &Path) -> Option<Format> {
    Format::of_path(&path.to_string_lossy())
}

/// Returns the format that the first bytes of the first input indicate. Without `inputs` this is
/// standard input. Prints a warning if the input seems to be in no format that can be read.
///
/// If the format `is_known`, it looks only at files, and only for such warnings: standard input may
/// be silent for long.
pub(crate) fn detect(inputs: &[PathBuf], is_known: bool, quiet: bool) -> Option<Format> {
    let input = Input::of_paths(inputs.get(..1).unwrap_or_default().to_vec());
    let is_stdin = inputs.is_empty() || matches!(input, Ok(Input::Stdin));
    if is_stdin && is_known {
        return None;
    }
    let (input, name) = match input {
        _ if is_stdin => (Input::Stdin, "stdin".to_owned()),
        Ok(Input::Files(paths)) => {
            let name = paths.first().map(|path| path.display().to_string());
            (Input::Files(paths), name.unwrap_or_default())
        }
        // The run reports an input that cannot be found.
        _ => return None,
    };
    // If the input cannot be read, the run says so.
    let problem = match input.detect() {
        Ok(InputKind::Csv) => return Some(Format::Csv).filter(|_| !is_known),
        Ok(InputKind::JsonArray) => {
            "a JSON array: jq -c '.[]' writes its objects one a line, as they are read here"
        }
        Ok(InputKind::Utf16) => "UTF-16: iconv -f UTF-16 -t UTF-8 writes it as it is read here",
        Ok(InputKind::LoneReturns) => {
            "text whose lines end in carriage returns: tr '\\r' '\\n' writes it as it is read here"
        }
        _ => return None,
    };
    if !quiet {
        report::print_message(&format!("warning: {} seems to be {problem}", Escaped(&name)));
    }
    None
}
