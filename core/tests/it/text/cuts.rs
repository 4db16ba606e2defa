//! The boundaries of reads never change the events, and no bytes cause a panic.

use proptest::prelude::*;
use stream_processor_core::text::{Format, ReaderOptions};

use crate::common::text::{read, read_whole, schema};

/// Generates bytes with a meaning in one of the formats more often than others.
fn byte() -> impl Strategy<Value = u8> {
    let meaningful = b"\n\n\r\"\",,{}[]:\\ 0123456789.-eE+truefalsn\xc3\xa9\xff\xe2\x82\xac\0\x01";
    prop_oneof![9 => prop::sample::select(meaningful.to_vec()), 1 => any::<u8>()]
}

/// Generates pieces of complete or nearly complete text.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let fragments: Vec<&[u8]> = vec![
        b"{\"ts\":1700000000123,\"k\":\"a\",\"v\":1.5}\n",
        b"{\"ts\":\"2024-02-29T12:00:00Z\",\"k\":7,\"v\":2,\"w\":null}\r\n",
        b"{\"v\":1,\"k\":true,\"ts\":5,\"x\":{\"y\":[1,\"\\u00e9\"]}}\n",
        "{\"ts\":6,\"k\":\"é😀\",\"v\":3}\n".as_bytes(),
        b"1700000000123,a,1.5,\n",
        b"1700000000123,\"a,\"\"b\"\"\r\n\",1.5,2\r\n",
        b"2024-02-29,k,\"3\",4\n",
        b"\"unclosed\n",
        b"5,k,\"6\n",
        b"5,k,\"6\"x,7\r\n",
        b"\xef\xbb\xbf",
        b"\n",
        b" \r\n",
    ];
    prop_oneof![
        3 => prop::sample::select(fragments).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(byte(), 0..12),
    ]
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(fragment(), 0..16).prop_map(|fragments| fragments.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn events_do_not_depend_on_the_boundaries_of_reads(
        input in input(),
        csv: bool,
        header: bool,
        max_line_bytes in prop_oneof![0_usize..80, Just(1 << 20)],
        max_dictionary_keys in 0_usize..4,
        max_events in 1_usize..5,
        pieces in prop::collection::vec(1_usize..40, 1..8),
    ) {
        let format = if csv { Format::Csv } else { Format::Ndjson };
        let options = ReaderOptions { format, max_line_bytes, ..ReaderOptions::default() };
        let mut bytes = if csv && header { b"ts,k,v,w\n".to_vec() } else { Vec::new() };
        bytes.extend_from_slice(&input);
        let schema = schema(&["k"]);
        let whole = read_whole(&bytes, &schema, options);
        let options = ReaderOptions { max_dictionary_keys, ..options };
        let cut = read(&bytes, &schema, options, max_events, pieces.into_iter().cycle());
        prop_assert_eq!(cut, whole);
    }

    #[test]
    fn any_bytes_are_events_or_rejections(bytes in prop::collection::vec(any::<u8>(), 0..300), csv: bool) {
        let format = if csv { Format::Csv } else { Format::Ndjson };
        let options = ReaderOptions { format, ..ReaderOptions::default() };
        if let Some(outcome) = read_whole(&bytes, &schema(&["k"]), options) {
            let lines = outcome.events.len() + outcome.rejections.len();
            let feeds = bytes.iter().filter(|&&byte| byte == b'\n').count();
            prop_assert!(lines <= feeds + 1);
            if format == Format::Ndjson {
                let unended = bytes.last().is_some_and(|&last| last != b'\n')
                    && bytes != b"\xef\xbb\xbf";
                prop_assert_eq!(lines, feeds + usize::from(unended));
            }
        }
    }
}

