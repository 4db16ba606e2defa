//! Fast path to the form of a whole event: most events have the layout of the one before, so the
//! order of their members is known.

use super::canonical::Canonical;
use super::form::{Form, Piece};
use crate::key::push_plain_str;
use crate::text::read::names::{Guess, UNNEEDED};
use crate::text::read::scan::{MAX_DEPTH, Scanner};
use crate::text::read::value::{Kind, Value};

/// Maximum number of members of a learned object, and maximum depth of learned objects in it.
/// Larger objects take the slow path.
const MAX_MEMBERS: usize = 64;
const MAX_LEVELS: u32 = 4;

/// The layout of an earlier event, and the values of the current one.
#[derive(Debug, Default)]
pub(super) struct Layout {
    object: Object,
    /// Number of events since the last one with this layout.
    misses: u32,
}

/// The layout of an object.
#[derive(Debug, Default)]
struct Object {
    /// In the order of the event.
    members: Vec<Member>,
    /// Indices of the members, sorted by name.
    order: Vec<usize>,
}

/// A member of a learned object, and its current value.
#[derive(Debug)]
struct Member {
    /// The text between the preceding value and this one.
    guess: Guess,
    /// The name in quotes.
    name: Box<[u8]>,
    /// The form of the name.
    form: Piece,
    /// The layout of the value, if it is an object.
    object: Option<Box<Object>>,
    value: Value,
}

impl Layout {
    /// Appends the members of the object at `start` except those that are null. Returns false, and
    /// appends nothing, if the object has another layout. If `only`, nothing may follow the object.
    #[inline]
    pub(super) fn push_event(
        &mut self,
        form: &mut Form,
        canonical: &mut Canonical,
        bytes: &[u8],
        start: usize,
        only: bool,
    ) -> bool {
        let mut scanner = Scanner::new(bytes, start);
        scanner.skip_space();
        let found =
            self.object.scan(&mut scanner, MAX_DEPTH - 1).is_some() && scanner.is_at_end(only);
        if found {
            self.misses = 0;
            self.object.push(form, canonical, bytes, true);
        }
        found
    }

    /// Records that the object at `start`, which is valid JSON, has another layout, and learns that
    /// layout. It learns at the 1st, 2nd, 4th, 8th, ... learn_after_miss in a row, so events
    /// without a common layout cost little.
    #[cold]
    pub(super) fn learn_after_miss(&mut self, bytes: &[u8], start: usize) {
        self.misses = self.misses.saturating_add(1);
        if self.misses.is_power_of_two() {
            let mut scanner = Scanner::new(bytes, start);
            scanner.skip_space();
            self.object = Object::learn(&mut scanner, MAX_LEVELS).unwrap_or_default();
        }
    }
}

impl Object {
    /// Finds the values; `None` if the object has another layout.
    #[inline]
    fn scan(&mut self, scanner: &mut Scanner<'_>, depth: u32) -> Option<()> {
        let mut before = b'{';
        for member in &mut self.members {
            if !member.guess.take(scanner) {
                member.take_name(scanner, before)?;
            }
            match &mut member.object {
                None => scanner.value(depth, &mut member.value)?,
                Some(object) => object.scan(scanner, depth.checked_sub(1)?)?,
            }
            before = b',';
        }
        scanner.skip_space();
        if before == b'{' || scanner.peek() != Some(b'}') {
            return None;
        }
        scanner.at += 1;
        Some(())
    }

    /// Appends the members found by the last scan.
    #[inline]
    fn push(&self, form: &mut Form, canonical: &mut Canonical, bytes: &[u8], skip_null: bool) {
        for &place in &self.order {
            let Some(member) = self.members.get(place) else { continue };
            match &member.object {
                None => {
                    form.push_named(&member.form, &member.value, bytes, canonical, skip_null);
                }
                Some(object) => {
                    form.open_object(&member.form);
                    object.push(form, canonical, bytes, false);
                    form.close();
                }
            }
        }
    }

    /// Learns the layout of the object at the scanner's position; `None` if it cannot be predicted.
    fn learn(scanner: &mut Scanner<'_>, levels: u32) -> Option<Self> {
        let mut object = Self::default();
        loop {
            let from = scanner.at;
            scanner.skip_space();
            let Some(b'{' | b',') = scanner.peek() else { break };
            scanner.at += 1;
            scanner.skip_space();
            if object.members.len() == MAX_MEMBERS {
                return None;
            }
            object.members.push(Member::learn(scanner, from, levels)?);
        }
        scanner.at += 1;
        let form = |place: &usize| object.members.get(*place).map(|member| member.form.bytes());
        let mut order: Vec<usize> = (0..object.members.len()).collect();
        crate::util::sort::by(&mut order, |a, b| form(a).cmp(&form(b)));
        // For a repeated name, the slow path uses the last value.
        let distinct = order.is_sorted_by(|a, b| form(a) < form(b));
        object.order = order;
        distinct.then_some(object)
    }
}

impl Member {
    /// Learns the member at the scanner's position, including all text since `from`.
    fn learn(scanner: &mut Scanner<'_>, from: usize, levels: u32) -> Option<Self> {
        let name_start = scanner.at;
        let (kind, end) = scanner.name()?;
        if kind != Kind::String {
            return None;
        }
        let start = scanner.at;
        let before = scanner.bytes.get(from..start)?;
        let name = scanner.bytes.get(name_start..=end)?;
        let mut form = Vec::new();
        push_plain_str(&mut form, scanner.bytes, name_start + 1, end);
        scanner.value(MAX_DEPTH, &mut { Value::MISSING })?;
        let mut inner = Scanner::new(scanner.bytes, start);
        let is_object = levels > 0 && inner.peek() == Some(b'{');
        let object = is_object.then(|| Object::learn(&mut inner, levels - 1)).flatten();
        Some(Self {
            guess: Guess::new(before, UNNEEDED),
            name: name.into(),
            form: Piece::new(&form),
            object: object.map(Box::new),
            value: Value::MISSING,
        })
    }

    /// Skips to the value if the guess failed: other white space, near the end of the bytes, or a
    /// long name. `before` is the character required before the name.
    #[cold]
    fn take_name(&self, scanner: &mut Scanner<'_>, before: u8) -> Option<()> {
        scanner.skip_space();
        if scanner.peek() != Some(before) {
            return None;
        }
        scanner.at += 1;
        scanner.skip_space();
        let rest = scanner.bytes.get(scanner.at..)?;
        if !rest.starts_with(&self.name) {
            return None;
        }
        scanner.at += self.name.len();
        scanner.skip_space();
        if scanner.peek() != Some(b':') {
            return None;
        }
        scanner.at += 1;
        scanner.skip_space();
        Some(())
    }
}
