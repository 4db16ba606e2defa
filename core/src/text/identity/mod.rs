//! Event identities: a 128-bit hash that is equal for all spellings of an event.
//!
//! The hash is XXH3 (128 bits, seed 0) of one byte for the strategy, followed by the identifying
//! values in the form of [`canonical`]. After `10` come name and value of each field in the order
//! of the strategy. After `11` come all members of the event that are not null. An identity of 0,
//! which means none, is replaced by 1.
//!
//! ```text
//! strategy           fast path                             slow path
//! one string field   hash::hash_of_string (on stack)       form::Form
//! several fields     form::Form (fixed-length copies)      canonical::Canonical, per value
//! @content           layout::Layout (predicted members)    canonical::Canonical (sorts members)
//! ```
//!
//! [`Identities`] holds the strategies of a reader and picks the path. [`Identifier`] does the same
//! for single events outside a reader.

mod canonical;
mod form;
mod hash;
mod layout;
#[cfg(test)]
mod tests;

use core::slice::from_ref;
use std::collections::BTreeMap;

use canonical::Canonical;
use form::{Form, Piece};
use hash::{Hash, Head, hash_of, hash_of_string};
use layout::Layout;

use super::read::lines::next_feed;
use super::read::names::Names;
use super::read::ndjson::{Line, scan_line};
use super::read::paths::Paths;
use super::read::value::{Kind, Value};
use crate::data::batch::{Identity, NO_IDENTITY};
use crate::key::{needs_escape, push_str};
use crate::spec::{SpecError, Strategy};
use crate::util::names::NameTable;

const FIELDS: u8 = 0x10;
const CONTENT: u8 = 0x11;

/// Computes identities from the values that a reader has found.
#[derive(Debug)]
pub(super) struct Identities {
    strategies: Vec<CompiledStrategy>,
    form: Form,
    canonical: Canonical,
    layout: Layout,
}

#[derive(Debug)]
enum CompiledStrategy {
    Content,
    Fields(Vec<Field>),
    /// One field, and the bytes hashed before its value if that is a string.
    Field(Field, Head),
}

#[derive(Debug)]
struct Field {
    /// The bytes hashed before the value.
    head: Piece,
    slot: usize,
}

/// The content of a whole event.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content<'a> {
    /// A JSON object that starts at this position of the text and ends its line.
    Json(usize),
    /// A JSON object that is the whole text.
    OnlyJson,
    /// The columns of CSV, sorted by name.
    Csv(&'a [NamedSlot]),
}

/// A column of CSV: its name in canonical form, and the slot of its values.
#[derive(Debug)]
pub(super) struct NamedSlot {
    name: Piece,
    slot: usize,
}

impl NamedSlot {
    pub(super) fn new(name: &str, slot: usize) -> Self {
        let mut bytes = Vec::new();
        push_str(&mut bytes, name);
        Self { name: Piece::new(&bytes), slot }
    }

    /// Returns the sort key of the column.
    pub(super) fn order(&self) -> (&[u8], usize) {
        (self.name.bytes(), self.slot)
    }
}

impl CompiledStrategy {
    fn of_fields(fields: Vec<Field>) -> Self {
        match <[Field; 1]>::try_from(fields) {
            Ok([field]) => match Head::of_string(field.head.bytes()) {
                Some(head) => Self::Field(field, head),
                None => Self::Fields(vec![field]),
            },
            Err(fields) => Self::Fields(fields),
        }
    }
}

impl Identities {
    /// Compiles `strategies`, which are tried in order; `slot_of` returns the slot of a field.
    pub(super) fn new(strategies: &[Strategy], mut slot_of: impl FnMut(&str) -> usize) -> Self {
        let mut field = |index: usize, name: &str| {
            let mut head = if index == 0 { vec![FIELDS] } else { Vec::new() };
            push_str(&mut head, name);
            Field { head: Piece::new(&head), slot: slot_of(name) }
        };
        let compiled = strategies.iter().map(|strategy| match strategy {
            Strategy::Content => CompiledStrategy::Content,
            Strategy::Fields(names) => CompiledStrategy::of_fields(
                names.iter().enumerate().map(|(index, name)| field(index, name)).collect(),
            ),
        });
        Self {
            strategies: compiled.collect(),
            form: Form::new(),
            canonical: Canonical::default(),
            layout: Layout::default(),
        }
    }

