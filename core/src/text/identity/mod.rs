//! The identity of an event: a 128-bit hash of what makes it the same event wherever, and however spelled, it comes again.
//!
//! The hash is XXH3 (128 bits, seed 0) of one byte for the strategy and what it looks at in the form of [`canonical`]: `10`
//! and name and value of each field in the order of the strategy, or `11` and all members of the event but those that are
//! null. The identity that would be 0, which stands for none, is 1.

mod canonical;
mod layout;

use canonical::Canonical;
use layout::Layout;
use xxhash_rust::xxh3::xxh3_128;

use super::names::Names;
use super::ndjson::{Line, scan_line};
use super::value::{Kind, Value};
use crate::batch::{Identity, NO_IDENTITY};
use crate::key::push_str;
use crate::spec::{SpecError, Strategy};

const FIELDS: u8 = 0x10;
const CONTENT: u8 = 0x11;

/// Tells identities from the values that a reader has found.
#[derive(Debug)]
pub(super) struct Identities {
    strategies: Vec<Compiled>,
    canonical: Canonical,
    layout: Layout,
}

#[derive(Debug)]
enum Compiled {
    Content,
    Fields(Vec<Field>),
}

#[derive(Debug)]
struct Field {
    /// What stands before the value.
    head: Box<[u8]>,
    slot: usize,
}

/// All there is in an event.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content<'a> {
    /// The JSON object that begins there in the text, and ends its line.
    Json(usize),
    /// The columns of CSV in the order of their names.
    Csv(&'a [NamedSlot]),
}

/// A column of CSV: its name in canonical form, and where its values are found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NamedSlot {
    name: Box<[u8]>,
    slot: usize,
}

impl NamedSlot {
    pub(super) fn new(name: &str, slot: usize) -> Self {
        let mut bytes = Vec::new();
        push_str(&mut bytes, name);
        Self { name: bytes.into(), slot }
    }
}

impl Identities {
    /// By `strategies`, tried in order; `slot_of` gives the slot of a field.
    pub(super) fn new(strategies: &[Strategy], mut slot_of: impl FnMut(&str) -> usize) -> Self {
        let mut field = |index: usize, name: &str| {
            let mut head = if index == 0 { vec![FIELDS] } else { Vec::new() };
            push_str(&mut head, name);
            Field { head: head.into(), slot: slot_of(name) }
        };
        let compiled = strategies.iter().map(|strategy| match strategy {
            Strategy::Content => Compiled::Content,
            Strategy::Fields(names) => Compiled::Fields(
                names.iter().enumerate().map(|(index, name)| field(index, name)).collect(),
            ),
        });
        Self {
            strategies: compiled.collect(),
            canonical: Canonical::default(),
            layout: Layout::default(),
        }
    }

    /// Whether any of the strategies looks at everything in an event.
    pub(super) fn need_content(&self) -> bool {
        self.strategies.iter().any(|strategy| matches!(strategy, Compiled::Content))
    }

    /// The identity of the event whose values are in `slots`, with their texts in `text`.
    pub(super) fn identify(
        &mut self,
        slots: &[Value],
        text: &[u8],
        content: Content<'_>,
    ) -> Identity {
        let Self { strategies, canonical, layout } = self;
        for strategy in strategies {
            canonical.clear();
            let applies = match strategy {
                Compiled::Content => {
                    canonical.bytes.push(CONTENT);
                    push_content(canonical, layout, slots, text, content)
                }
                Compiled::Fields(fields) => {
                    fields.iter().all(|field| push_field(canonical, field, slots, text))
                }
            };
            if applies {
                return hash(&canonical.bytes);
            }
        }
        NO_IDENTITY
    }
}

#[inline]
fn push_field(canonical: &mut Canonical, field: &Field, slots: &[Value], text: &[u8]) -> bool {
    let value = slots.get(field.slot).unwrap_or(&Value::MISSING);
    canonical.bytes.extend_from_slice(&field.head);
    match value.kind {
        Kind::Array | Kind::Object => canonical.push_text(value.text(text)),
        _ => canonical.push_scalar(value, text),
    }
}

fn push_content(
    canonical: &mut Canonical,
    layout: &mut Layout,
    slots: &[Value],
    text: &[u8],
    content: Content<'_>,
) -> bool {
    let start = match content {
        Content::Json(start) => start,
        Content::Csv(columns) => {
            for column in columns {
                let value = slots.get(column.slot).unwrap_or(&Value::MISSING);
                canonical.push_named(&column.name, value, text, true);
            }
            return true;
        }
    };
    if layout.push_event(canonical, text, start) {
        return true;
    }
    let pushed = canonical.push_event(text, start).is_some();
    if pushed {
        layout.miss(text, start);
    }
    pushed
}

#[inline]
fn hash(bytes: &[u8]) -> Identity {
    let (low, high) = halves(xxh3_128(bytes));
    if [low, high] == NO_IDENTITY { [1, 0] } else { [low, high] }
}

#[allow(clippy::cast_possible_truncation, reason = "each half is what is left")]
fn halves(hash: u128) -> (u64, u64) {
    (hash as u64, (hash >> 64) as u64)
}

/// Tells the identity of single events by the strategies of a `dedup` stage; readers do so for every line.
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
    slots: Vec<Value>,
}

impl Identifier {
    /// By `strategies`, tried in order.
    #[must_use]
    pub fn new(strategies: &[Strategy]) -> Self {
        let mut needed: Vec<Box<str>> = Vec::new();
        let identities = Identities::new(strategies, |name| slot_of(&mut needed, name));
        Self { identities, names: Names::new(&needed), slots: vec![Value::MISSING; needed.len()] }
    }

    /// By strategies as a `dedup` stage lists them, in JSON.
    ///
    /// # Errors
    /// Text that is no such list.
    pub fn from_json(strategies: &str) -> Result<Self, SpecError> {
        let strategies: Vec<Strategy> = serde_json::from_str(strategies)
            .map_err(|error| SpecError::new("strategies", error.to_string()))?;
        Ok(Self::new(&strategies))
    }

    /// Appends the identity of each of `lines`, as [`Identifier::of_json`] tells it: 16 bytes, little-endian.
    pub fn write(&mut self, lines: &[u8], out: &mut Vec<u8>) {
        for line in lines.split(|byte| *byte == b'\n') {
            for half in self.of_json(line) {
                out.extend_from_slice(&half.to_le_bytes());
            }
        }
    }

    /// The identity of `event`, a JSON object on one line; [`NO_IDENTITY`] if no strategy applies, or for any other text.
    #[must_use]
    pub fn of_json(&mut self, event: &[u8]) -> Identity {
        if memchr::memchr(b'\n', event).is_some() {
            return NO_IDENTITY;
        }
        if !self.slots.is_empty() {
            let line = scan_line(event, 0, &mut self.names, &mut self.slots);
            if !matches!(line, Line::Object { .. }) {
                return NO_IDENTITY;
            }
        }
        self.identities.identify(&self.slots, event, Content::Json(0))
    }
}

/// The place of `name` in `needed`, where it is put if it is new.
pub(super) fn slot_of(needed: &mut Vec<Box<str>>, name: &str) -> usize {
    let place = needed.iter().position(|needed| **needed == *name);
    place.unwrap_or_else(|| {
        needed.push(name.into());
        needed.len() - 1
    })
}
