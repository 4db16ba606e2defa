//! `stream-processor init`: writes a commented pipeline to start from.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::{Exit, report};

/// The commented pipeline. A test runs it.
pub(crate) const TEMPLATE: &str = r#"# A pipeline of stream-processor: `stream-processor check pipeline.toml` says what it means,
# `stream-processor run pipeline.toml` runs it.

[source]
type = "stdin"              # or "file", with path = "events.ndjson" or a list; .gz and .zst are read as they are
format = "ndjson"           # or "csv", with a header line
timestamp = "ts"            # the field with the event time: RFC 3339 text, or a number in timestamp_unit
timestamp_unit = "ms"       # s, ms, us or ns
key = "service"             # a field or a list of fields; without it all events are one stream
value = "latency"           # the numeric field that is aggregated

[time]
max_out_of_orderness = "2s" # how far behind the newest event others may come; "unbounded" for files in any order

[[stages]]
type = "window"
window = "tumbling"
size = "1m"
# An aggregation is a name, or { op = "max", field = "bytes", name = "peak" } for another field or column name.
aggregations = ["count", "avg", "max"]

[sink]
type = "stdout"             # or "file", with path = "rows.ndjson"
format = "ndjson"           # or "csv"

# [dead_letter]             # where lines go that cannot be used, with the reason
# path = "dead.ndjson"

# [late]                    # where events go that come after their window has closed; without it, to the dead letters
# path = "late.ndjson"
"#;

/// Writes the template to `path`.
///
/// # Errors
/// The file exists already or cannot be written.
pub(crate) fn write(path: &Path) -> Result<(), Exit> {
    let written = File::create_new(path).and_then(|mut file| file.write_all(TEMPLATE.as_bytes()));
    match written {
        Ok(()) => {
            let path = path.display();
            report::print_message(&format!(
                "wrote {path}: edit it, then try `stream-processor check {path}`"
            ));
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Exit::Failed(format!(
            "cannot write {}: it exists already. Name another file, or remove this one",
            path.display()
        ))),
        Err(error) => Err(Exit::Failed(format!("cannot write {}: {error}", path.display()))),
    }
}
