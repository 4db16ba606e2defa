//! The CSV reader splits records like a simple implementation of RFC 4180.

use proptest::prelude::*;
use stream_processor_core::key::push_str;
use stream_processor_core::text::{EventBuffer, Format, Reader, ReaderOptions};

use crate::common::text::{read, read_whole, schema};

/// The fields of a record, without quotes.
type Fields = Vec<Vec<u8>>;

/// The content of the lines of a record.
#[derive(Debug, Clone, PartialEq)]
enum Read {
    Fields(Fields),
    BadQuote,
    TooLong,
}

/// A record: its line number, its content, its text.
type Record = (u64, Read, Vec<u8>);

#[derive(Clone, Copy, PartialEq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    QuoteInQuoted,
}

/// Splits `text` byte by byte. Quotes count only at the start of a field. A record with a bad quote
/// ends with the line of its opening quote. A record that is too long ends with the line in which
/// it exceeds the limit.
fn records(text: &[u8], max_line_bytes: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let window = &text[..text.len().min(start + max_line_bytes + 2)];
        let is_cut = window.len() == start + max_line_bytes + 2;
        let is_whole = window.len() == text.len();
        let feed = |from: usize| text[from..].iter().position(|byte| *byte == b'\n');
        let end_of_line = |from| feed(from).map_or(text.len(), |feed| from + feed);
        let (read, opened, end) = match record(window, start) {
            Ok((fields, end)) => (Read::Fields(fields), start, end),
            Err((opened, is_open)) => {
                let line_ends = window[opened..].contains(&b'\n') || (is_whole && !is_cut);
                if (is_whole || is_cut || !is_open) && line_ends {
                    (Read::BadQuote, opened, end_of_line(opened))
                } else {
                    (Read::TooLong, start, end_of_line(window.len()))
                }
            }
        };
        // A record that is cut before its line feed continues.
        let goes_on = is_cut && end == window.len() && read != Read::BadQuote;
        let (read, end) = if goes_on { (Read::TooLong, end_of_line(end)) } else { (read, end) };
        let raw = text[start..end].strip_suffix(b"\r").unwrap_or(&text[start..end]).to_vec();
        let read = if raw.len() > max_line_bytes { Read::TooLong } else { read };
        let is_csv = read == Read::BadQuote && std::str::from_utf8(&raw).is_ok();
        let line = 1 + text[..if is_csv { opened } else { start }]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count() as u64;
        records.push((line, read, raw));
        start = end + 1;
    }
    records
}

/// Returns the fields of the record at `start` and its end. For a bad quote, returns its position
/// and whether it is still open at the end.
fn record(window: &[u8], start: usize) -> Result<(Fields, usize), (usize, bool)> {
    let (mut fields, mut field) = (Vec::new(), Vec::new());
    let (mut state, mut opened) = (State::FieldStart, start);
    let mut end = window.len();
    for at in start..window.len() {
        let byte = window[at];
        match (state, byte) {
            (State::FieldStart, b'"') => {
                state = State::Quoted;
                opened = at;
            }
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
                end = at;
                break;
            }
            (State::QuoteInQuoted, b'\r') if matches!(window.get(at + 1), None | Some(b'\n')) => {
                field.push(byte);
            }
            (State::QuoteInQuoted, _) => return Err((opened, false)),
            _ => {
                field.push(byte);
                state = State::Plain;
            }
        }
    }
    if state == State::Quoted {
        return Err((opened, true));
    }
    if window[start..end].last() == Some(&b'\r') {
        field.pop();
    }
    fields.push(field);
    Ok((fields, end))
}

