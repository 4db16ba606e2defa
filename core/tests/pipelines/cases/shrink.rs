//! Makes a failing case smaller: drops events, stages and options as long as the case still fails.

use serde_json::{Value, json};

use super::Case;
use super::check::Failure;

/// Maximum number of cases that are tried.
const MOST_TRIES: usize = 4_000;

/// Returns a smaller case with the same kind of failure, and its failure.
pub fn shrink(
    case: Case,
    failure: Failure,
    fails: impl Fn(&Case) -> Option<Failure>,
) -> (Case, Failure) {
    let mut best = (case, failure);
    let mut tries = 0;
    loop {
        let before = best.0.clone();
        for candidates in [fewer_events, smaller_pipelines, simpler_events, closer_events] {
            let mut place = 0;
            loop {
                let list = candidates(&best.0);
                let Some(candidate) = list.into_iter().nth(place) else { break };
                tries += 1;
                if tries > MOST_TRIES {
                    return best;
                }
                match fails(&candidate).filter(|failure| failure.what == best.1.what) {
                    Some(failure) => best = (candidate, failure),
                    None => place += 1,
                }
            }
        }
        if best.0 == before {
            return best;
        }
    }
}

/// Returns the case without a part of its events: halves first, single events last.
fn fewer_events(case: &Case) -> Vec<Case> {
    let count = case.events.len();
    let mut cases = Vec::new();
    let mut length = count / 2;
    while length > 0 {
        for start in (0..count).step_by(length) {
            let mut fewer = case.clone();
            fewer.events.drain(start..count.min(start + length));
            cases.push(fewer);
        }
        length /= 2;
    }
    cases
}

/// Returns the pipeline without a stage, an option, or an entry of a list.
fn smaller_pipelines(case: &Case) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut paths = Vec::new();
    list_paths(&case.pipeline, String::new(), &mut paths);
    for path in paths {
        let mut smaller = case.clone();
        let (parent, name) = path.rsplit_once('/').unwrap();
        match smaller.pipeline.pointer_mut(parent) {
            Some(Value::Object(members)) => drop(members.remove(name)),
            Some(Value::Array(entries)) if entries.len() > 1 => {
                drop(entries.remove(name.parse().unwrap()));
            }
            _ => continue,
        }
        cases.push(smaller);
    }
    cases
}

fn list_paths(value: &Value, path: String, paths: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), value)).collect()
        }
        Value::Array(entries) => {
            entries.iter().enumerate().map(|(place, value)| (place.to_string(), value)).collect()
        }
        _ => return,
    };
    for (name, child) in children {
        let path = format!("{path}/{name}");
        paths.push(path.clone());
        list_paths(child, path, paths);
    }
}

/// Returns events with a simpler value, or without a value that is not required.
fn simpler_events(case: &Case) -> Vec<Case> {
    let mut cases = Vec::new();
    for place in 0..case.events.len() {
        for (name, value) in [
            ("t", None),
            ("id", None),
            ("g", None),
            ("w", None),
            ("v", Some(json!(1))),
            ("k", Some(json!("a"))),
        ] {
            let mut plainer = case.clone();
            let event = plainer.events[place].as_object_mut().unwrap();
            match value {
                Some(value) => drop(event.insert(name.to_owned(), value)),
                None => drop(event.remove(name)),
            }
            if plainer != *case {
                cases.push(plainer);
            }
        }
    }
    cases
}

/// Returns events with less time before one event and all its successors.
fn closer_events(case: &Case) -> Vec<Case> {
    let mut cases = Vec::new();
    for place in 1..case.events.len() {
        let time = |place: usize| case.events[place]["ts"].as_f64().unwrap();
        for ms in [100_000_000, 10_000_000, 10_000, 1_000] {
            if time(place) - time(place - 1) > f64::from(ms) {
                let mut nearer = case.clone();
                for event in &mut nearer.events[place..] {
                    event["ts"] = match event["ts"].as_i64() {
                        Some(time) => (time - i64::from(ms)).into(),
                        None => (event["ts"].as_f64().unwrap() - f64::from(ms)).into(),
                    };
                }
                cases.push(nearer);
            }
        }
    }
    cases
}
