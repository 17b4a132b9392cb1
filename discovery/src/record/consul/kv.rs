//! The answer of `/v1/kv/KEY`: keys with their values.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Reads an answer: the keys that are `key`, or below it where it ends with `/`. The names in the map are what follows the
/// prefix; a single key is named by what follows its last `/`. Keys that end with `/` are folders, and left out.
///
/// # Errors
///
/// The answer is not what Consul writes: a map that is wrong in one place is not taken over in the others.
pub fn decode(body: &[u8], key: &str) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let pairs: Vec<Pair> =
        serde_json::from_slice(body).map_err(|error| format!("the list of keys: {error}"))?;
    let mut values = BTreeMap::new();
    for pair in pairs {
        let Some(name) = name_below(key, &pair.key) else { continue };
        let value = pair.value.unwrap_or_default();
        let value = base64(&value).ok_or_else(|| format!("{}: the value is not base64", pair.key))?;
        values.insert(name.to_owned(), value);
    }
    Ok(values)
}

fn name_below<'a>(key: &str, found: &'a str) -> Option<&'a str> {
    if !key.ends_with('/') && !key.is_empty() {
        return (found == key).then(|| found.rsplit('/').next().unwrap_or(found));
    }
    found.strip_prefix(key).filter(|name| !name.is_empty() && !name.ends_with('/'))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pair {
    key: String,
    value: Option<String>,
}

/// RFC 4648 section 4, with its padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in digits.bytes() {
        held = held << 6 | sextet(byte)?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    (held == 0).then_some(bytes)
}

fn sextet(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(map: &BTreeMap<String, Vec<u8>>) -> Vec<(&str, &[u8])> {
        map.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect()
    }

    #[test]
    fn a_prefix_gives_what_is_below_it() {
        let body = br#"[
            {"LockIndex":0,"Key":"config/user/","Flags":0,"Value":null,"CreateIndex":9,"ModifyIndex":9},
            {"Key":"config/user/cache_size","Value":"MTAw","ModifyIndex":11},
            {"Key":"config/user/db/url","Value":"cG9zdGdyZXM6Ly8="},
            {"Key":"config/user/empty","Value":null},
            {"Key":"config/users","Value":"eA=="}]"#;
        let map = decode(body, "config/user/").unwrap();
        let expected: [(&str, &[u8]); 3] =
            [("cache_size", b"100"), ("db/url", b"postgres://"), ("empty", b"")];
        assert_eq!(text(&map), expected);
        let map = decode(body, "config/user/cache_size").unwrap();
        assert_eq!(text(&map), [("cache_size", b"100".as_slice())]);
    }

    #[test]
    fn what_is_wrong_is_refused_as_a_whole() {
        for body in [
            r#"{}"#,
            r#"[{"Key":"a/b","Value":"?"}]"#,
            r#"[{"Key":"a/b","Value":"QQ"}]"#,
            r#"[{"Value":"QQ=="}]"#,
        ] {
            assert!(decode(body.as_bytes(), "a/").is_err(), "{body}");
        }
    }

    #[test]
    fn base64_is_read() {
        for (text, expected) in [
            ("", Some("")),
            ("Zg==", Some("f")),
            ("Zm8=", Some("fo")),
            ("Zm9v", Some("foo")),
            ("Zm9vYmE=", Some("fooba")),
            ("Zh==", None),
            ("Z===", None),
            ("Zm9", None),
            ("Zm=v", None),
        ] {
            assert_eq!(base64(text).as_deref(), expected.map(str::as_bytes), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..60), value in ".{0,12}", key in "[a/]{0,4}") {
            let _ = decode(&bytes, &key);
            let body = serde_json::json!([{"Key": "a/b", "Value": value}]).to_string();
            let _ = decode(body.as_bytes(), &key);
        }
    }
}
