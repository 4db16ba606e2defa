//! Turns the values of a line into an event: checks them in order and appends them to the columns.

use super::csv::Wanted;
use super::events::{EventBuffer, Span};
use super::front_filter::{FrontFilter, LineValues};
use super::paths::Paths;
use super::reader::ReaderOptions;
use super::rejection::{FieldRole, Found, Rejection};
use super::value::{Kind, ReadTime, Value};
use crate::key::push_null;
use crate::keys::interner::Interner;
use crate::spec::{Format, OnNullKey};
use crate::text::identity::{Content, Identities, NamedSlot};
use crate::time::TimeUnit;
use crate::util::names::NameTable;
use crate::{InputKind, InputSchema, Plan, RejectReason};

/// Maximum number of key bytes in the dictionary before it is emptied.
const MAX_DICTIONARY_BYTES: usize = 16 << 20;

/// Turns values into events and rejections.
pub(super) struct Collector {
    /// The distinct names of the needed fields; their indices are the slots.
    needed: NameTable,
    /// Slots from this one on are used for identities only; CSV may lack such columns.
    required: usize,
    /// The values of the current line.
    pub(super) slots: Vec<Value>,
    /// Number of lines of the input before the current one.
    pub(super) lines_before: u64,
    timestamp_slot: usize,
    /// True if events without an event time have the time 0.
    time_is_optional: bool,
    timestamp_unit: TimeUnit,
    /// Reads event times in place of the rules of [`Value::timestamp`].
    times: Option<Box<dyn ReadTime>>,
    key_slots: Vec<usize>,
    on_null_key: OnNullKey,
    columns: Vec<Column>,
    /// The number of leading columns of which an event must have at least one.
    require_any_of: usize,
    /// The needed fields inside of objects.
    paths: Paths,
    /// Texts that stand for a missing value.
    nulls: Vec<Box<[u8]>>,
    /// Decides about lines that would be rejected.
    front_filter: FrontFilter,
    /// True if the values of a line need [`Collector::prepare`].
    prepares: bool,
    identities: Vec<Identities>,
    /// All columns of CSV, sorted by name, if an identity needs them.
    all_columns: Option<Vec<NamedSlot>>,
    partition_slot: Option<usize>,
    keys: Dictionary,
    partitions: Dictionary,
    /// Buffer for the text of a value.
    scratch: Vec<u8>,
}

/// Assigns ids to keys or partitions.
struct Dictionary {
    interner: Interner,
    max_entries: usize,
    max_key_bytes: usize,
    /// The key or partition of the current line.
    current: Vec<u8>,
}

impl Dictionary {
    fn new(options: &ReaderOptions) -> Self {
        Self {
            interner: Interner::new(options.table_seed),
            max_entries: options.max_dictionary_keys.max(1),
            max_key_bytes: options.max_key_bytes,
            current: Vec::new(),
        }
    }

    /// Returns the id of the current key or partition, adding it if needed.
    #[inline]
    fn id(&mut self) -> Result<u32, NoId> {
        match self.interner.find(&self.current) {
            Some(id) => Ok(id),
            None => self.add(),
        }
    }

    /// Adds the current key or partition, which has no id yet.
    #[cold]
    fn add(&mut self) -> Result<u32, NoId> {
        if self.current.len() > self.max_key_bytes {
            return Err(NoId::TooLong);
        }
        let has_room = self.interner.len() < self.max_entries
            && self.interner.total_bytes() < MAX_DICTIONARY_BYTES;
        if has_room { Ok(self.interner.intern(&self.current)) } else { Err(NoId::Full) }
    }
}

/// The reason why a key or partition has no id.
#[derive(Debug, Clone, Copy)]
enum NoId {
    /// The dictionary has no room for another entry.
    Full,
    /// It is longer than [`ReaderOptions::max_key_bytes`].
    TooLong,
}

/// A column to fill, and the slot of its values.
struct Column {
    slot: usize,
    required: bool,
    kind: InputKind,
}

