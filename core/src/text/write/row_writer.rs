//! Writes rows as lines of NDJSON or CSV.

use crate::key::{KeyField, fields};
use crate::number::write_f64;
use crate::spec::Format;
use crate::time::{NULL_TIME, write_rfc3339};
use crate::util::json::write_string;
use crate::{OutputSchema, RowColumn, Rows};

/// Appends `rows` as lines: first the fields of the key, then the columns in their order.
///
/// NDJSON has one flat object per line, without spaces. CSV has one record per line, quoted only
/// where necessary, and no header ([`write_csv_header`]). Times are RFC 3339 text, and numbers are
/// printed as in ECMAScript. A missing number is `null`, or an empty field. Lines end with a line
/// feed.
pub fn write_rows(format: Format, schema: &OutputSchema, rows: &Rows<'_>, out: &mut Vec<u8>) {
    let mut columns: Vec<ColumnWriter<'_>> =
        rows.columns.iter().map(|&column| ColumnWriter::new(column)).collect();
    match format {
        Format::Ndjson => write_ndjson(&member_names(schema), rows, &mut columns, out),
        Format::Csv => write_csv(schema.key.len(), rows, &mut columns, out),
    }
}

/// Appends the CSV header of the rows.
pub fn write_csv_header(schema: &OutputSchema, out: &mut Vec<u8>) {
    let columns = schema.columns.iter().map(|column| &column.name);
    for (index, name) in schema.key.iter().chain(columns).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_csv_text(name.as_bytes(), out);
    }
    out.push(b'\n');
}

/// Returns the text before each value of an object: `{"key":`, then `,"column":` for the others.
fn member_names(schema: &OutputSchema) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut first = true;
    let mut member = |name: &String| {
        let mut member = vec![if first { b'{' } else { b',' }];
        first = false;
        write_string(name, &mut member);
        member.push(b':');
        member
    };
    let keys = schema.key.iter().map(&mut member).collect();
    (keys, schema.columns.iter().map(|column| member(&column.name)).collect())
}

