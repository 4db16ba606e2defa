//! Name resolution: the columns between two stages, by name.

use crate::data::row_layout::RowLayout;
use crate::data::schema::{ColumnRole, InputColumn, InputKind, OutputColumn};
use crate::data::schema::{OutputKind, OutputSchema};
use crate::spec::{MAX_COLUMNS, PipelineSpec, ReadAs, SpecError, Stage, StageState, Strategy};
use crate::util::names::{NameTable, first_repeated};

/// The columns of the frames that the source or a stage emits.
#[derive(Clone)]
pub(crate) struct Columns {
    layout: RowLayout,
    /// The names of the columns of `layout`.
    names: NameTable,
    /// The column that a stage uses if it names none.
    default: Option<usize>,
    /// True for the columns of the source, possibly extended by stages. Stages may then read any
    /// field of an event.
    of_source: bool,
    /// Name of the event time field. `None` for window rows, whose columns contain their times.
    timestamp: Option<String>,
    key: Vec<String>,
    key_names: NameTable,
    /// The text columns, which hold fingerprints of the texts, in ascending order.
    texts: Vec<usize>,
    /// The column of `time.watermark_field`, unless it is also a value, and whether no stage reads
    /// it.
    marker: Option<(usize, bool)>,
    /// The outputs of the program's own aggregators, for the first stage with windows.
    pub(super) own_outputs: Vec<String>,
}

/// The source of an output column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputSource {
    /// The event time of the row.
    Timestamp,
    /// A column of the last stage's frame.
    Column(usize),
}

impl Columns {
    /// Returns the columns of the source: the configured values, then every field that a stage
    /// reads from the events.
    #[inline]
    pub(super) fn of_source(spec: &PipelineSpec) -> Result<Self, SpecError> {
        let values = &spec.source.value.0;
        let key = key_of_source(spec);
        let mut names: NameTable = values.iter().map(String::as_str).collect();
        let mut uses = vec![FieldUse::default(); names.len()];
        let mut added = NameTable::default();
        for stage in &spec.stages {
            for (name, read_as) in stage.options().fields(&key) {
                if added.contains(&name) {
                    continue;
                }
                let place = names.add(&name);
                uses.resize(names.len(), FieldUse::default());
                if let Some(field) = uses.get_mut(place) {
                    field.number |= read_as == ReadAs::Number;
                    field.text |= read_as == ReadAs::Text;
                }
            }
            if stage.emits_rows() {
                break;
            }
            for name in stage.options().added_columns(values.first().map(String::as_str)) {
                added.add(&name);
            }
        }
        let marker = spec.time.watermark_field.as_deref();
        let is_text = |(place, field): (usize, &FieldUse)| {
            let is_marker = names.names().get(place).map(AsRef::as_ref) == marker;
            place >= values.len() && !is_marker && field.text && !field.number
        };
        let texts = (0..).zip(&uses).filter(|field| is_text(*field));
        let texts = texts.map(|(place, _)| place).collect();
        let is_new = marker.is_some_and(|marker| !names.contains(marker));
        let marker = marker.map(|marker| (names.add(marker), is_new));
        let marker = marker.filter(|(place, _)| *place >= values.len());
        check_fields_read(spec, &names, key.len())?;
        let mut layout = RowLayout::default();
        for name in names.names() {
            layout.push(OutputColumn::new(&**name, ColumnRole::Value));
        }
        Ok(Self {
            marker,
            texts,
            layout,
            names,
            default: (!values.is_empty()).then_some(0),
            of_source: true,
            timestamp: Some(spec.source.timestamp.clone()),
            key_names: key.iter().map(String::as_str).collect(),
            key,
            own_outputs: Vec::new(),
        })
    }

    /// Returns empty columns for rows that contain the times of their windows.
    #[inline]
    pub(super) fn of_rows(&self) -> Self {
        Self {
            layout: RowLayout::default(),
            names: NameTable::default(),
            default: None,
            of_source: false,
            timestamp: None,
            key: self.key.clone(),
            key_names: self.key_names.clone(),
            texts: Vec::new(),
            marker: None,
            own_outputs: self.own_outputs.clone(),
        }
    }

    /// Returns empty columns for rows that have an event time of their own and are ordered by it.
    #[inline]
    pub(super) fn of_events(&self) -> Self {
        let timestamp = self.timestamp.clone().or_else(|| Some("ts".to_owned()));
        Self { timestamp, ..self.of_rows() }
    }

