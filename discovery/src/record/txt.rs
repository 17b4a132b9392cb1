//! Service configs in DNS: `TXT` records at `_grpc_config.NAME` (gRFC A2).
//!
//! A record that begins with `grpc_config=` holds a JSON list of choices; a client takes the first one that is meant
//! for it:
//!
//! ```json
//! [{"clientLanguage": ["c++"], "percentage": 10, "clientHostName": ["a", "b"], "serviceConfig": {...}}]
//! ```

use crate::json::{self, JsonError, Node};

/// Where the records are, in front of the name.
pub const PREFIX: &str = "_grpc_config.";

/// What a record begins with that is one of these, and not of some other use of `TXT`.
const ATTRIBUTE: &[u8] = b"grpc_config=";

/// The largest list that is read, in bytes: what one record can hold at most.
pub const MAX_BYTES: usize = 65_535;

/// A service config and whom it is meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Languages, in any case; empty means all.
    pub languages: Vec<String>,
    /// The share of clients that it is meant for, 0 to 100; `None` means all.
    pub percentage: Option<u8>,
    /// Names of hosts; empty means all.
    pub host_names: Vec<String>,
    /// The service config: JSON, not looked into.
    pub service_config: String,
}

/// Who chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The language as gRPC names it: `c++`, `python`, `rust`...
    pub language: String,
    /// The host's name.
    pub host_name: String,
    /// From 0 to 99, drawn once: the client is among the first `n` percent where it is less than `n`.
    pub draw: u8,
}

impl Choice {
    /// Whether it is meant for this client.
    pub fn is_for(&self, client: &Client) -> bool {
        let language = |known: &String| known.eq_ignore_ascii_case(&client.language);
        (self.languages.is_empty() || self.languages.iter().any(language))
            && (self.host_names.is_empty() || self.host_names.contains(&client.host_name))
            && self.percentage.is_none_or(|percentage| client.draw < percentage)
    }
}

/// What a record's strings say together, without `grpc_config=`; `None` for a record of another use.
///
/// # Errors
/// It is too large, or not UTF-8.
pub fn attribute(strings: &[impl AsRef<[u8]>]) -> Result<Option<String>, String> {
    let bytes: Vec<u8> = strings.iter().flat_map(|string| string.as_ref().iter().copied()).collect();
    let Some(value) = bytes.strip_prefix(ATTRIBUTE) else { return Ok(None) };
    if value.len() > MAX_BYTES {
        return Err(format!("grpc_config has {} bytes, more than {MAX_BYTES}", value.len()));
    }
    let text = String::from_utf8(value.to_vec()).map_err(|_| "grpc_config is not UTF-8".to_owned())?;
    Ok(Some(text))
}

/// Reads the list of choices. Members that are not known are passed over, as A2 asks.
///
/// # Errors
/// What is wrong and where, as in `[1].percentage: must be from 0 to 100`.
pub fn decode(text: &str) -> Result<Vec<Choice>, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("grpc_config has {} bytes, more than {MAX_BYTES}", text.len()));
    }
    let document = json::parse(text).map_err(|error| error.to_string())?;
    let choices = Node::root(&document).elements().map_err(|error| error.to_string())?;
    choices.map(|choice| read(&choice).map_err(|error| error.to_string())).collect()
}

/// The service config that is meant for a client: that of the first choice that is, or `None`.
///
/// # Errors
/// As [`decode`].
pub fn choose(text: &str, client: &Client) -> Result<Option<String>, String> {
    let chosen = decode(text)?.into_iter().find(|choice| choice.is_for(client));
    Ok(chosen.map(|choice| choice.service_config))
}

fn read(choice: &Node<'_>) -> Result<Choice, JsonError> {
    let Some(config) = choice.field("serviceConfig")? else {
        return Err(choice.error_at("serviceConfig", "is missing"));
    };
    config.object()?;
    Ok(Choice {
        languages: strings(choice, "clientLanguage")?,
        percentage: choice.field("percentage")?.map(|node| percentage(&node)).transpose()?,
        host_names: strings(choice, "clientHostName")?,
        service_config: config.value().to_string(),
    })
}

fn strings(choice: &Node<'_>, key: &str) -> Result<Vec<String>, JsonError> {
    let Some(list) = choice.field(key)? else { return Ok(Vec::new()) };
    list.elements()?.map(|element| Ok(element.string()?.to_owned())).collect()
}

fn percentage(node: &Node<'_>) -> Result<u8, JsonError> {
    let number = node.integer()?;
    u8::try_from(number)
        .ok()
        .filter(|number| *number <= 100)
        .ok_or_else(|| node.error("must be from 0 to 100"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(language: &str, host_name: &str, draw: u8) -> Client {
        Client { language: language.to_owned(), host_name: host_name.to_owned(), draw }
    }

    #[test]
    fn the_first_choice_that_fits_is_taken() {
        let text = r#"[{"clientLanguage":["go","JAVA"],"serviceConfig":{"a":1}},
            {"clientHostName":["h1","h2"],"serviceConfig":{"a":2}},
            {"percentage":10,"serviceConfig":{"a":3}},
            {"clientLanguage":[],"percentage":100,"serviceConfig":{"a":4}}]"#;
        for (client, expected) in [
            (client("java", "h1", 0), r#"{"a":1}"#),
            (client("c++", "h2", 0), r#"{"a":2}"#),
            (client("c++", "h3", 9), r#"{"a":3}"#),
            (client("c++", "h3", 10), r#"{"a":4}"#),
        ] {
            assert_eq!(choose(text, &client).unwrap().as_deref(), Some(expected), "{client:?}");
        }
    }

    #[test]
    fn nothing_fits_nobody() {
        let anybody = client("rust", "h", 0);
        for text in [
            "[]",
            r#"[{"percentage":0,"serviceConfig":{}}]"#,
            r#"[{"clientLanguage":["go"],"serviceConfig":{}}]"#,
        ] {
            assert_eq!(choose(text, &anybody), Ok(None), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, expected) in [
            ("{}", "the document must be an array"),
            ("[1]", "[0] must be an object"),
            ("[{}]", "[0].serviceConfig: is missing"),
            (r#"[{"serviceConfig":[]}]"#, "[0].serviceConfig: must be an object"),
            (
                r#"[{"serviceConfig":{}},{"percentage":101,"serviceConfig":{}}]"#,
                "[1].percentage: must be from 0 to 100",
            ),
            (r#"[{"percentage":"x","serviceConfig":{}}]"#, "[0].percentage"),
            (r#"[{"clientLanguage":"go","serviceConfig":{}}]"#, "[0].clientLanguage: must be an array"),
            ("[", "is not valid JSON"),
        ] {
            let error = decode(text).unwrap_err();
            assert!(error.replace("[0]: must", "[0] must").contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn strings_are_put_together_and_other_uses_passed_over() {
        assert_eq!(attribute(&["grpc_con", "fig=[", "]"]), Ok(Some("[]".to_owned())));
        assert_eq!(attribute(&["v=spf1 -all"]), Ok(None));
        assert_eq!(attribute(&[] as &[&str]), Ok(None));
        assert!(attribute(&[&b"grpc_config=\xff"[..]]).is_err());
        let large = vec![b' '; MAX_BYTES + 1];
        assert!(attribute(&[&b"grpc_config="[..], &large]).is_err());
        assert!(decode(&" ".repeat(MAX_BYTES + 1)).is_err());
    }
}
