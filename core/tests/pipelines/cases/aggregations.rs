//! Random lists of aggregations.

use serde_json::{Value, json};

use super::generate::Builder;

const OPERATIONS: [&str; 16] = [
    "count", "count", "sum", "avg", "min", "max", "range", "variance", "stddev", "first", "last",
    "distinct", "rate", "p50", "p95", "p0",
];

const ROLLING: [&str; 9] =
    ["count", "sum", "avg", "min", "max", "range", "variance", "stddev", "p50"];

impl Builder<'_> {
    /// Returns the aggregations of a window and the names of their columns.
    pub fn aggregations(&mut self) -> (Vec<Value>, Vec<String>) {
        let count = self.random.pick(&[1, 1, 2, 3, 4]);
        let (mut list, mut names) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let op = self.random.pick(&OPERATIONS);
            let mut table = json!({ "op": op });
            match op {
                "variance" | "stddev" if self.random.chance(30) => {
                    table["population"] = true.into()
                }
                "p50" | "p95" | "p0" if self.random.chance(60) => {
                    table["engine"] = self.random.pick(&["sketch", "tdigest", "exact"]).into();
                }
                "distinct" if self.of_source && self.random.chance(50) => {
                    table["field"] = "t".into();
                }
                _ if self.random.chance(25) => table["field"] = self.column().into(),
                _ => {}
            }
            let is_plain = table.as_object().unwrap().len() == 1;
            if is_plain && !names.iter().any(|name| name == op) {
                list.push(op.into());
                names.push(op.to_owned());
            } else {
                let name = self.name();
                table["name"] = name.clone().into();
                list.push(table);
                names.push(name);
            }
        }
        (list, names)
    }

    /// Returns the aggregations of a rolling stage and the names of their columns. Percentiles
    /// occur only if the stage has a size.
    pub fn rolling_aggregations(&mut self, has_size: bool) -> (Vec<Value>, Vec<String>) {
        let operations = if has_size { &ROLLING[..] } else { &ROLLING[..8] };
        let count = self.random.between(1, 3);
        let table = |_| {
            let (op, name) = (self.random.pick(operations), self.name());
            (json!({ "op": op, "name": name.clone() }), name)
        };
        (0..count).map(table).unzip()
    }
}