    /// Returns true if any strategy uses the whole content of an event.
    pub(super) fn need_content(&self) -> bool {
        self.strategies.iter().any(|strategy| matches!(strategy, CompiledStrategy::Content))
    }

    /// Returns the slot of the first strategy's field; `None` if it uses more than one field.
    fn first_slot(&self) -> Option<usize> {
        match self.strategies.first()? {
            CompiledStrategy::Field(field, _) => Some(field.slot),
            CompiledStrategy::Fields(fields) => match fields.as_slice() {
                [field] => Some(field.slot),
                _ => None,
            },
            CompiledStrategy::Content => None,
        }
    }

    /// Returns the bytes hashed before a string in that field.
    fn head_of_string(&self) -> Option<Head> {
        match self.strategies.first()? {
            CompiledStrategy::Field(_, head) => Some(*head),
            _ => None,
        }
    }

    /// Returns the identity of the event whose values are in `slots`, with their texts in `text`.
    pub(super) fn identify(
        &mut self,
        slots: &[Value],
        text: &[u8],
        content: Content<'_>,
    ) -> Identity {
        let Self { strategies, form, canonical, layout } = self;
        for strategy in strategies {
            let hash = match strategy {
                CompiledStrategy::Field(field, head) => match of_string(field, head, slots, text) {
                    Hash::NONE => of_fields(form, canonical, from_ref(field), slots, text),
                    hash => hash,
                },
                CompiledStrategy::Fields(fields) => of_fields(form, canonical, fields, slots, text),
                CompiledStrategy::Content => {
                    of_content(form, canonical, layout, slots, text, content)
                }
            };
            if !hash.is_none() {
                return hash.identity();
            }
        }
        NO_IDENTITY
    }
}

/// Fast path for a string that is not short. Returns none for anything else.
#[inline]
fn of_string(field: &Field, head: &Head, slots: &[Value], text: &[u8]) -> Hash {
    match slots.get(field.slot) {
        Some(value) if value.kind == Kind::String => hash_of_string(head, value.text(text)),
        _ => Hash::NONE,
    }
}

#[inline(never)]
fn of_fields(
    form: &mut Form,
    canonical: &mut Canonical,
    fields: &[Field],
    slots: &[Value],
    text: &[u8],
) -> Hash {
    form.clear();
    for field in fields {
        form.push_piece(&field.head);
        let value = slots.get(field.slot).unwrap_or(&Value::MISSING);
        if !form.push_value(value, text, canonical) {
            return Hash::NONE;
        }
    }
    hash_of(form.bytes())
}

fn of_content(
    form: &mut Form,
    canonical: &mut Canonical,
    layout: &mut Layout,
    slots: &[Value],
    text: &[u8],
    content: Content<'_>,
) -> Hash {
    form.clear();
    form.push(CONTENT);
    let start = match content {
        Content::Json(start) => start,
        Content::OnlyJson => 0,
        Content::Csv(columns) => {
            for column in columns {
                let value = slots.get(column.slot).unwrap_or(&Value::MISSING);
                form.push_named(&column.name, value, text, canonical, true);
            }
            return hash_of(form.bytes());
        }
    };
    let only = matches!(content, Content::OnlyJson);
    if layout.push_event(form, canonical, text, start, only) {
        return hash_of(form.bytes());
    }
    canonical.clear();
    canonical.bytes.push(CONTENT);
    if canonical.push_event(text, start, only).is_none() {
        return Hash::NONE;
    }
    layout.learn_after_miss(text, start);
    hash_of(&canonical.bytes)
}

/// Computes the identity of single events by the strategies of a `dedup` stage, as readers do for
/// every line.
///
/// ```
/// # use stream_processor_core::{NO_IDENTITY, spec::Strategy, text::Identifier};
/// let mut by_order = Identifier::new(&[Strategy::Fields(vec!["tenant".into(), "order".into()])]);
/// let identity = by_order.of_json(br#"{"tenant": "acme", "order": {"no": 1.0, "line": 2}}"#);
/// assert_eq!(identity, by_order.of_json(br#"{"order":{"line":2,"no":1},"tenant":"acme","x":0}"#));
/// assert_eq!(by_order.of_json(br#"{"tenant": "acme", "order": null}"#), NO_IDENTITY);
/// ```
pub struct Identifier {
    identities: Identities,
    names: Names,
    paths: Paths,
    slots: Vec<Value>,
}

