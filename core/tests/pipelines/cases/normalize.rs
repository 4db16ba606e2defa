//! Random normalize stages with every option.

use serde_json::{Map, Value, json};

use super::generate::{Builder, Choice};

const FILLS: [&str; 8] =
    ["linear", "forward", "backward", "zero", "mean", "polynomial", "spline", "none"];
const REDUCES: [&str; 7] = ["last", "first", "mean", "min", "max", "sum", "median"];

impl Builder<'_> {
    /// Returns a normalize stage.
    pub fn normalize(&mut self, is_last: bool) -> Value {
        let mut stage = Map::new();
        stage.insert("type".to_owned(), "normalize".into());
        let interval = if is_last && self.random.chance(8) {
            "auto".to_owned()
        } else {
            self.one_of(&[1, 2, 2, 2, 3, 4])
        };
        stage.insert("interval".to_owned(), interval.into());
        let moves_samples = self.random.chance(80);
        if !moves_samples {
            stage.insert("basis".to_owned(), "samples".into());
        }
        self.field_options(moves_samples, 65, &mut stage);
        if moves_samples && self.random.chance(50) {
            let align = self.random.pick(&["floor", "ceil", "round"]);
            stage.insert("align".to_owned(), align.into());
        }
        if self.random.chance(25) {
            stage.insert("offset".to_owned(), self.offset().into());
        }
        // The number of buffered points depends on the watermark, and so on the out-of-orderness.
        if self.choice == Choice::Everything && self.random.chance(10) {
            stage.insert("max_buffered".to_owned(), self.random.between(1, 4).into());
        }
        let names = self.normalized_fields(moves_samples, &mut stage);
        self.columns = names;
        self.has_default = true;
        self.of_source = false;
        self.has_used_key = true;
        stage.into()
    }

    /// Sets `fields` unless the stage works on its default field. Returns the output columns.
    fn normalized_fields(
        &mut self,
        moves_samples: bool,
        stage: &mut Map<String, Value>,
    ) -> Vec<String> {
        if self.has_default && self.random.chance(70) {
            return vec![self.columns[0].clone()];
        }
        let mut names = vec![self.column()];
        let second = self.column();
        if second != names[0] && self.random.chance(60) {
            names.push(second);
        }
        let table = |name: &String| {
            let mut table = Map::new();
            table.insert("name".to_owned(), name.clone().into());
            if self.random.chance(40) {
                self.field_options(moves_samples, 40, &mut table);
            }
            Value::from(table)
        };
        let fields: Vec<Value> = names.iter().map(table).collect();
        stage.insert("fields".to_owned(), fields.into());
        names
    }

    /// Sets the options of the stage or of one field. `max_gap` is set with a probability of `gaps`
    /// percent.
    fn field_options(&mut self, moves_samples: bool, gaps: usize, table: &mut Map<String, Value>) {
        if self.random.chance(75) {
            let fill = self.random.pick(&FILLS);
            table.insert("fill".to_owned(), fill.into());
            if fill == "polynomial" {
                table.insert("degree".to_owned(), self.random.between(1, 4).into());
            }
        }
        if moves_samples && self.random.chance(40) {
            table.insert("reduce".to_owned(), self.random.pick(&REDUCES).into());
        }
        if self.random.chance(gaps) {
            table.insert("max_gap".to_owned(), self.one_of(&[1, 2, 4, 6, 10, 30]).into());
        }
        if self.random.chance(12) {
            let outliers = json!({
                "zscore": self.random.pick(&[0.5, 1.0, 2.0]),
                "window": self.random.between(2, 8),
                "action": self.random.pick(&["drop", "flag", "clip"]),
            });
            table.insert("outliers".to_owned(), outliers);
        }
    }
}
