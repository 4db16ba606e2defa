//! JSON strings, with the escapes of `JSON.stringify`.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `text` as a JSON string, with only the escapes that `JSON.stringify` makes.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    write_escaped(text, out);
    out.push(b'"');
}

/// Appends the content of a JSON string, without the quotes.
pub(crate) fn write_escaped(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(plain) = rest.iter().position(|&byte| needs_escape(byte)) {
        let Some((before, [byte, after @ ..])) = rest.split_at_checked(plain) else { break };
        out.extend_from_slice(before);
        push_escape(*byte, out);
        rest = after;
    }
    out.extend_from_slice(rest);
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

#[cold]
fn push_escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend(
                [byte >> 4, byte & 15].map(|half| HEX.get(usize::from(half)).unwrap_or(&b'0')),
            );
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends bytes as a JSON string; each sequence that is not UTF-8 becomes U+FFFD.
pub fn write_string_lossy(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    write_string_part_lossy(bytes, out);
    out.push(b'"');
}

/// Appends a part of a JSON string, without quotes; each sequence that is not UTF-8 becomes U+FFFD.
///
/// For text that arrives in parts: write `"`, each part in turn, and `"`. Parts that are not cut
/// within a character give the same result as the whole text.
pub fn write_string_part_lossy(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        write_escaped(chunk.valid(), out);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_json_stringify_does() {
        for text in
            ["", "plain", "a\"b\\c", "\0\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f} \u{7f}", "é\u{2028}😀/"]
        {
            let mut out = Vec::new();
            write_string(text, &mut out);
            // serde_json escapes exactly what JSON.stringify does.
            assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(text).unwrap());
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced() {
        let mut out = Vec::new();
        write_string_lossy(b"a\xff\"\xe2\x82z\xf0", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\u{fffd}\\\"\u{fffd}z\u{fffd}\"");
    }

    #[test]
    fn parts_cut_between_characters_make_the_whole() {
        let text = "é\n😀".as_bytes();
        let (mut whole, mut parts) = (Vec::new(), vec![b'"']);
        write_string_lossy(text, &mut whole);
        write_string_part_lossy(&text[..3], &mut parts);
        write_string_part_lossy(&text[3..], &mut parts);
        parts.push(b'"');
        assert_eq!(parts, whole);
    }
}
