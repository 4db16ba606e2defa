//! The columns that travel between two stages, by name.

use crate::data::schema::{InputColumn, InputKind, OutputColumn, OutputKind, OutputSchema};
use crate::spec::{PipelineSpec, ReadAs, SpecError, Stage};

/// The columns behind the source or behind a stage.
#[derive(Clone)]
pub(super) struct Columns {
    columns: Vec<OutputColumn>,
    /// The column that a stage means when it names none.
    default: Option<usize>,
    /// Whether they are those of the source, perhaps with more added: then any field of an event is one of them.
    of_source: bool,
    /// The name of the field of each event's own time; none where the columns tell it, as those of windows do.
    timestamp: Option<String>,
    /// The columns of times that order rows.
    order: Vec<usize>,
    key: Vec<String>,
    /// The columns of texts, by their fingerprints.
    texts: Vec<usize>,
    /// The column that marks events which move the watermark, unless it is a value; and whether no stage reads it.
    mark: Option<(usize, bool)>,
}

/// Where a column of the output comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The time of each event.
    Timestamp,
    /// A column of the last stage's frame.
    Column(usize),
}

impl Columns {
    /// The configured values, then every field that a stage reads from the events of the source.
    pub(super) fn of_source(spec: &PipelineSpec) -> Self {
        let values = &spec.source.value.0;
        let key = key_of_source(spec);
        let mut names = values.clone();
        let mut added: Vec<String> = Vec::new();
        let mut reads: Vec<(String, ReadAs)> = Vec::new();
        for stage in &spec.stages {
            for (name, read_as) in stage.fields(&key) {
                if added.contains(&name) {
                    continue;
                }
                if !names.contains(&name) {
                    names.push(name.clone());
                }
                reads.push((name, read_as));
            }
            if stage.replaces_columns() {
                break;
            }
            added.extend(stage.adds(values.first().map(String::as_str)));
        }
        let is_text = |name: &String| {
            let is_read =
                |kind| reads.iter().any(|(read, read_as)| read == name && *read_as == kind);
            let marks = spec.time.watermark_field.as_ref() == Some(name);
            !values.contains(name) && !marks && !is_read(ReadAs::Number) && is_read(ReadAs::Text)
        };
        let texts = names.iter().enumerate().filter(|(_, name)| is_text(name));
        let texts = texts.map(|(place, _)| place).collect();
        let mark = spec.time.watermark_field.as_deref();
        let mark = mark.filter(|mark| !values.iter().any(|value| value == mark)).map(|mark| {
            let place = names.iter().position(|name| *name == mark);
            if place.is_none() {
                names.push(mark.to_owned());
            }
            (place.unwrap_or(names.len() - 1), place.is_none())
        });
        Self {
            mark,
            texts,
            columns: names.iter().map(|name| number(name)).collect(),
            default: (!values.is_empty()).then_some(0),
            of_source: true,
            timestamp: Some(spec.source.timestamp.clone()),
            order: Vec::new(),
            key,
        }
    }

    /// The columns of rows that tell their own times; `order` names those that order them.
    pub(super) fn of_rows(&self, order: Vec<usize>) -> Self {
        let key = self.key.clone();
        Self {
            columns: vec![],
            default: None,
            of_source: false,
            timestamp: None,
            order,
            key,
            texts: Vec::new(),
            mark: None,
        }
    }

    /// The columns of events at times of their own, which order them.
    pub(super) fn of_events(&self) -> Self {
        let timestamp = self.timestamp.clone().or_else(|| Some("ts".to_owned()));
        Self { timestamp, ..self.of_rows(vec![0]) }
    }

    pub(super) fn list(&self) -> &[OutputColumn] {
        &self.columns
    }

    pub(super) fn is_of_source(&self) -> bool {
        self.of_source
    }

    pub(super) fn default(&self) -> Option<usize> {
        self.default
    }

    pub(super) fn set_default(&mut self, default: Option<usize>) {
        self.default = default;
    }

    pub(super) fn name(&self, column: usize) -> &str {
        self.columns.get(column).map_or("", |column| column.name.as_str())
    }

    /// The fields of the key.
    pub(super) fn key(&self) -> &[String] {
        &self.key
    }

    pub(super) fn set_key(&mut self, key: Vec<String>) {
        self.key = key;
    }

    /// The place of the key field `name` in the key.
    pub(super) fn key_field(&self, name: &str) -> Option<usize> {
        self.key.iter().position(|key| key == name)
    }

    /// The column of texts that `field` names.
    pub(super) fn text(&self, field: Option<&str>) -> Option<usize> {
        let named = |place: &usize| Some(self.name(*place)) == field;
        self.texts.iter().copied().find(named)
    }