impl Collector {
    pub(super) fn new(schema: &InputSchema, options: &ReaderOptions) -> Self {
        let mut needed = NameTable::default();
        let optional_time = schema.time_is_optional;
        let timestamp_slot = (!optional_time).then(|| needed.add(&schema.timestamp));
        let key_slots = schema.key.iter().map(|name| needed.add(name)).collect();
        let columns = schema.columns.iter();
        let columns = columns
            .map(|column| Column {
                slot: needed.add(&column.name),
                required: column.required,
                kind: column.kind,
            })
            .collect();
        let partition_slot = schema.partition.as_deref().map(|name| needed.add(name));
        let required = needed.len();
        let timestamp_slot = timestamp_slot.unwrap_or_else(|| needed.add(&schema.timestamp));
        let identities = schema.identities.iter();
        let identities: Vec<_> = identities
            .map(|strategies| Identities::new(strategies, |name| needed.add(name)))
            .collect();
        let paths = match options.format {
            Format::Ndjson => Paths::of(&mut needed),
            Format::Csv => Paths::default(),
        };
        let needs_content = identities.iter().any(Identities::need_content);
        Self {
            slots: vec![Value::MISSING; needed.len()],
            needed,
            required,
            lines_before: 0,
            timestamp_slot,
            time_is_optional: optional_time,
            timestamp_unit: options.timestamp_unit,
            times: None,
            key_slots,
            on_null_key: schema.on_null_key,
            columns,
            require_any_of: schema.require_any_of,
            prepares: !paths.is_empty(),
            paths,
            nulls: Vec::new(),
            front_filter: FrontFilter::default(),
            identities,
            all_columns: (options.format == Format::Csv && needs_content).then(Vec::new),
            partition_slot,
            keys: Dictionary::new(options),
            partitions: Dictionary::new(options),
            scratch: Vec::new(),
        }
    }

    /// Sets what reads event times.
    pub(super) fn read_times_by(&mut self, times: Box<dyn ReadTime>) {
        self.times = Some(times);
    }

    /// Skips lines that would be rejected if the filters in front of `plan` remove them.
    pub(super) fn filter_first(&mut self, plan: &Plan) {
        self.front_filter = FrontFilter::of(plan);
    }

