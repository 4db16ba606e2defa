//! The quick way to an event's form: most events are laid out as the one before, so the order of their members is known.

use super::canonical::Canonical;
use super::form::{Form, Piece};
use crate::key::push_plain_str;
use crate::text::read::names::{Guess, UNNEEDED};
use crate::text::read::scan::{MAX_DEPTH, Scanner};
use crate::text::read::value::{Kind, Value};

/// Members of an object that is learned, and how deep objects in it are learned too; more takes the long way.
const MAX_MEMBERS: usize = 64;
const MAX_LEVELS: u32 = 4;

/// The layout of an earlier event, and the values of the current one.
#[derive(Debug, Default)]
pub(super) struct Layout {
    object: Object,
    /// Events since the last one that was laid out so.
    misses: u32,
}

#[derive(Debug, Default)]
struct Object {
    /// As they stand in the event.
    members: Vec<Member>,
    /// The places of the members in the order of their names.
    order: Vec<usize>,
}

#[derive(Debug)]
struct Member {
    /// All that stands between the value before and this one.
    guess: Guess,
    /// The name in quotes.
    name: Box<[u8]>,
    /// The name's form.
    form: Piece,
    /// What is in it, where it is an object.
    object: Option<Box<Object>>,
    value: Value,
}

impl Layout {
    /// Appends the members of the object at `start`, those that are null left out; false, and nothing appended, if it is
    /// laid out in another way. `only`: nothing may follow it.
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

    /// Takes note that the object at `start`, which is JSON, is laid out in another way, and learns that way. Where no two
    /// events are alike, it learns ever less often.
    #[cold]
    pub(super) fn miss(&mut self, bytes: &[u8], start: usize) {
        self.misses = self.misses.saturating_add(1);
        if self.misses.is_power_of_two() {
            let mut scanner = Scanner::new(bytes, start);
            scanner.skip_space();
            self.object = Object::learn(&mut scanner, MAX_LEVELS).unwrap_or_default();
        }
    }
}

impl Object {
    /// Finds the values; `None` if the object is laid out in another way.
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

    /// Appends the members that were found.
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

    /// Learns the layout of the object at the scanner's place; `None`: it cannot be guessed.
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
        order.sort_by(|a, b| form(a).cmp(&form(b)));
        // Of a name that is there twice, the long way takes the last.
        let distinct = order.is_sorted_by(|a, b| form(a) < form(b));
        object.order = order;
        distinct.then_some(object)
    }
}

impl Member {
    /// Learns the member at the scanner's place, with all that stands from `from` on.
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

    /// Goes to its value where the guess is wrong: other white space, near the end of the bytes, or a long name. `before`
    /// is what has to stand before the name.
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
