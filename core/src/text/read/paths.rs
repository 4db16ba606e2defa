//! Fields inside of objects, named by paths such as `payload.ms`.
//!
//! A member of the event with that whole name comes first. Otherwise the reader stores the object
//! `payload` in a slot of its own, and [`Paths::resolve`] finds `ms` in it. Lines are scanned as
//! without paths.

use super::scan::{MAX_DEPTH, Scanner};
use super::unescape::unescape;
use super::value::{Kind, Value};
use crate::util::names::NameTable;

/// The needed fields whose names are paths.
#[derive(Debug, Default)]
pub(in crate::text) struct Paths(Vec<Path>);

#[derive(Debug)]
struct Path {
    /// The slot of the field.
    slot: usize,
    /// The slot of the outermost object.
    head: usize,
    /// The names below that object.
    names: Vec<Box<str>>,
}

impl Paths {
    /// Finds the paths among the `needed` fields, and adds their outermost objects to these.
    pub(in crate::text) fn of(needed: &mut NameTable) -> Self {
        let mut paths = Vec::new();
        for slot in 0..needed.len() {
            let name = needed.names().get(slot).cloned().unwrap_or_default();
            let mut names = name.split('.').map(Box::<str>::from);
            let head = names.next().unwrap_or_default();
            let names: Vec<Box<str>> = names.collect();
            let is_path = !names.is_empty() && !head.is_empty();
            if is_path && names.iter().all(|name| !name.is_empty()) {
                paths.push(Path { slot, head: needed.add(&head), names });
            }
        }
        Self(paths)
    }

    #[inline]
    pub(in crate::text) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Stores the values of the paths that the line does not have as whole names.
    pub(in crate::text) fn resolve(&self, bytes: &[u8], slots: &mut [Value]) {
        for Path { slot, head, names } in &self.0 {
            let mut object = slots.get(*head).copied().unwrap_or(Value::MISSING);
            let Some(value) = slots.get_mut(*slot).filter(|value| value.kind == Kind::Missing)
            else {
                continue;
            };
            for name in names {
                object = match object.kind {
                    Kind::Object => member(bytes, object.start, name).unwrap_or(Value::MISSING),
                    _ => Value::MISSING,
                };
            }
            *value = object;
        }
    }
}

/// Returns the value of the last member `name` of the valid object at `start`.
fn member(bytes: &[u8], start: usize, name: &str) -> Option<Value> {
    let mut scanner = Scanner::new(bytes, start + 1);
    let mut found = None;
    scanner.skip_space();
    if scanner.peek() == Some(b'}') {
        return None;
    }
    loop {
        let from = scanner.at + 1;
        let (kind, end) = scanner.name()?;
        let mut value = Value::MISSING;
        scanner.value(MAX_DEPTH, &mut value)?;
        if is_name(kind, bytes.get(from..end)?, name) {
            found = Some(value);
        }
        scanner.skip_space();
        if scanner.peek() != Some(b',') {
            return found;
        }
        scanner.at += 1;
        scanner.skip_space();
    }
}

fn is_name(kind: Kind, text: &[u8], name: &str) -> bool {
    if kind != Kind::EscapedString {
        return text == name.as_bytes();
    }
    let mut unescaped = Vec::with_capacity(text.len());
    unescape(text, &mut unescaped);
    unescaped == name.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::read::names::Names;
    use crate::text::read::ndjson::{Line, scan_line};

    fn found(line: &str, name: &str) -> Option<String> {
        let mut needed: NameTable = [name].into_iter().collect();
        let paths = Paths::of(&mut needed);
        let mut slots = vec![Value::MISSING; needed.len()];
        let scanned = scan_line(line.as_bytes(), 0, &mut Names::new(needed), &mut slots);
        assert!(matches!(scanned, Line::Object { .. }), "{line}");
        paths.resolve(line.as_bytes(), &mut slots);
        let value = slots[0];
        (value.kind != Kind::Missing)
            .then(|| String::from_utf8_lossy(value.text(line.as_bytes())).into_owned())
    }

    #[test]
    fn path_leads_into_objects() {
        for (line, name, value) in [
            (r#"{"a":{"b":1}}"#, "a.b", Some("1")),
            (r#"{"x":{"b":2}, "a" : { "c":[{"b":0}], "b" : "t" } }"#, "a.b", Some("t")),
            (r#"{"a":{"b":{"c":{"d":true}}}}"#, "a.b.c.d", Some("true")),
            (r#"{"a":{"\u0062":1,"b":2}}"#, "a.b", Some("2")),
            (r#"{"a":{"b":2,"\u0062":1}}"#, "a.b", Some("1")),
            (r#"{"a":{}}"#, "a.b", None),
            (r#"{"a":[{"b":1}]}"#, "a.b", None),
            (r#"{"a":1}"#, "a.b", None),
            (r#"{"b":1}"#, "a.b", None),
        ] {
            assert_eq!(found(line, name).as_deref(), value, "{line} {name}");
        }
    }

    #[test]
    fn member_with_the_whole_name_comes_first() {
        assert_eq!(found(r#"{"a":{"b":1},"a.b":2}"#, "a.b").as_deref(), Some("2"));
        assert_eq!(found(r#"{"a.b":null,"a":{"b":1}}"#, "a.b").as_deref(), Some("null"));
        for name in ["a.", ".a", "a..b", "."] {
            let line = format!(r#"{{"a":{{"":{{"b":1}}}},"{name}":3}}"#);
            assert_eq!(found(&line, name).as_deref(), Some("3"));
        }
    }
}