    #[inline]
    pub(super) fn list(&self) -> &[OutputColumn] {
        self.layout.columns()
    }

    #[inline]
    pub(super) fn layout(&self) -> &RowLayout {
        &self.layout
    }

    #[inline]
    pub(super) fn is_of_source(&self) -> bool {
        self.of_source
    }

    #[inline]
    pub(super) fn default(&self) -> Option<usize> {
        self.default
    }

    #[inline]
    pub(super) fn set_default(&mut self, default: Option<usize>) {
        self.default = default;
    }

    #[inline]
    pub(super) fn name(&self, column: usize) -> &str {
        self.list().get(column).map_or("", |column| column.name.as_str())
    }

    /// Returns the names of the key fields.
    #[inline]
    pub(super) fn key(&self) -> &[String] {
        &self.key
    }

    #[inline]
    pub(super) fn set_key(&mut self, key: Vec<String>) {
        self.key_names = key.iter().map(String::as_str).collect();
        self.key = key;
    }

    /// Returns the index of the key field `name`.
    #[inline]
    pub(super) fn key_field(&self, name: &str) -> Option<usize> {
        self.key_names.find(name)
    }

    /// Returns the text column named `field`.
    #[inline]
    pub(super) fn text(&self, field: Option<&str>) -> Option<usize> {
        let column = self.names.find(field?)?;
        self.texts.binary_search(&column).is_ok().then_some(column)
    }

    /// Returns the column of true and false named `field`.
    pub(super) fn bool(&self, field: &str) -> Option<usize> {
        let is_it = |column: &OutputColumn| column.name == field && column.kind == OutputKind::Bool;
        self.list().iter().position(is_it)
    }

    /// Returns the number column named `field`, or the default column. Returns `Ok(None)` if there
    /// is no default.
    #[inline]
    pub(super) fn resolve(
        &self,
        path: &str,
        field: Option<&str>,
    ) -> Result<Option<usize>, SpecError> {
        let Some(field) = field else { return Ok(self.default) };
        let place = self.names.find(field);
        let kind = place.and_then(|place| self.list().get(place)).map(|column| column.kind);
        let message = match kind {
            Some(OutputKind::Number) if self.text(Some(field)).is_some() => {
                format!("`{field}` is a text here, not a number")
            }
            Some(OutputKind::Number) => return Ok(place),
            Some(OutputKind::Time) => format!("`{field}` is a time, not a number"),
            Some(OutputKind::Bool) => format!("`{field}` is true or false, not a number"),
            None => {
                let numbers = self.list().iter().filter(|one| one.kind == OutputKind::Number);
                let known: Vec<&str> = numbers.map(|column| column.name.as_str()).collect();
                let expected = crate::spec::expected(field, &known);
                format!("no earlier stage has a field `{field}`, {expected}")
            }
        };
        Err(SpecError::new(path, message))
    }

    /// Returns the index of the number column that a stage writes as `name`, and adds it if it is
    /// new. `path` locates the option in errors.
    #[inline]
    pub(super) fn set(&mut self, path: &str, name: &str) -> Result<usize, SpecError> {
        if !self.names.contains(name) {
            return self.add(path, name, ColumnRole::Value);
        }
        let place = self.resolve(path, Some(name))?.unwrap_or_default();
        if let Some((_, unread)) = self.marker.as_mut().filter(|(marker, _)| *marker == place) {
            // The column now holds a computed value, so it is no longer only a watermark marker.
            *unread = false;
        }
        Ok(place)
    }

    /// Adds a column and returns its index. `path` locates the option in errors.
    #[inline]
    pub(super) fn add(
        &mut self,
        path: &str,
        name: &str,
        role: ColumnRole,
    ) -> Result<usize, SpecError> {
        if self.names.contains(name) || self.key_field(name).is_some() {
            let message = format!("a second column `{name}`: set another `name` for one of them");
            return Err(SpecError::new(path, message));
        }
        if self.timestamp.as_deref() == Some(name) {
            let message = format!("`{name}` is the field of the event time: choose another `name`");
            return Err(SpecError::new(path, message));
        }
        if self.list().len() + self.key.len() >= MAX_COLUMNS {
            let message =
                format!("more than {MAX_COLUMNS} columns: a stage emits at most that many");
            return Err(SpecError::new(path, message));
        }
        self.names.add(name);
        Ok(self.layout.push(OutputColumn::new(name, role)))
    }