impl Identifier {
    /// Compiles `strategies`, which are tried in order.
    #[must_use]
    pub fn new(strategies: &[Strategy]) -> Self {
        let mut needed = NameTable::default();
        let identities = Identities::new(strategies, |name| needed.add(name));
        let paths = Paths::of(&mut needed);
        let slots = vec![Value::MISSING; needed.len()];
        Self { identities, names: Names::new(needed), paths, slots }
    }

    /// Compiles strategies in JSON, as a `dedup` stage lists them.
    ///
    /// # Errors
    /// Returns an error if the text is not such a list.
    pub fn from_json(strategies: &str) -> Result<Self, SpecError> {
        let strategies: Vec<Strategy> = serde_json::from_slice(strategies.as_bytes())
            .map_err(|error| SpecError::new("strategies", error.to_string()))?;
        Ok(Self::new(&strategies))
    }

    /// Appends the identity of each of `lines`, as returned by [`Identifier::of_json`]: 16 bytes,
    /// little-endian.
    pub fn write(&mut self, lines: &[u8], out: &mut Vec<u8>) {
        let mut next = Some(0);
        while let Some(start) = next {
            let feed = next_feed(lines, start);
            let end = feed.unwrap_or(lines.len());
            let identity = self.identify_event(lines, start, end, Content::Json(start));
            identity.iter().for_each(|half| out.extend_from_slice(&half.to_le_bytes()));
            next = feed.map(|feed| feed + 1);
        }
    }

    /// Appends the identity of each of `ids`: that of an event whose only member is this string, in
    /// `field`.
    ///
    /// Ids from a table column, or from the keys of a topic, thus need no conversion to JSON.
    ///
    /// ```
    /// # use stream_processor_core::{spec::Strategy, text::Identifier};
    /// let mut by_id = Identifier::new(&[Strategy::Fields(vec!["id".into()])]);
    /// let mut found = Vec::new();
    /// by_id.of_strings("id", ["a", "b"], &mut found);
    /// assert_eq!(found, [by_id.of_json(br#"{"id":"a"}"#), by_id.of_json(br#"{"id": "b", "x": 0}"#)]);
    /// ```
    pub fn of_strings<'a>(
        &mut self,
        field: &str,
        ids: impl IntoIterator<Item = &'a str>,
        found: &mut Vec<Identity>,
    ) {
        let slot = self.names.slot_of(field.as_bytes());
        let quick = slot.filter(|slot| self.identities.first_slot() == Some(*slot));
        let head = self.identities.head_of_string();
        self.slots.fill(Value::MISSING);
        let ids = ids.into_iter();
        found.reserve(ids.size_hint().0);
        for id in ids {
            let Some(slot) = quick.filter(|_| !needs_escape(id.as_bytes())) else {
                found.push(self.of_json(&event_of(field, id)));
                continue;
            };
            let hash = head.as_ref().map_or(Hash::NONE, |head| hash_of_string(head, id.as_bytes()));
            if !hash.is_none() {
                found.push(hash.identity());
                continue;
            }
            if let Some(value) = self.slots.get_mut(slot) {
                value.set(Kind::String, 0, id.len());
            }
            found.push(self.identities.identify(&self.slots, id.as_bytes(), Content::OnlyJson));
        }
    }

    /// Returns the identity of `event`, a JSON object on one line. Returns [`NO_IDENTITY`] if no
    /// strategy applies, or for any other text.
    #[must_use]
    pub fn of_json(&mut self, event: &[u8]) -> Identity {
        self.identify_event(event, 0, event.len(), Content::OnlyJson)
    }

    /// Returns the identity of the event from `start` to `end` of `text`, which is the whole text
    /// or a line.
    fn identify_event(
        &mut self,
        text: &[u8],
        start: usize,
        end: usize,
        content: Content<'_>,
    ) -> Identity {
        if !self.slots.is_empty() {
            // The scan of a line ends at a line feed.
            let line = scan_line(text, start, &mut self.names, &mut self.slots);
            if !matches!(line, Line::Object { end: found, .. } if found == end) {
                return NO_IDENTITY;
            }
            self.paths.resolve(text, &mut self.slots);
        }
        self.identities.identify(&self.slots, text, content)
    }
}

/// Formats an event whose only member is the string `value` in `field` as JSON.
#[cold]
fn event_of(field: &str, value: &str) -> Vec<u8> {
    serde_json::to_vec(&BTreeMap::from([(field, value)])).unwrap_or_default()
}
