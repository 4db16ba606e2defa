//! Calendar windows in named time zones.

use std::fs;

use tempfile::tempdir;

use crate::common::{run, text};

#[test]
fn zone_rules_apply_in_every_year() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("pipeline.toml");
    let pipeline = "[[stages]]\ntype = \"window\"\nwindow = \"calendar\"\nunit = \"day\"\nzone = \"Europe/Berlin\"\n\
                    aggregations = [\"count\"]\n";
    fs::write(&file, pipeline).unwrap();
    let days = ["1850-07-01", "2210-01-10", "2210-07-10", "2650-07-10", "9999-07-10"];
    let input: String = days.map(|day| format!("{{\"ts\":\"{day}T12:00:00Z\"}}\n")).concat();
    for engine in ["module", "native"] {
        let ran = run(&["run", text(&file), "--quiet", "--engine", engine], &input);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let starts: Vec<&str> =
            ran.stdout.lines().map(|row| row.split('"').nth(3).unwrap()).collect();
        let expected = [
            "1850-06-30T23:06:32Z", // local mean time
            "2210-01-09T23:00:00Z",
            "2210-07-09T22:00:00Z",
            "2650-07-09T22:00:00Z",
            "9999-07-09T22:00:00Z",
        ];
        assert_eq!(starts, expected, "{engine}");
    }
}
