//! Writes to etcd over its JSON gateway: a millisecond each, where starting etcdctl takes thirty.

use crate::http::{self, Request};
use serde_json::{Value, json};

/// One change of a transaction.
pub(crate) enum Change<'a> {
    Put(&'a str, &'a str),
    Delete(&'a str),
}

impl<'a> Change<'a> {
    /// `put KEY VALUE` or `del KEY`; the value may hold spaces.
    pub fn parse(line: &'a str) -> Option<Self> {
        match line.split_once(' ')? {
            ("put", rest) => {
                Some(rest.split_once(' ').map_or(Self::Put(rest, ""), |(key, value)| Self::Put(key, value)))
            }
            ("del", key) => Some(Self::Delete(key)),
            _ => None,
        }
    }

    fn request(&self) -> Value {
        match self {
            Self::Put(key, value) => json!({"requestPut": {"key": base64(key), "value": base64(value)}}),
            Self::Delete(key) => json!({"requestDeleteRange": {"key": base64(key)}}),
        }
    }
}

/// Makes all changes in one transaction.
pub(crate) fn transaction(address: &str, changes: &[Change]) -> Result<(), String> {
    let success: Vec<Value> = changes.iter().map(Change::request).collect();
    let body = json!({"success": success}).to_string();
    let request = Request { method: "POST", path: "/v3/kv/txn", headers: &[], body: &body };
    let answer = http::send(address, &request)?;
    if answer.is_success() && answer.json()["succeeded"] == true {
        return Ok(());
    }
    Err(format!("{} {}", answer.status, answer.body))
}

fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bytes = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let bits = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place)) & 63;
            out.push(if place <= chunk.len() { char::from(ALPHABET[index as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (text, code) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(text), code);
        }
    }
}
