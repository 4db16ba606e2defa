//! Random stages that process events one by one.

use serde_json::{Map, Value, json};

use super::generate::Builder;

impl Builder<'_> {
    /// Returns a filter on numeric columns, fields of the key or texts.
    pub fn filter(&mut self) -> Value {
        let first = self.condition();
        let condition = match self.random.below(10) {
            0 => json!({ "not": first }),
            1 => json!({ "any": [first, self.condition()] }),
            _ => first,
        };
        json!({ "type": "filter", "where": [condition] })
    }

    fn condition(&mut self) -> Value {
        match self.random.below(10) {
            0 | 1 if self.key.contains(&"k".to_owned()) => {
                json!({ "field": "k", "op": self.random.pick(&["!=", ">", "=="]), "value": "b" })
            }
            2 if self.of_source => json!({ "field": "t", "op": "in", "value": ["x", "y"] }),
            3 if self.of_source => json!({ "field": "t", "op": "missing" }),
            _ => json!({
                "field": self.column(),
                "op": self.random.pick(&["<", "<=", ">", ">=", "!="]),
                "value": self.random.between(0, 3),
            }),
        }
    }

    /// Returns a map that adds or replaces columns.
    pub fn map(&mut self) -> Value {
        let mut set = Vec::new();
        for _ in 0..self.random.between(1, 2) {
            let (a, b) = (self.column(), self.column());
            let expression = match self.random.below(7) {
                0 => format!("{a} * 2"),
                1 => format!("{a} + {b}"),
                2 => format!("{a} - 1"),
                3 => format!("abs({a})"),
                4 => format!("coalesce({a}, {b})"),
                5 => format!("min({a}, {b})"),
                _ => format!("{a} / {b}"),
            };
            let name = if self.random.chance(40) { self.column() } else { self.name() };
            if !self.columns.contains(&name) {
                self.columns.push(name.clone());
            }
            set.push(json!({ "name": name, "expression": expression }));
        }
        json!({ "type": "map", "set": set })
    }

    /// Returns a stage that sets another key.
    pub fn key_by(&mut self) -> Value {
        let mut fields = self.key.clone();
        if !self.has_used_key && self.of_source {
            fields.extend(["g".to_owned(), "t".to_owned()]);
            fields.dedup();
        }
        let start = self.random.below(fields.len());
        fields.rotate_left(start);
        fields.truncate(self.random.below(3));
        self.key.clone_from(&fields);
        self.has_used_key = true;
        json!({ "type": "key_by", "fields": fields })
    }

    /// Returns a deduplication stage. Its identities may contain the key.
    pub fn dedup(&mut self) -> Value {
        let strategies = [
            json!([["k", "g", "id"]]),
            json!([["k", "g", "id"]]),
            json!([["k", "g", "id"], "@content"]),
            json!(["@content"]),
            json!([["k", "g", "v"]]),
            json!(["id"]),
        ];
        let mut stage = json!({ "type": "dedup", "strategies": self.random.pick(&strategies) });
        if self.random.chance(60) {
            stage["ttl"] = self.one_of(&[1, 2, 4, 8, 20]).into();
            if self.random.chance(40) {
                stage["on_unjudged"] = "drop".into();
            }
        }
        if self.random.chance(30) {
            stage["refresh"] = true.into();
        }
        if self.random.chance(30) {
            // The filters are so large that no new event counts as a duplicate. Otherwise shards
            // would differ.
            stage["mode"] = "bloom".into();
            stage["capacity"] = 2000.into();
            stage["false_positive_rate"] = 1e-6.into();
            stage["generations"] = self.random.between(1, 4).into();
        }
        stage
    }

    /// Returns an exponential moving average.
    pub fn ema(&mut self) -> Value {
        let mut stage = Map::new();
        match self.random.below(4) {
            0 => stage.insert("span".to_owned(), self.random.pick(&[1, 3, 9]).into()),
            1 => stage.insert("alpha".to_owned(), self.random.pick(&[0.1, 0.5, 1.0]).into()),
            2 => stage.insert("half_life".to_owned(), self.random.pick(&[0.5, 2.0]).into()),
            _ => stage.insert("half_life".to_owned(), self.one_of(&[1, 3, 10]).into()),
        };
        let name = self.name();
        stage.insert("name".to_owned(), name.clone().into());
        self.keyed("ema", vec![name], stage)
    }

    /// Returns rolling aggregations.
    pub fn rolling(&mut self) -> Value {
        let mut stage = Map::new();
        let has_size = self.random.chance(70);
        if has_size {
            stage.insert("size".to_owned(), self.random.between(1, 5).into());
        }
        let (aggregations, names) = self.rolling_aggregations(has_size);
        stage.insert("aggregations".to_owned(), aggregations.into());
        self.keyed("rolling", names, stage)
    }

    /// Returns z-scores.
    pub fn zscore(&mut self) -> Value {
        let mut stage = Map::new();
        stage.insert("threshold".to_owned(), self.random.pick(&[0.5, 1.0, 3.0]).into());
        if self.random.chance(30) {
            stage.insert("method".to_owned(), "mad".into());
        }
        if self.random.chance(50) {
            stage.insert("window".to_owned(), self.random.between(2, 6).into());
        }
        if self.random.chance(30) {
            stage.insert("learn_anomalies".to_owned(), false.into());
        }
        let name = self.name();
        stage.insert("name".to_owned(), name.clone().into());
        self.keyed("zscore", vec![name], stage)
    }

    /// Completes a stage that adds `names` to the events of each key.
    fn keyed(&mut self, kind: &str, names: Vec<String>, mut stage: Map<String, Value>) -> Value {
        stage.insert("type".to_owned(), kind.into());
        self.set_field(&mut stage);
        if self.random.chance(30) {
            stage.insert("state_ttl".to_owned(), self.one_of(&[1, 2, 5, 10]).into());
        }
        self.columns.extend(names);
        self.has_used_key = true;
        stage.into()
    }
}