fn check(text: &[u8], max_line_bytes: usize) -> Result<(), TestCaseError> {
    let mut input = b"ts,k,x,k2,v,w\n".to_vec();
    input.extend_from_slice(text);
    let options = ReaderOptions { format: Format::Csv, max_line_bytes, ..ReaderOptions::default() };
    let outcome = read_whole(&input, &schema(&["k", "k2"]), options).unwrap();
    let (mut events, mut rejections) = (outcome.events.iter(), outcome.rejections.iter());
    for (line, read, raw) in records(text, max_line_bytes) {
        // These texts spell times in one way only. An empty field is missing.
        let is_number = |field: &[u8]| !field.is_empty() && field.iter().all(u8::is_ascii_digit);
        let fields = match &read {
            Read::Fields(fields) => fields.clone(),
            _ => Vec::new(),
        };
        let reason = match &fields[..] {
            _ if read == Read::TooLong => Some("line_too_long"),
            _ if std::str::from_utf8(&raw).is_err() => Some("invalid_utf8"),
            _ if read == Read::BadQuote => Some("invalid_csv"),
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
    fn well_formed_records_are_split_as_rfc_4180_says(
        records in prop::collection::vec((field(), field(), field(), any::<bool>(), any::<bool>()), 0..6),
    ) {
        let mut text = String::new();
        for (k, x, k2, quoted, returns) in records {
            let number = if quoted { "\"1\"" } else { "1" };
            text += &format!("7,{k},{x},{k2},{number},{}", if returns { "\r\n" } else { "\n" });
        }
        check(text.as_bytes(), 1 << 20)?;
    }

    #[test]
    fn records_of_six_arbitrary_fields_equal_the_oracle(
        fields in prop::collection::vec(prop::collection::vec(
            prop::sample::select(b"7171\"\"\r\na\xc3\xa9".to_vec()), 0..4,
        ), 6..=18),
        end in prop::sample::select(vec!["", "\n", "\r\n"]),
        max_line_bytes in prop_oneof![Just(1_usize << 20), 14_usize..40],
    ) {
        let records: Vec<_> = fields.chunks(6).map(|fields| fields.join(&b","[..])).collect();
        let mut text = records.join(if end.is_empty() { "\r\n" } else { end }.as_bytes());
        text.extend_from_slice(end.as_bytes());
        check(&text, max_line_bytes)?;
    }

    #[test]
    fn records_of_any_text_equal_the_oracle(
        text in prop::collection::vec(prop::sample::select(b"71,,,,\"\"\ra\n\xc3\xa9".to_vec()), 0..60),
        max_line_bytes in prop_oneof![Just(1_usize << 20), 14_usize..40],
    ) {
        check(&text, max_line_bytes)?;
    }
}

/// Returns the lines of the events and the rejections of `text`, which are the same in pieces of
/// one byte and in one piece.
fn lines(text: &str, max_line_bytes: usize) -> (Vec<u64>, Vec<(u64, &'static str, String)>) {
    let options = ReaderOptions { format: Format::Csv, max_line_bytes, ..ReaderOptions::default() };
    let whole = read_whole(text.as_bytes(), &schema(&[]), options).unwrap();
    let cut = read(text.as_bytes(), &schema(&[]), options, 9, std::iter::repeat(1)).unwrap();
    assert_eq!(cut, whole, "cuts change nothing");
    let rejections = whole.rejections.into_iter();
    let rejections =
        rejections.map(|(line, reason, raw)| (line, reason, String::from_utf8(raw).unwrap()));
    (whole.events.iter().map(|event| event.0).collect(), rejections.collect())
}

#[test]
fn unclosed_quote_rejects_only_its_own_line() {
    let invalid = |line, text: &str| (line, "invalid_csv", text.to_owned());
    for (text, events, rejections) in [
        // A quote that is open at the end of the input.
        ("1000,1,\n2000,2,\"open\n3000,5,\n", vec![2, 4], vec![invalid(3, "2000,2,\"open")]),
        ("1000,1,\n2000,2,\"open", vec![2], vec![invalid(3, "2000,2,\"open")]),
        ("1000,1,\r\n2000,2,\"\r\n", vec![2], vec![invalid(3, "2000,2,\"")]),
        // A quote on a later line closes it, and text follows.
        ("1,1,\"open\n2,2,\"3\"\n3,3,4\n", vec![3, 4], vec![invalid(2, "1,1,\"open")]),
        // The second quote of a record of several lines.
        ("1,\"a\nb\",\"open\n2,2,\n", vec![4], vec![invalid(3, "1,\"a\nb\",\"open")]),
        // Several records with open quotes in a row.
        ("\"\n1,1,\"x\n2,2,\n", vec![4], vec![invalid(2, "\""), invalid(3, "1,1,\"x")]),
    ] {
        let found = lines(&format!("ts,v,w\n{text}"), 1 << 20);
        assert_eq!(found, (events, rejections), "{text:?}");
    }
}

#[test]
fn text_after_a_closing_quote_rejects_the_record() {
    for record in
        ["1,\"2\"3,", "\"1\" ,2,", "1,2,\"\"\"", "1,2,\"\"x", "1,2,\"\"\r\"", "\"1\"\"\"2,3,"]
    {
        for end in ["", "\n", "\r\n"] {
            let (events, rejections) = lines(&format!("ts,v,w\n{record}{end}"), 1 << 20);
            assert!(events.is_empty(), "{record:?}");
            assert_eq!(rejections, [(2, "invalid_csv", record.to_owned())]);
        }
    }
}

#[test]
fn quote_open_at_the_line_limit_does_not_hide_later_lines() {
    let many = "5,5,\n".repeat(30);
    let (events, rejections) = lines(&format!("ts,v,w\n1,1,\"open\n{many}"), 40);
    assert_eq!(events, (3..33).collect::<Vec<_>>());
    assert_eq!(rejections, [(2, "invalid_csv", "1,1,\"open".to_owned())]);
    // A line that is too long by itself, with and without a quote.
    let long = format!("1,1,\"{}", "x".repeat(50));
    let (events, rejections) = lines(&format!("ts,v,w\n{long}\n5,5,\n"), 40);
    assert_eq!((events, rejections), (vec![3], vec![(2, "line_too_long", long)]));
}

#[test]
fn bad_quote_in_the_header_fails() {
    for (text, error) in [
        (
            "ts,v,\"w\n1,2,3\n",
            "line 1, in the CSV header: the quote at byte 6 is not closed before the input ends",
        ),
        (
            "ts,\"x\ny\",\"v\"v,w\n1,2,3\n",
            "line 2, in the CSV header: text follows the quoted field at byte 4: expected a delimiter or the end of the line",
        ),
    ] {
        for piece in [1, 2, 100] {
            let options = ReaderOptions { format: Format::Csv, ..ReaderOptions::default() };
            let mut reader = Reader::new(&schema(&[]), options);
            let mut events = EventBuffer::new();
            let ends = (1..=text.len()).filter(|end| end % piece == 0 || *end == text.len());
            let found = ends
                .map(|end| reader.read(&text.as_bytes()[..end], end == text.len(), 9, &mut events))
                .find_map(Result::err);
            assert_eq!(found.unwrap().to_string(), error);
        }
    }
}