    /// Sets the texts that stand for a missing value.
    pub(super) fn read_as_null<'a>(&mut self, texts: impl Iterator<Item = &'a str>) {
        self.nulls = texts.map(|text| text.as_bytes().into()).collect();
        self.prepares = !self.paths.is_empty() || !self.nulls.is_empty();
    }

    /// Returns the names of the needed fields, in the order of their slots.
    pub(super) fn needed(&self) -> &NameTable {
        &self.needed
    }

    /// Returns the columns to find in a CSV header.
    pub(super) fn wanted(&self) -> Wanted<'_> {
        let Self { needed, required, all_columns, .. } = self;
        Wanted { names: needed, required: *required, all: all_columns.is_some() }
    }

    /// Starts a CSV input, whose columns have these names and slots.
    pub(super) fn begin_records(&mut self, columns: impl Iterator<Item = (String, usize)>) {
        self.slots.fill(Value::MISSING);
        if let Some(all) = &mut self.all_columns {
            *all = columns.map(|(name, slot)| NamedSlot::new(&name, slot)).collect();
            crate::util::sort::by(all, |a, b| a.order().cmp(&b.order()));
            self.slots.resize(self.needed.len() + all.len(), Value::MISSING);
        }
    }

    /// Starts a read.
    pub(super) fn start(&self, events: &mut EventBuffer) {
        events.start(self.columns.len(), self.identities.len());
        events.new_keys.start(self.keys.interner.len());
        events.new_partitions.start(self.partitions.interner.len());
    }

    /// Ends a read.
    pub(super) fn finish(&self, events: &mut EventBuffer) {
        events.new_keys.take(&self.keys.interner);
        events.new_partitions.take(&self.partitions.interner);
    }

    /// Turns the values in the slots, whose texts are in `text`, into an event or a rejection.
    /// Returns false, and consumes nothing, if the dictionary is full of keys that other events of
    /// the buffer use.
    ///
    /// `in_place` means that `text` is what was read; `span` is the position of the record in that,
    /// on `lines` lines.
    #[inline]
    pub(super) fn take(
        &mut self,
        text: &[u8],
        in_place: bool,
        span: Span,
        lines: u64,
        events: &mut EventBuffer,
    ) -> bool {
        if self.prepares {
            self.prepare(text);
        }
        let accepted = self.append(text, events);
        match accepted {
            Ok(true) => {
                events.lines.push(self.lines_before + 1);
                events.spans.push(span);
                self.lines_before += lines;
                if !self.identities.is_empty() {
                    self.identify(text, if in_place { span.start as usize } else { 0 }, events);
                }
                true
            }
            Ok(false) => false,
            Err((reason, role)) if self.is_skipped(reason, role, text) => {
                events.skipped += 1;
                self.lines_before += lines;
                true
            }
            Err((reason, role)) => {
                self.reject_field(reason, role, in_place, span, lines, events);
                true
            }
        }
    }

    /// Finds the fields inside of objects, and makes texts that stand for a missing value null.
    #[inline(never)]
    fn prepare(&mut self, text: &[u8]) {
        self.paths.resolve(text, &mut self.slots);
        if self.nulls.is_empty() {
            return;
        }
        for value in &mut self.slots {
            let is_text = matches!(value.kind, Kind::Text | Kind::String);
            if is_text && self.nulls.iter().any(|null| **null == *value.text(text)) {
                value.kind = Kind::Null;
            }
        }
    }

    /// Appends the values to the columns.
    #[inline]
    fn append(
        &mut self,
        text: &[u8],
        events: &mut EventBuffer,
    ) -> Result<bool, (RejectReason, FieldRole)> {
        let timestamp = self.slot(self.timestamp_slot);
        let timestamp = match &self.times {
            None => timestamp.timestamp(text, self.timestamp_unit),
            Some(times) => timestamp.timestamp_by(text, &**times),
        };
        let timestamp = match timestamp {
            Err(RejectReason::MissingField) if self.time_is_optional => 0,
            timestamp => timestamp.map_err(|reason| (reason, FieldRole::Timestamp))?,
        };

        self.keys.current.clear();
        for (index, &slot) in self.key_slots.iter().enumerate() {
            let value = self.slots.get(slot).unwrap_or(&Value::MISSING);
            match value.push_key(text, &mut self.keys.current) {
                Ok(()) => {}
                Err(RejectReason::MissingField) if self.on_null_key == OnNullKey::Keep => {
                    push_null(&mut self.keys.current);
                }
                Err(reason) => return Err((reason, FieldRole::Key(index))),
            }
        }

        if let Some(slot) = self.partition_slot {
            self.partitions.current.clear();
            let value = self.slots.get(slot).unwrap_or(&Value::MISSING);
            value
                .push_key(text, &mut self.partitions.current)
                .map_err(|reason| (reason, FieldRole::Partition))?;
        }

        let row = events.timestamps.len();
        for (index, (column, numbers)) in self.columns.iter().zip(&mut events.columns).enumerate() {
            let value = self.slots.get(column.slot).unwrap_or(&Value::MISSING);
            let number = match column.kind {
                InputKind::F64 => value.number(text, column.required),
                InputKind::Flag => value.flag(text, column.required),
                InputKind::Text => value.fingerprint(text, column.required, &mut self.scratch),
            };
            match number {
                Ok(number) => numbers.push(number),
                Err(reason) => {
                    cut_columns(events, row);
                    return Err((reason, FieldRole::Column(index)));
                }
            }
        }

        if self.require_any_of > 0 {
            let mut any_of = events.columns.iter().take(self.require_any_of);
            if any_of.all(|numbers| numbers.last().is_none_or(|number| number.is_nan())) {
                cut_columns(events, row);
                return Err((RejectReason::MissingField, FieldRole::Column(0)));
            }
        }
        match self.append_ids(events) {
            Ok(true) => {}
            stopped => {
                cut_columns(events, row);
                return stopped;
            }
        }
        events.timestamps.push(timestamp);
        Ok(true)
    }

    /// Returns true if the line in the slots, which would be rejected, is skipped: because it lacks
    /// a field of its key, or because a filter in front of the pipeline removes it.
    #[cold]
    fn is_skipped(&self, reason: RejectReason, role: FieldRole, text: &[u8]) -> bool {
        let lacks_key = reason == RejectReason::MissingField && matches!(role, FieldRole::Key(_));
        if role == FieldRole::Timestamp {
            return false;
        }
        if lacks_key && self.on_null_key == OnNullKey::Drop {
            return true;
        }
        let Self { slots, key_slots, columns, .. } = self;
        let column = |column: usize| {
            let column = columns.get(column);
            let value = column.and_then(|column| slots.get(column.slot));
            (value.unwrap_or(&Value::MISSING), column.map_or(InputKind::F64, |column| column.kind))
        };
        self.front_filter.removes(&mut LineValues { text, slots, key_slots, column })
    }

    /// Appends the identities of the event in the slots, which starts at `start` of `text`.
    fn identify(&mut self, text: &[u8], start: usize, events: &mut EventBuffer) {
        let Self { identities, all_columns, slots, .. } = self;
        let content = all_columns.as_deref().map_or(Content::Json(start), Content::Csv);
        for (way, list) in identities.iter_mut().zip(&mut events.identities) {
            list.push(way.identify(slots, text, content));
        }
    }

    /// Appends the ids of the current line. Returns false, and appends nothing, if its dictionary
    /// has no room for one.
    #[inline]
    fn append_ids(&mut self, events: &mut EventBuffer) -> Result<bool, (RejectReason, FieldRole)> {
        if !self.key_slots.is_empty() {
            match self.keys.id() {
                Ok(id) => events.keys.push(id),
                Err(no_id) => return self.append_other_ids(no_id, FieldRole::Key(0), events),
            }
        }
        if self.partition_slot.is_some() {
            match self.partitions.id() {
                Ok(id) => events.partitions.push(id),
                Err(no_id) => return self.append_other_ids(no_id, FieldRole::Partition, events),
            }
        }
        Ok(true)
    }

    /// Rejects the line if its key or partition is too long. Otherwise empties the full
    /// dictionaries and appends the ids; returns false if an event of the buffer uses an id of
    /// theirs.
    #[cold]
    fn append_other_ids(
        &mut self,
        no_id: NoId,
        role: FieldRole,
        events: &mut EventBuffer,
    ) -> Result<bool, (RejectReason, FieldRole)> {
        events.keys.truncate(events.timestamps.len());
        if let NoId::TooLong = no_id {
            return Err((RejectReason::KeyTooLong, role));
        }
        if !events.timestamps.is_empty() {
            return Ok(false);
        }
        self.keys.interner.clear();
        self.partitions.interner.clear();
        events.reset = true;
        events.new_keys.start(0);
        events.new_partitions.start(0);
        self.append_ids(events)
    }

    #[inline]
    fn slot(&self, slot: usize) -> &Value {
        self.slots.get(slot).unwrap_or(&Value::MISSING)
    }

    #[cold]
    fn reject_field(
        &mut self,
        reason: RejectReason,
        role: FieldRole,
        in_place: bool,
        span: Span,
        lines: u64,
        events: &mut EventBuffer,
    ) {
        let slot = match role {
            FieldRole::Timestamp => Some(self.timestamp_slot),
            FieldRole::Key(index) => self.key_slots.get(index).copied(),
            FieldRole::Partition => self.partition_slot,
            FieldRole::Column(index) => self.columns.get(index).map(|column| column.slot),
        };
        let value = slot.map_or(&Value::MISSING, |slot| self.slot(slot));
        let text = in_place.then(|| Span::new(value.start, value.end));
        let found = Found::Value { kind: value.kind, text };
        self.reject(reason, found, span, lines, events);
        if let Some(rejection) = events.rejections.last_mut() {
            rejection.field = Some(role);
        }
    }

    /// Rejects the record at `span`, which occupies `lines` lines.
    #[cold]
    pub(super) fn reject(
        &mut self,
        reason: RejectReason,
        found: Found,
        span: Span,
        lines: u64,
        events: &mut EventBuffer,
    ) {
        events.rejections.push(Rejection {
            line: self.lines_before + 1,
            reason,
            field: None,
            span,
            continuation: false,
            continues: false,
            found,
        });
        self.lines_before += lines;
    }

    /// Rejects a part of a line that is too long; counts no lines.
    pub(super) fn reject_part(
        &mut self,
        span: Span,
        max_line_bytes: usize,
        continuation: bool,
        continues: bool,
        events: &mut EventBuffer,
    ) {
        let found = Found::Longer { max_line_bytes };
        self.reject(RejectReason::LineTooLong, found, span, 0, events);
        if let Some(rejection) = events.rejections.last_mut() {
            rejection.continuation = continuation;
            rejection.continues = continues;
        }
    }
}

/// Removes the values of an event that is not accepted from the columns.
#[cold]
fn cut_columns(events: &mut EventBuffer, rows: usize) {
    events.columns.iter_mut().for_each(|numbers| numbers.truncate(rows));
}
