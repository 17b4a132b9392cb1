//! JSON from outside, read strictly: repeated keys are errors, and every error says where it is.
//!
//! [`parse`] makes a [`serde_json::Value`]; a [`Node`] walks it and remembers the way, so that a
//! wrong value is reported as `methodConfig[1].timeout: must be a string`.

use std::fmt;

use serde_core::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads one JSON document, nesting at most 128 levels.
///
/// # Errors
///
/// Not JSON (with line and column), or an object that has a key twice: which of the two was meant
/// cannot be known.
pub fn parse(text: &str) -> Result<Value, JsonError> {
    let read: Result<Strict, _> = serde_json::from_str(text);
    read.map(|strict| strict.0).map_err(|error| JsonError::new("", format!("is not valid JSON: {error}")))
}

/// Where something is wrong in a JSON document, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JsonError {
    /// The place, as in `methodConfig[1].timeout`; empty for the document as a whole.
    pub path: String,
    /// What is wrong there; reads on after the path.
    pub reason: String,
}

impl JsonError {
    /// An error at a place.
    pub fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into() }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "the document {}", self.reason),
            path => write!(f, "{path}: {}", self.reason),
        }
    }
}

impl std::error::Error for JsonError {}

/// A value and the way to it from the document's root.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Node<'a> {
    /// The document as a whole.
    pub const fn root(value: &'a Value) -> Self {
        Self { value, path: String::new() }
    }

    /// The value itself.
    pub const fn value(&self) -> &'a Value {
        self.value
    }

    /// The way from the root, as in `methodConfig[1].timeout`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// An error at this place.
    pub fn error(&self, reason: impl Into<String>) -> JsonError {
        JsonError::new(self.path.clone(), reason)
    }

    /// An error at the field `key` of this object, whether it is there or not.
    pub fn error_at(&self, key: &str, reason: impl Into<String>) -> JsonError {
        JsonError::new(self.path_of(key), reason)
    }

    /// The path of the field `key` of this object.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The object this is.
    ///
    /// # Errors
    ///
    /// It is anything else.
    pub fn object(&self) -> Result<&'a Map<String, Value>, JsonError> {
        self.value.as_object().ok_or_else(|| self.error("must be an object"))
    }

    /// The field `key` of this object; null counts as absent, as in proto3's JSON.
    ///
    /// # Errors
    ///
    /// This is not an object.
    pub fn field(&self, key: &str) -> Result<Option<Self>, JsonError> {
        let value = self.object()?.get(key).filter(|value| !value.is_null());
        Ok(value.map(|value| Self { value, path: self.path_of(key) }))
    }

    /// All fields of this object, null ones included, in the order of their keys.
    ///
    /// # Errors
    ///
    /// This is not an object.
    pub fn fields(&self) -> Result<impl Iterator<Item = (&'a str, Self)> + use<'a>, JsonError> {
        let object = self.object()?;
        let parent = self.clone();
        Ok(object.iter().map(move |(key, value)| (key.as_str(), Self { value, path: parent.path_of(key) })))
    }

    /// The elements of this array.
    ///
    /// # Errors
    ///
    /// It is no array.
    pub fn elements(&self) -> Result<impl ExactSizeIterator<Item = Self> + use<'a>, JsonError> {
        let array = self.value.as_array().ok_or_else(|| self.error("must be an array"))?;
        let path = self.path.clone();
        let elements = array.iter().enumerate();
        Ok(elements.map(move |(index, value)| Self { value, path: format!("{path}[{index}]") }))
    }

    /// The string this is.
    ///
    /// # Errors
    ///
    /// It is anything else.
    pub fn string(&self) -> Result<&'a str, JsonError> {
        self.value.as_str().ok_or_else(|| self.error("must be a string"))
    }

    /// The boolean this is.
    ///
    /// # Errors
    ///
    /// It is anything else.
    pub fn boolean(&self) -> Result<bool, JsonError> {
        self.value.as_bool().ok_or_else(|| self.error("must be true or false"))
    }

    /// The whole number this is, written as a number or, as proto3's JSON allows, in a string.
    ///
    /// # Errors
    ///
    /// It is no whole number that an `i64` holds.
    pub fn integer(&self) -> Result<i64, JsonError> {
        let number = match self.value {
            Value::Number(number) => whole(number),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| self.error("must be a whole number"))
    }

    /// The number this is, written as a number or in a string; finite.
    ///
    /// # Errors
    ///
    /// It is no number, or it is too large for an `f64`.
    pub fn number(&self) -> Result<f64, JsonError> {
        let number = match self.value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.filter(|number: &f64| number.is_finite()).ok_or_else(|| self.error("must be a number"))
    }
}

/// `5`, `5.0` and `5e0` are all the whole number 5.
fn whole(number: &Number) -> Option<i64> {
    /// Up to here every whole number has an `f64` of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;

    number.as_i64().or_else(|| {
        let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= EXACT)?;
        Some(float as i64)
    })
}

/// A value none of whose objects has a key twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(value)) = elements.next_element()? {
            array.push(value);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key `{key}` is there twice")));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_serde_json_reads_but_repeated_keys() {
        let text = r#"{"a": [1, -2, 3.5, true, null, "x"], "b": {"a": {}}}"#;
        assert_eq!(parse(text), Ok(serde_json::from_str(text).unwrap()));

        let error = parse(r#"{"a": 1, "b": {"c": 1, "c": 2}}"#).unwrap_err();
        assert_eq!(error.path, "");
        assert!(error.reason.contains("`c` is there twice at line 1"), "{error}");
        assert!(parse("{").is_err());
        assert!(parse("{} {}").is_err());
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn numbers_may_stand_in_strings() {
        for (text, expected) in [
            ("5", Some(5)),
            ("5.0", Some(5)),
            ("5e1", Some(50)),
            ("-7", Some(-7)),
            ("\"9223372036854775807\"", Some(i64::MAX)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("\"9223372036854775808\"", None),
            ("5.5", None),
            ("1e300", None),
            ("\"\"", None),
            ("\" 5\"", None),
            ("true", None),
            ("[]", None),
        ] {
            let value = parse(text).unwrap();
            assert_eq!(Node::root(&value).integer().ok(), expected, "{text}");
        }
        for (text, expected) in
            [("0.5", Some(0.5)), ("\"0.5\"", Some(0.5)), ("\"NaN\"", None), ("\"inf\"", None)]
        {
            let value = parse(text).unwrap();
            assert_eq!(Node::root(&value).number().ok(), expected, "{text}");
        }
    }

    #[test]
    fn errors_know_their_place() {
        let value = parse(r#"{"a": [{"b": 1}, {"b": null, "c": "x"}]}"#).unwrap();
        let root = Node::root(&value);
        let list = root.field("a").unwrap().unwrap();
        let second = list.elements().unwrap().nth(1).unwrap();

        assert!(second.field("b").unwrap().is_none());
        let c = second.field("c").unwrap().unwrap();
        assert_eq!(c.integer().unwrap_err().to_string(), "a[1].c: must be a whole number");
        assert_eq!(second.error_at("d", "is missing").to_string(), "a[1].d: is missing");
        assert_eq!(root.string().unwrap_err().to_string(), "the document must be a string");
    }

    proptest! {
        #[test]
        fn never_panics(text in r#"[\[\]{}:,"a-c0-9.eE+\- tfn\\u]{0,60}"#) {
            if let Ok(value) = parse(&text) {
                let node = Node::root(&value);
                let _ = (node.integer(), node.number(), node.string(), node.boolean());
            }
        }
    }
}
