//! The options of each kind of window.

use super::{Duration, Emit, SpecError, Window, WindowKind};

use WindowKind::{Calendar, Count, Cumulate, Global, Session, Sliding, Tumbling};

/// The options, each with the kinds of windows that have it.
const OPTIONS: [(&str, &[WindowKind]); 12] = [
    ("size", &[Tumbling, Sliding, Cumulate]),
    ("slide", &[Sliding]),
    ("gap", &[Session]),
    ("step", &[Cumulate]),
    ("count", &[Count]),
    ("unit", &[Calendar]),
    ("zone", &[Calendar]),
    ("zone_offsets", &[Calendar]),
    ("zone_offsets_until", &[Calendar]),
    ("offset", &[Tumbling, Sliding, Cumulate]),
    ("allowed_lateness", &[Tumbling, Sliding, Session, Cumulate, Calendar]),
    ("early", &[Tumbling, Sliding]),
];

/// Checks that `window`, the stage at `path`, has exactly the options of its kind.
#[inline]
pub(crate) fn check_options(path: &str, window: &Window) -> Result<(), SpecError> {
    for (name, kinds) in OPTIONS {
        let (given, needed) = is_given(window, name);
        let message = if given && !kinds.contains(&window.window) {
            not_one_of_these(window.window, name, kinds)
        } else if needed && !given && kinds.contains(&window.window) {
            missing(name)
        } else {
            continue;
        };
        return Err(SpecError::new(format!("{path}.{name}"), message));
    }
    if window.emit == Emit::Final && matches!(window.window, Count | Global) {
        let message = "count and global windows always give one row: remove it";
        return Err(SpecError::new(format!("{path}.emit"), message));
    }
    Ok(())
}

/// Returns whether `window` sets the option `name`, and whether its kind requires it.
#[inline]
fn is_given(window: &Window, name: &str) -> (bool, bool) {
    match name {
        "size" => (window.size.is_some(), true),
        "slide" => (window.slide.is_some(), true),
        "gap" => (window.gap.is_some(), true),
        "step" => (window.step.is_some(), true),
        "count" => (window.count.is_some(), true),
        "unit" => (window.unit.is_some(), true),
        "zone" => (window.zone.is_some(), false),
        "zone_offsets" => (window.zone_offsets.is_some(), false),
        "zone_offsets_until" => (window.zone_offsets_until.is_some(), false),
        "offset" => (window.offset != Duration::default(), false),
        "allowed_lateness" => (window.allowed_lateness != Duration::default(), false),
        _ => (window.early.is_some(), false),
    }
}

#[inline]
fn missing(name: &str) -> String {
    let what = match name {
        "size" => "the length of a window, such as \"1m\"",
        "slide" => "the time from one window's start to the next, such as \"30s\"",
        "gap" => "the longest time between two events of a session, such as \"30s\"",
        "step" => "how much longer each window is than the one before, such as \"1h\"",
        "unit" => "\"day\", \"week\" or \"month\"",
        _ => "the number of events of a window, such as 100",
    };
    format!("missing: {what}")
}

#[inline]
fn not_one_of_these(kind: WindowKind, option: &str, kinds: &[WindowKind]) -> String {
    let why = match (kind, option) {
        (Tumbling, "slide") => "tumbling windows come one after another",
        (Session, "size") => "sessions end a gap after their last event",
        (Session, "slide" | "offset") => "sessions begin with an event",
        (Session, "early") => "a session may still become part of another",
        (Count | Global, "allowed_lateness") => "no event is late for these windows",
        _ => "these windows do not depend on it",
    };
    let others: Vec<String> =
        kinds.iter().map(|kind| format!("window = \"{}\"", name(*kind))).collect();
    format!("{why}, so they have none: remove it, or set {}", others.join(" or "))
}

#[inline]
fn name(kind: WindowKind) -> &'static str {
    match kind {
        Tumbling => "tumbling",
        Sliding => "sliding",
        Session => "session",
        Cumulate => "cumulate",
        Count => "count",
        Global => "global",
        Calendar => "calendar",
    }
}
