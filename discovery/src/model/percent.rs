//! Percent-encoding (RFC 3986 section 2.1).

use std::fmt::Write;

/// Decodes every `%XX`. `None` if a `%` lacks two hexadecimal digits or the result is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        if *byte != b'%' {
            bytes.push(*byte);
            rest = tail;
            continue;
        }
        let [high, low, tail @ ..] = tail else { return None };
        bytes.push(hex(*high)? << 4 | hex(*low)?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

/// Decodes an address: as [`decode`], but a text with a stray `%` is left as it is, so that a zone
/// may be written `%eth0` as well as `%25eth0`.
pub(crate) fn decode_address(text: &str) -> String {
    decode(text).unwrap_or_else(|| text.to_owned())
}

/// Encodes what may not stand in a URI's path, and `also`.
pub(crate) fn encode(text: &str, also: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/[]".contains(&byte);
        if plain && !also.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decodes_or_refuses() {
        for (text, expected) in [
            ("plain", Some("plain")),
            ("a%20b", Some("a b")),
            ("%c3%A9", Some("é")),
            ("%25eth0", Some("%eth0")),
            ("%", None),
            ("%2", None),
            ("%zz", None),
            ("%ff", None),
        ] {
            assert_eq!(decode(text).as_deref(), expected, "{text}");
        }
        assert_eq!(decode_address("[fe80::1%eth0]:1"), "[fe80::1%eth0]:1");
    }

    proptest! {
        #[test]
        fn encoding_is_undone_by_decoding(text in ".*") {
            prop_assert_eq!(decode(&encode(&text, b",;|")), Some(text));
        }
    }
}
