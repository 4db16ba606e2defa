//! Decodes the escapes of a JSON string.

/// Appends the decoded text of a scanned string with escapes.
pub(in crate::text) fn unescape(string: &[u8], out: &mut Vec<u8>) {
    let mut rest = string;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let [escape, after @ ..] = rest else { return };
        rest = after;
        match escape {
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let (character, after) = escaped_character(rest);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
            }
            plain => out.push(*plain),
        }
    }
}

/// Decodes `XXXX` or `XXXX\uXXXX` at the front of `text`. Returns the character and the rest.
fn escaped_character(text: &[u8]) -> (char, &[u8]) {
    let unit = |digits: &[u8; 4]| {
        digits
            .iter()
            .fold(0, |unit, &digit| unit << 4 | char::from(digit).to_digit(16).unwrap_or(0))
    };
    let Some((high, rest)) = text.split_first_chunk::<4>() else { return ('\u{fffd}', &[]) };
    let high = unit(high);
    if let (0xd800..=0xdbff, Some(([b'\\', b'u', low @ ..], rest))) =
        (high, rest.split_first_chunk::<6>())
    {
        let code = 0x10000 + ((high & 0x3ff) << 10 | unit(low) & 0x3ff);
        return (char::from_u32(code).unwrap_or('\u{fffd}'), rest);
    }
    (char::from_u32(high).unwrap_or('\u{fffd}'), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded() {
        let mut out = Vec::new();
        unescape(br#"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\u0000z"#, &mut out);
        assert_eq!(out, "a\"\\/\u{8}\u{c}\n\r\té😀\0z".as_bytes());
    }
}
