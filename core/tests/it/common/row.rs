//! Rows of windows, whose values are read by the names of their columns.

use std::fmt;
use std::rc::Rc;

use stream_processor_core::{OutputColumn, OutputKind, RowColumn, Rows};

/// A row with all its columns, compared bit by bit.
#[derive(Clone, Default)]
pub struct Row {
    pub firing: i64,
    pub end: i64,
    pub start: i64,
    pub key: Vec<u8>,
    /// The bits of each number, with one canonical NaN. `true` is 1.
    pub values: Vec<u64>,
    /// The names of `values`. The rows of an oracle have none, so names are not compared.
    pub names: Names,
}

/// The names of the columns that are no times.
pub type Names = Rc<[String]>;

/// Returns the names of `columns` that are no times.
pub fn names(columns: &[OutputColumn]) -> Names {
    let values = columns.iter().filter(|column| column.kind != OutputKind::Time);
    values.map(|column| column.name.clone()).collect()
}

/// Returns the bits of `value`, with one canonical NaN.
pub fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}

impl Row {
    /// Returns the row at `at` of `rows`, whose values have `names`.
    pub fn of(rows: &Rows<'_>, at: usize, names: &Names) -> Self {
        let times: Vec<i64> = rows
            .columns
            .iter()
            .filter_map(|column| match column {
                RowColumn::Time(times) => Some(times[at]),
                _ => None,
            })
            .collect();
        let values = rows.columns.iter().filter_map(|column| match column {
            RowColumn::Number(numbers) => Some(bits(numbers[at])),
            RowColumn::Bool(bools) => Some(bits(f64::from(bools[at]))),
            _ => None,
        });
        let values: Vec<u64> = values.collect();
        assert_eq!(values.len(), names.len());
        Self {
            firing: rows.firing[at],
            end: times[1],
            start: times[0],
            key: rows.key(at).to_vec(),
            values,
            names: names.clone(),
        }
    }

    /// Returns the number in the column `name`.
    #[track_caller]
    pub fn number(&self, name: &str) -> f64 {
        f64::from_bits(self.bits(name))
    }

    /// Returns true if the column `name` holds `true`.
    #[track_caller]
    pub fn flag(&self, name: &str) -> bool {
        self.number(name) == 1.0
    }

    /// Returns the bits of the number in the column `name`.
    #[track_caller]
    pub fn bits(&self, name: &str) -> u64 {
        let place = self.names.iter().position(|known| known == name);
        self.values[place.unwrap_or_else(|| panic!("no column {name}: {:?}", self.names))]
    }

    /// Returns true if there is a column `name`.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Returns the numbers of all columns that are no times.
    pub fn numbers(&self) -> Vec<f64> {
        self.values.iter().map(|bits| f64::from_bits(*bits)).collect()
    }

    /// Returns the bits of all columns that are no times, but for those in `names`.
    pub fn without(&self, names: &[&str]) -> Vec<u64> {
        let values = self.names.iter().zip(&self.values);
        values.filter(|(name, _)| !names.contains(&name.as_str())).map(|(_, bits)| *bits).collect()
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        (self.firing, self.end, self.start) == (other.firing, other.end, other.start)
            && (&self.key, &self.values) == (&other.key, &other.values)
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { firing, end, start, key, values, names } = self;
        write!(f, "{} [{start}, {end}) at {firing}:", key.escape_ascii())?;
        for (at, bits) in values.iter().enumerate() {
            let name = names.get(at).map_or("", String::as_str);
            write!(f, " {name}={:?}", f64::from_bits(*bits))?;
        }
        Ok(())
    }
}