    #[inline]
    pub(super) fn into_input(self, required: &[String]) -> Vec<InputColumn> {
        let marker = self.marker.map(|(place, _)| place);
        let texts = self.texts;
        let columns = self.layout.into_columns().into_iter().enumerate();
        columns
            .map(|(place, OutputColumn { name, .. })| InputColumn {
                required: required.contains(&name),
                name,
                kind: match () {
                    () if marker == Some(place) => InputKind::Flag,
                    () if texts.contains(&place) => InputKind::Text,
                    () => InputKind::F64,
                },
            })
            .collect()
    }

    /// Returns the output schema and the source of each of its columns.
    #[inline]
    pub(super) fn into_output(self) -> Result<(OutputSchema, Vec<OutputSource>), SpecError> {
        let order_roles = self.order_roles();
        let time = self.timestamp.map(|name| OutputColumn::new(name, ColumnRole::EventTime));
        let marker = self.marker.filter(|(_, unread)| *unread).map(|(place, _)| place);
        let is_shown = |place: &usize| marker != Some(*place) && !self.texts.contains(place);
        let columns = self.layout.into_columns();
        let places = (0..columns.len()).filter(is_shown);
        let shown = time
            .iter()
            .map(|_| OutputSource::Timestamp)
            .chain(places.map(OutputSource::Column))
            .collect();
        let columns = columns.into_iter().enumerate();
        let columns = columns.filter(|(place, _)| is_shown(place)).map(|(_, column)| column);
        let columns: Vec<OutputColumn> = time.into_iter().chain(columns).collect();
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let repeated = first_repeated(names.iter().copied());
        if let Some(name) = repeated.and_then(|place| names.get(place)) {
            let message = format!(
                "rows would have two columns `{name}`, the time and a value: rename the value"
            );
            return Err(SpecError::new("source.timestamp", message));
        }
        let names: NameTable = names.into_iter().collect();
        if let Some(name) = self.key.iter().find(|name| names.contains(name)) {
            let message = format!(
                "the key field `{name}` has the name of an output column: rename that column"
            );
            return Err(SpecError::new("source.key", message));
        }
        let mut schema = OutputSchema { key: self.key, columns, ..OutputSchema::default() };
        schema.order = order_roles.iter().filter_map(|role| schema.position(*role)).collect();
        Ok((schema, shown))
    }

    /// Returns the roles of the time columns that order rows, the most significant first.
    #[inline]
    fn order_roles(&self) -> &'static [ColumnRole] {
        match self.timestamp {
            // Events of the source are ordered by their positions in the stream.
            _ if self.of_source => &[],
            Some(_) => &[ColumnRole::EventTime],
            None => &[ColumnRole::WindowEnd, ColumnRole::WindowStart],
        }
    }
}

/// Returns the key fields of the source, followed by those that `key_by` reads from its events.
#[inline]
fn key_of_source(spec: &PipelineSpec) -> Vec<String> {
    let mut key: NameTable = spec.source.key.0.iter().map(String::as_str).collect();
    let mut added = NameTable::default();
    let keeps_no_keys = |stage: &&Stage| stage.options().state() != StageState::ByKey;
    for stage in spec.stages.iter().take_while(keeps_no_keys) {
        let Some(fields) = stage.options().new_key() else {
            for name in stage.options().added_columns(None) {
                added.add(&name);
            }
            continue;
        };
        for field in fields.iter().filter(|field| !added.contains(field)) {
            key.add(field);
        }
        break;
    }
    key.names().iter().map(|name| name.to_string()).collect()
}

/// The types that stages read a field as.
#[derive(Clone, Copy, Default)]
struct FieldUse {
    number: bool,
    text: bool,
}

/// Checks the number of fields that the pipeline reads from an event: `columns`, `key_fields`, and
/// those of identities.
fn check_fields_read(
    spec: &PipelineSpec,
    columns: &NameTable,
    key_fields: usize,
) -> Result<(), SpecError> {
    let mut fields = columns.clone();
    for strategy in spec.stages.iter().filter_map(|stage| stage.options().strategies()).flatten() {
        if let Strategy::Fields(names) = strategy {
            names.iter().for_each(|name| {
                fields.add(name);
            });
        }
    }
    let fields = fields.len() + key_fields;
    if fields <= MAX_COLUMNS {
        return Ok(());
    }
    let message =
        format!("stages read {fields} fields of an event: a pipeline may read {MAX_COLUMNS}");
    Err(SpecError::new("stages", message))
}