    /// The column of numbers that `field` names, or the default one; `Ok(None)` where there is no default.
    pub(super) fn resolve(
        &self,
        path: &str,
        field: Option<&str>,
    ) -> Result<Option<usize>, SpecError> {
        let Some(field) = field else { return Ok(self.default) };
        let place = self.columns.iter().position(|column| column.name == field);
        let kind = place.and_then(|place| self.columns.get(place)).map(|column| column.kind);
        let message = match kind {
            Some(OutputKind::Number) if self.text(Some(field)).is_some() => {
                format!("`{field}` is a text here, not a number")
            }
            Some(OutputKind::Number) => return Ok(place),
            Some(OutputKind::Time) => format!("`{field}` is a time, not a number"),
            Some(OutputKind::Bool) => format!("`{field}` is true or false, not a number"),
            None => {
                let numbers = self.columns.iter().filter(|one| one.kind == OutputKind::Number);
                let known: Vec<&str> = numbers.map(|column| column.name.as_str()).collect();
                let expected = crate::spec::expected(field, &known);
                format!("no earlier stage gives a field `{field}`, {expected}")
            }
        };
        Err(SpecError::new(path, message))
    }

    /// Returns the place of the column of numbers that a stage sets under `name`, which may be a new one; `path` names what
    /// asks for it.
    pub(super) fn set(&mut self, path: &str, name: &str) -> Result<usize, SpecError> {
        if !self.columns.iter().any(|column| column.name == name) {
            return self.add(path, name, OutputKind::Number);
        }
        let place = self.resolve(path, Some(name))?.unwrap_or_default();
        if let Some((_, unread)) = self.mark.as_mut().filter(|(mark, _)| *mark == place) {
            // From here on it is a column of its own, not the mark that only the source needs.
            *unread = false;
        }
        Ok(place)
    }

    /// Adds a column; `path` names what asks for it.
    pub(super) fn add(
        &mut self,
        path: &str,
        name: &str,
        kind: OutputKind,
    ) -> Result<usize, SpecError> {
        if self.columns.iter().any(|known| known.name == name) || self.key_field(name).is_some() {
            let message = format!("a second column `{name}`: give one of them another `name`");
            return Err(SpecError::new(path, message));
        }
        if self.timestamp.as_deref() == Some(name) {
            let message = format!("`{name}` is the field of the event time: choose another `name`");
            return Err(SpecError::new(path, message));
        }
        self.columns.push(OutputColumn { name: name.to_owned(), kind });
        Ok(self.columns.len() - 1)
    }

    pub(super) fn into_input(self, required: &[String]) -> Vec<InputColumn> {
        let mark = self.mark.map(|(place, _)| place);
        let texts = self.texts;
        let columns = self.columns.into_iter().enumerate();
        columns
            .map(|(place, OutputColumn { name, .. })| InputColumn {
                required: required.contains(&name),
                name,
                kind: match () {
                    () if mark == Some(place) => InputKind::Flag,
                    () if texts.contains(&place) => InputKind::Text,
                    () => InputKind::F64,
                },
            })
            .collect()
    }

    /// What rows of these columns look like, and where each column of theirs comes from.
    pub(super) fn into_output(self) -> Result<(OutputSchema, Vec<Shown>), SpecError> {
        let time = self.timestamp.map(|name| OutputColumn { name, kind: OutputKind::Time });
        let mark = self.mark.filter(|(_, unread)| *unread).map(|(place, _)| place);
        let is_shown = |place: &usize| mark != Some(*place) && !self.texts.contains(place);
        let places = (0..self.columns.len()).filter(is_shown);
        let shown =
            time.iter().map(|_| Shown::Timestamp).chain(places.map(Shown::Column)).collect();
        let columns = self.columns.into_iter().enumerate();
        let columns = columns.filter(|(place, _)| is_shown(place)).map(|(_, column)| column);
        let columns: Vec<OutputColumn> = time.into_iter().chain(columns).collect();
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let taken = |(place, name): &(usize, &&str)| names.iter().take(*place).any(|n| n == *name);
        if let Some((_, name)) = names.iter().enumerate().find(taken) {
            let message = format!("rows would have two columns `{name}`: the time and a value");
            return Err(SpecError::new("source.timestamp", message));
        }
        if let Some(name) = self.key.iter().find(|name| names.contains(&name.as_str())) {
            let message = format!("the key field `{name}` has the name of an output column");
            return Err(SpecError::new("source.key", message));
        }
        let (key, order) = (self.key, self.order);
        Ok((OutputSchema { key, columns, order, passes_events: false }, shown))
    }
}

/// The fields of the key of the source, and behind them those that `key_by` reads from its events as well.
fn key_of_source(spec: &PipelineSpec) -> Vec<String> {
    let mut key = spec.source.key.0.clone();
    let mut added: Vec<String> = Vec::new();
    for stage in spec.stages.iter().take_while(|stage| !stage.goes_by_key()) {
        let Stage::KeyBy(key_by) = stage else {
            added.extend(stage.adds(None));
            continue;
        };
        for field in &key_by.fields.0 {
            if !key.contains(field) && !added.contains(field) {
                key.push(field.clone());
            }
        }
        break;
    }
    key
}

pub(super) fn number(name: &str) -> OutputColumn {
    OutputColumn { name: name.to_owned(), kind: OutputKind::Number }
}
