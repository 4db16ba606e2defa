//! The CSV reader splits records as a plain reading of RFC 4180 does.
#![cfg(feature = "text")]

mod text_common;

use proptest::prelude::*;
use stream_processor_core::key::push_str;
use stream_processor_core::text::{Format, ReaderOptions};
use text_common::{read_whole, schema};

/// A record: its line, its fields, its text.
type Record = (u64, Vec<Vec<u8>>, Vec<u8>);

#[derive(Clone, Copy, PartialEq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    QuoteInQuoted,
}

/// Byte by byte. Quotes count at the start of a field only; what follows a closing quote is plain text.
fn records(text: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    let (mut fields, mut field, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    let (mut line, mut first_line, mut state) = (1, 1, State::FieldStart);
    let finish = |fields: &mut Vec<Vec<u8>>, field: &mut Vec<u8>, raw: &mut Vec<u8>, first_line| {
        if raw.last() == Some(&b'\r') {
            raw.pop();
            field.pop();
        }
        fields.push(std::mem::take(field));
        (first_line, std::mem::take(fields), std::mem::take(raw))
    };
    for &byte in text {
        line += u64::from(byte == b'\n');
        match (state, byte) {
            (State::FieldStart, b'"') => state = State::Quoted,
            (State::Quoted, b'"') => state = State::QuoteInQuoted,
            (State::QuoteInQuoted, b'"') => {
                field.push(b'"');
                state = State::Quoted;
            }
            (State::Quoted, _) => field.push(byte),
            (_, b',') => {
                fields.push(std::mem::take(&mut field));
                state = State::FieldStart;
            }
            (_, b'\n') => {
                records.push(finish(&mut fields, &mut field, &mut raw, first_line));
                first_line = line;
                state = State::FieldStart;
                continue;
            }
            _ => {
                field.push(byte);
                state = State::Plain;
            }
        }
        raw.push(byte);
    }
    if !raw.is_empty() {
        records.push(finish(&mut fields, &mut field, &mut raw, first_line));
    }
    records
}

fn check(text: &[u8]) -> Result<(), TestCaseError> {
    let mut input = b"ts,k,x,k2,v,w\n".to_vec();
    input.extend_from_slice(text);
    let options = ReaderOptions { format: Format::Csv, ..ReaderOptions::default() };
    let outcome = read_whole(&input, &schema(&["k", "k2"]), options).unwrap();
    let (mut events, mut rejections) = (outcome.events.iter(), outcome.rejections.iter());
    for (line, fields, raw) in records(text) {
        // These texts have no other spellings of a time; an empty field is missing.
        let is_number = |field: &[u8]| !field.is_empty() && field.iter().all(u8::is_ascii_digit);
        let reason = match &fields[..] {
            _ if std::str::from_utf8(&raw).is_err() => Some("invalid_utf8"),
            [ts, k, _, k2, v, w] => match () {
                () if ts.is_empty() => Some("missing_field"),
                () if !is_number(ts) => Some("invalid_timestamp"),
                () if k.is_empty() || k2.is_empty() || v.is_empty() => Some("missing_field"),
                () if !is_number(v) || !(is_number(w) || w.is_empty()) => Some("wrong_type"),
                () => None,
            },
            _ => Some("wrong_column_count"),
        };
        let Some(reason) = reason else {
            let (event_line, time, event_key, columns, text) = events.next().unwrap();
            let mut key = Vec::new();
            push_str(&mut key, std::str::from_utf8(&fields[1]).unwrap());
            push_str(&mut key, std::str::from_utf8(&fields[3]).unwrap());
            prop_assert_eq!((*event_line, event_key, text), (line + 1, &key, &raw));
            let number = |field: &[u8]| std::str::from_utf8(field).unwrap().parse::<f64>();
            prop_assert_eq!(*time as f64, number(&fields[0]).unwrap() * 1_000.0);
            prop_assert_eq!(f64::from_bits(columns[0]), number(&fields[4]).unwrap());
            let w = f64::from_bits(columns[1]);
            prop_assert!(number(&fields[5]).map_or(w.is_nan(), |number| number == w));
            continue;
        };
        let rejection = rejections.next().unwrap();
        prop_assert_eq!((rejection.0, rejection.1, &rejection.2), (line + 1, reason, &raw));
    }
    prop_assert!(events.next().is_none() && rejections.next().is_none());
    Ok(())
}

fn field() -> impl Strategy<Value = String> {
    let text = "[a-c,\"\r\n é\u{1}\u{0}0-9]{0,10}";
    (text, any::<bool>()).prop_map(|(text, quote)| {
        if quote || text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn well_formed_records_are_split_by_the_rfc(
        records in prop::collection::vec((field(), field(), field(), any::<bool>(), any::<bool>()), 0..6),
    ) {
        let mut text = String::new();
        for (k, x, k2, quoted, returns) in records {
            let number = if quoted { "\"1\"" } else { "1" };
            text += &format!("7,{k},{x},{k2},{number},{}", if returns { "\r\n" } else { "\n" });
        }
        check(text.as_bytes())?;
    }

    #[test]
    fn records_of_any_six_fields_are_split_as_byte_by_byte(
        fields in prop::collection::vec(prop::collection::vec(
            prop::sample::select(b"7171\"\"\r\na\xc3\xa9".to_vec()), 0..4,
        ), 6..=18),
        end in prop::sample::select(vec!["", "\n", "\r\n"]),
    ) {
        let records: Vec<_> = fields.chunks(6).map(|fields| fields.join(&b","[..])).collect();
        let mut text = records.join(if end.is_empty() { "\r\n" } else { end }.as_bytes());
        text.extend_from_slice(end.as_bytes());
        check(&text)?;
    }

    #[test]
    fn any_text_is_split_as_byte_by_byte(
        text in prop::collection::vec(prop::sample::select(b"71,,,,\"\"\ra\n\xc3\xa9".to_vec()), 0..60),
    ) {
        check(&text)?;
    }
}