fn write_ndjson(
    (key_names, column_names): &(Vec<Vec<u8>>, Vec<Vec<u8>>),
    rows: &Rows<'_>,
    columns: &mut [ColumnWriter<'_>],
    out: &mut Vec<u8>,
) {
    let is_empty = key_names.is_empty() && column_names.is_empty();
    for row in 0..rows.len() {
        let mut key = fields(rows.key(row));
        for name in key_names {
            out.extend_from_slice(name);
            match key.next() {
                Some(field) => field.write_json(out),
                None => out.extend_from_slice(b"null"),
            }
        }
        for (name, column) in column_names.iter().zip(columns.iter_mut()) {
            out.extend_from_slice(name);
            column.write_json(row, out);
        }
        out.extend_from_slice(if is_empty { b"{}\n" } else { b"}\n" });
    }
}

fn write_csv(
    key_fields: usize,
    rows: &Rows<'_>,
    columns: &mut [ColumnWriter<'_>],
    out: &mut Vec<u8>,
) {
    for row in 0..rows.len() {
        let start = out.len();
        let mut key = fields(rows.key(row));
        for _ in 0..key_fields {
            match key.next() {
                Some(KeyField::String(text)) => write_csv_text(text.as_bytes(), out),
                Some(field) => field.write_text(out),
                None => {}
            }
            out.push(b',');
        }
        for column in columns.iter_mut() {
            column.write_csv(row, out);
            out.push(b',');
        }
        // Replaces the last comma by the line feed.
        if out.len() > start {
            out.pop();
        }
        out.push(b'\n');
    }
}

/// Appends a CSV field, in quotes if it contains a comma, a quote or a line break.
fn write_csv_text(text: &[u8], out: &mut Vec<u8>) {
    if !text.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for &byte in text {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// A column, and the state of writing it.
enum ColumnWriter<'a> {
    Time {
        times: &'a [i64],
        /// The last time that was written, and its text in quotes: consecutive rows often belong to
        /// one window.
        last: i64,
        text: Vec<u8>,
    },
    Number(&'a [f64]),
    Bool(&'a [u8]),
}

impl<'a> ColumnWriter<'a> {
    fn new(column: RowColumn<'a>) -> Self {
        match column {
            RowColumn::Time(times) => Self::Time { times, last: NULL_TIME, text: Vec::new() },
            RowColumn::Number(numbers) => Self::Number(numbers),
            RowColumn::Bool(bools) => Self::Bool(bools),
        }
    }

    fn write_json(&mut self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Time { times, last, text } => match text_of_time(times, row, last, text) {
                Some(text) => out.extend_from_slice(text),
                None => out.extend_from_slice(b"null"),
            },
            Self::Number(numbers) => write_f64(numbers.get(row).copied().unwrap_or(f64::NAN), out),
            Self::Bool(bools) => write_bool(bools, row, out),
        }
    }

    fn write_csv(&mut self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Time { times, last, text } => {
                if let Some([b'"', text @ .., b'"']) = text_of_time(times, row, last, text) {
                    out.extend_from_slice(text);
                }
            }
            Self::Number(numbers) => {
                let number = numbers.get(row).copied().unwrap_or(f64::NAN);
                if number.is_finite() {
                    write_f64(number, out);
                }
            }
            Self::Bool(bools) => write_bool(bools, row, out),
        }
    }
}

fn write_bool(bools: &[u8], row: usize, out: &mut Vec<u8>) {
    let is_true = bools.get(row).is_some_and(|byte| *byte != 0);
    out.extend_from_slice(if is_true { b"true" } else { b"false" });
}

/// Returns the text of a time in quotes, and formats it only if it differs from the last one.
fn text_of_time<'t>(
    times: &[i64],
    row: usize,
    last: &mut i64,
    text: &'t mut Vec<u8>,
) -> Option<&'t [u8]> {
    let time = times.get(row).copied().filter(|&time| time != NULL_TIME)?;
    if time != *last {
        *last = time;
        text.clear();
        text.push(b'"');
        write_rfc3339(time, text);
        text.push(b'"');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{push_bool, push_number_text, push_str};
    use crate::{ColumnRole, OutputColumn};

    fn schema(key: &[&str], columns: &[(&str, ColumnRole)]) -> OutputSchema {
        OutputSchema {
            key: key.iter().map(|&name| name.into()).collect(),
            columns: columns.iter().map(|&(name, role)| OutputColumn::new(name, role)).collect(),
            ..OutputSchema::default()
        }
    }

    fn written(format: Format, schema: &OutputSchema, rows: &Rows<'_>) -> String {
        let mut out = Vec::new();
        if format == Format::Csv {
            write_csv_header(schema, &mut out);
        }
        write_rows(format, schema, rows, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_are_flat_objects_or_records() {
        let schema = schema(
            &["svc", "the \"zone\", or so"],
            &[
                ("window_start", ColumnRole::WindowStart),
                ("count", ColumnRole::Aggregation(0)),
                ("filled", ColumnRole::Filled(0)),
            ],
        );
        let mut key_bytes = Vec::new();
        let mut key_offsets = vec![0];
        for (name, number) in [("a", "1.0"), ("b,\"\n", "-2e30"), ("", "0")] {
            push_str(&mut key_bytes, name);
            assert!(push_number_text(&mut key_bytes, number.as_bytes()));
            key_offsets.push(u32::try_from(key_bytes.len()).unwrap());
        }
        let rows = Rows {
            schema: None,
            firing: &[0, 0, 0],
            ranks: &[0, 0, 0],
            key_offsets: &key_offsets,
            key_bytes: &key_bytes,
            columns: vec![
                RowColumn::Time(&[1_500_000, 1_500_000, NULL_TIME]),
                RowColumn::Number(&[3.0, f64::NAN, 0.1]),
                RowColumn::Bool(&[0, 1, 1]),
            ],
        };
        let expected = r#"{"svc":"a","the \"zone\", or so":1,"window_start":"1970-01-01T00:00:01.5Z","count":3,"filled":false}
{"svc":"b,\"\n","the \"zone\", or so":-2e+30,"window_start":"1970-01-01T00:00:01.5Z","count":null,"filled":true}
{"svc":"","the \"zone\", or so":0,"window_start":null,"count":0.1,"filled":true}
"#;
        assert_eq!(written(Format::Ndjson, &schema, &rows), expected);
        let expected = r#"svc,"the ""zone"", or so",window_start,count,filled
a,1,1970-01-01T00:00:01.5Z,3,false
"b,""
",-2e+30,1970-01-01T00:00:01.5Z,,true
,0,,0.1,true
"#;
        assert_eq!(written(Format::Csv, &schema, &rows), expected);
    }

    #[test]
    fn rows_without_key_have_no_key_fields_and_bad_keys_are_null() {
        let mut key_bytes = Vec::new();
        push_bool(&mut key_bytes, true);
        key_bytes.push(0xee);
        let mut rows = Rows {
            schema: None,
            firing: &[0],
            ranks: &[0],
            key_offsets: &[0, 2],
            key_bytes: &key_bytes,
            columns: vec![RowColumn::Number(&[f64::INFINITY])],
        };
        let keyed = schema(&["a", "b"], &[("n", ColumnRole::Value)]);
        assert_eq!(written(Format::Ndjson, &keyed, &rows), "{\"a\":true,\"b\":null,\"n\":null}\n");
        assert_eq!(written(Format::Csv, &keyed, &rows), "a,b,n\ntrue,,\n");
        rows.key_offsets = &[0, 0];
        let unkeyed = schema(&[], &[("n", ColumnRole::Value)]);
        assert_eq!(written(Format::Ndjson, &unkeyed, &rows), "{\"n\":null}\n");
        assert_eq!(written(Format::Csv, &unkeyed, &rows), "n\n\n");
    }
}
