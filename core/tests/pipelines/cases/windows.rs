//! Random window stages of every kind.

use serde_json::{Map, Value, json};

use super::generate::{Builder, Choice};

impl Builder<'_> {
    /// Returns a window stage.
    pub fn window(&mut self, is_last: bool) -> Value {
        let mut kinds =
            vec![("tumbling", 8), ("sliding", 8), ("session", 8), ("cumulate", 4), ("global", 1)];
        if self.choice == Choice::Everything {
            kinds.push(("count", 4));
        }
        if self.unit_ms > 1_000_000 {
            kinds.push(("calendar", 14));
        }
        let kind = self.weighted(&kinds);
        let mut stage = Map::new();
        stage.insert("type".to_owned(), "window".into());
        stage.insert("window".to_owned(), kind.into());
        let (aggregations, names) = self.aggregations();
        stage.insert("aggregations".to_owned(), aggregations.into());
        self.set_field(&mut stage);
        match kind {
            "count" => drop(stage.insert("count".to_owned(), self.random.between(1, 4).into())),
            "global" => {}
            _ => self.bounded(kind, is_last, &mut stage),
        }
        self.columns = names;
        self.has_default = self.columns.len() == 1;
        self.of_source = false;
        self.has_used_key = true;
        stage.into()
    }

    /// Sets the options of windows that end in event time.
    fn bounded(&mut self, kind: &str, is_last: bool, stage: &mut Map<String, Value>) {
        let sizes = [1, 2, 3, 4, 5, 6, 8, 10, 20];
        let mut early = None;
        match kind {
            "session" => {
                stage.insert("gap".to_owned(), self.one_of(&[1, 2, 2, 3, 4, 6, 10]).into());
            }
            "calendar" => {
                stage.insert(
                    "unit".to_owned(),
                    self.random.pick(&["day", "day", "week", "month"]).into(),
                );
                self.zone(stage);
            }
            "cumulate" => {
                let (step, count) = (self.random.between(1, 4), self.random.between(1, 5));
                stage.insert("step".to_owned(), self.units(step).into());
                stage.insert("size".to_owned(), self.units(step * count).into());
            }
            _ => {
                let size = self.random.pick(&sizes);
                stage.insert("size".to_owned(), self.units(size).into());
                if kind == "sliding" {
                    stage.insert("slide".to_owned(), self.one_of(&sizes).into());
                }
                if size > 1 && self.choice == Choice::Everything {
                    let every = self.random.between(1, size - 1);
                    early = Some(self.units(every));
                }
            }
        }
        if !matches!(kind, "session" | "calendar") && self.random.chance(20) {
            stage.insert("offset".to_owned(), self.offset().into());
        }
        let is_final = self.random.chance(25);
        if is_final {
            stage.insert("emit".to_owned(), "final".into());
        }
        let may_be_late = kind != "calendar" || is_final || !is_last;
        if may_be_late && self.random.chance(40) {
            stage.insert("allowed_lateness".to_owned(), self.one_of(&[1, 2, 3, 6, 20]).into());
        }
        if let Some(early) = early.filter(|_| is_last && !is_final && self.random.chance(45)) {
            stage.insert("early".to_owned(), early.into());
        }
    }

    /// Sets the zone of calendar windows.
    fn zone(&mut self, stage: &mut Map<String, Value>) {
        match self.random.below(3) {
            0 => {}
            1 => drop(
                stage.insert("zone".to_owned(), self.random.pick(&["+05:30", "-03:00"]).into()),
            ),
            _ => {
                stage.insert("zone".to_owned(), "Europe/Berlin".into());
                // The summer time of Berlin in 2024, with its start and its end.
                let rules = json!([[0, 3600], [1_711_846_800, 7200], [1_729_990_800, 3600]]);
                stage.insert("zone_offsets".to_owned(), rules);
            }
        }
    }
}