#[test]
fn long_line_is_split_between_characters() {
    let long = "é€😀".repeat(500);
    let input = format!("{{}}\r\n{long}\r\n{long}\n{{}}");
    let options = ReaderOptions { max_line_bytes: 20, ..ReaderOptions::default() };
    let schema = schema(&[]);
    for piece in 1..40 {
        let outcome = read(input.as_bytes(), &schema, options, 100, [piece].into_iter().cycle());
        let rejections = outcome.unwrap().rejections;
        let reasons: Vec<_> = rejections.iter().map(|(line, reason, _)| (*line, *reason)).collect();
        let expected = [
            (1, "missing_field"),
            (2, "line_too_long"),
            (3, "line_too_long"),
            (4, "missing_field"),
        ];
        assert_eq!(reasons, expected);
        assert_eq!(rejections[1].2, long.as_bytes());
        assert_eq!(rejections[2].2, long.as_bytes());
    }
}

#[test]
fn line_limit_excludes_line_feed_and_carriage_return() {
    let schema = schema(&[]);
    for (format, header) in [(Format::Ndjson, ""), (Format::Csv, "ts,v,w\n")] {
        let options = ReaderOptions { format, max_line_bytes: 20, ..ReaderOptions::default() };
        for (length, end) in
            (18..24).flat_map(|length| [(length, "\n"), (length, "\r\n"), (length, "")])
        {
            for text in ["x".repeat(length), format!("\"{}\"", "x".repeat(length - 2))] {
                let line = if format == Format::Csv { text } else { "x".repeat(length) };
                let input = format!("{header}{line}{end}");
                for piece in [1, 2, 3, 100] {
                    let pieces = [piece].into_iter().cycle();
                    let outcome = read(input.as_bytes(), &schema, options, 9, pieces).unwrap();
                    let too_long = outcome.rejections[0].1 == "line_too_long";
                    assert_eq!(too_long, length > 20, "{length} {end:?} in pieces of {piece}");
                    assert_eq!(outcome.rejections[0].2, line.as_bytes());
                    assert_eq!(outcome.rejections.len(), 1);
                }
            }
        }
    }
}

#[test]
fn utf_8_of_names_is_checked_on_every_line() {
    let line = b"{\"ts\":1,\"v\":2,\"name\xff\":3,\"other\":\"some plain ascii text behind it\"}\n";
    let outcome = read_whole(&line.repeat(3), &schema(&[]), ReaderOptions::default()).unwrap();
    let reasons: Vec<_> = outcome.rejections.iter().map(|rejection| rejection.1).collect();
    assert_eq!(reasons, ["invalid_utf8"; 3]);
}

#[test]
fn long_lines_do_not_depend_on_the_boundaries_of_reads() {
    let pad = |length: usize| " ".repeat(length);
    let line = |ts: u64, length| format!("{{\"ts\":{ts},{}\"k\":\"a\",\"v\":1}}\n", pad(length));
    let long = [line(1, 20_000), line(2, 9), line(3, 90_000), line(4, 30_000), line(5, 9)].concat();
    let record = |ts: u64, length| format!("{ts},\"{}\n{}\",1,2\n", pad(length), pad(length));
    let header = format!("ts,k,v,w,{}\n", pad(20_000));
    let csv = [record(1, 20_000), record(2, 9), record(3, 90_000), record(4, 9)].concat();
    let csv = header + &csv.replace(",2\n", ",2,3\n");
    for (format, text) in [(Format::Ndjson, long), (Format::Csv, csv)] {
        for max_line_bytes in [1 << 20, 60_000, 25_000] {
            let options = ReaderOptions { format, max_line_bytes, ..ReaderOptions::default() };
            let schema = schema(&["k"]);
            let whole = read_whole(text.as_bytes(), &schema, options);
            for pieces in [[1_000, 1], [4_095, 4_097], [50_000, 7]] {
                let found =
                    read(text.as_bytes(), &schema, options, 100, pieces.into_iter().cycle());
                assert_eq!(found, whole, "{format:?} {max_line_bytes} {pieces:?}");
            }
        }
    }
}
