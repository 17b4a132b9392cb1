//! What `Debug` shows of a definition: everything but the secrets that may be in it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::{Check, CheckKind, ServiceDefinition};
use crate::target::{is_secret, redact};

/// What stands in a secret's place.
const HIDDEN: &str = "***";

/// What a check sends or runs may hold a password anywhere.
const SENT: [&str; 3] = ["Header", "Body", "Args"];

/// Fields in a registry's own words, without what is secret by its name and without what a check sends.
pub(crate) fn fields<'a>(
    given: impl IntoIterator<Item = (&'a String, &'a Value)>,
) -> BTreeMap<&'a str, Value> {
    let is_hidden = |key: &str| is_secret(key) || SENT.iter().any(|sent| sent.eq_ignore_ascii_case(key));
    let shown = |key: &str, value: &Value| if is_hidden(key) { HIDDEN.into() } else { inner(value) };
    given.into_iter().map(|(key, value)| (key.as_str(), shown(key, value))).collect()
}

fn inner(value: &Value) -> Value {
    match value {
        Value::Object(given) => {
            Value::Object(fields(given).into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        }
        Value::Array(all) => all.iter().map(inner).collect(),
        Value::String(text) => redact(text).into(),
        other => other.clone(),
    }
}

/// Metadata without what is secret by its name.
pub(crate) fn metadata(given: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    let shown = |key: &str, value| if is_secret(key) { HIDDEN } else { value };
    given.iter().map(|(key, value)| (key.as_str(), shown(key, value.as_str()))).collect()
}

/// Without the secrets.
impl fmt::Debug for ServiceDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceDefinition")
            .field("name", &self.name)
            .field("id", &self.id)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tags", &self.tags)
            .field("metadata", &metadata(&self.metadata))
            .field("weight", &self.weight)
            .field("warning_weight", &self.warning_weight)
            .field("priority", &self.priority)
            .field("zone", &self.zone)
            .field("region", &self.region)
            .field("checks", &self.checks)
            .field("ttl", &self.ttl)
            .field("extra", &fields(&self.extra))
            .finish()
    }
}

/// Without the secrets.
impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("name", &self.name)
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("interval", &self.interval)
            .field("timeout", &self.timeout)
            .field("tls_skip_verify", &self.tls_skip_verify)
            .field("success_before_passing", &self.success_before_passing)
            .field("failures_before_critical", &self.failures_before_critical)
            .field("deregister_after", &self.deregister_after)
            .field("status", &self.status)
            .field("extra", &fields(&self.extra))
            .finish()
    }
}

/// Without the secrets: of a request neither the headers' values nor the body, of a command not its arguments.
impl fmt::Debug for CheckKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ttl(ttl) => f.debug_tuple("Ttl").field(ttl).finish(),
            Self::Http { url, method, header, body } => f
                .debug_struct("Http")
                .field("url", &redact(url))
                .field("method", method)
                .field("header", &header.keys().map(|name| (name, HIDDEN)).collect::<BTreeMap<_, _>>())
                .field("body", &body.as_ref().map(|_| HIDDEN))
                .finish(),
            Self::Tcp(address) => f.debug_tuple("Tcp").field(&redact(address)).finish(),
            Self::Grpc { target, tls } => {
                f.debug_struct("Grpc").field("target", &redact(target)).field("tls", tls).finish()
            }
            Self::Script(command) => {
                let hidden = command.get(1..).unwrap_or_default().iter().map(|_| HIDDEN);
                let shown = command.first().map(String::as_str).into_iter().chain(hidden);
                f.debug_tuple("Script").field(&shown.collect::<Vec<_>>()).finish()
            }
            Self::Other => f.write_str("Other"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::record::consul::definition;

    const TEXT: &str = r#"{"service": {"name": "user-service", "port": 8080, "token": "hush",
        "meta": {"zone": "a", "api_key": "hush"}, "proxy": {"config": {"password": "hush", "depth": 7}},
        "checks": [
            {"http": "http://me:hush@h/health?token=hush", "interval": "1s", "method": "PUT", "body": "hush",
             "header": {"Authorization": ["Bearer hush"], "X-Trace": ["hush"]}},
            {"args": ["/bin/check", "--with", "hush"], "interval": "1s"},
            {"args": ["/bin/check", "hush"], "shell": "/bin/sh", "interval": "1s"}]}}"#;

    #[test]
    fn secrets_of_a_definition_are_not_shown() {
        let definitions = definition::decode(TEXT).unwrap();
        let (mut services, _) = definition::services(TEXT).unwrap();
        let service = services.remove(0);
        assert_eq!(service.extra["Token"], "hush");
        let service = format!("{service:?}");
        for shown in [&service, &format!("{definitions:?}")] {
            assert!(!shown.contains("hush"), "{shown}");
            assert!(shown.contains("user-service") && shown.contains("http://***@h/health"), "{shown}");
        }
        for kept in ["Authorization", "X-Trace", "PUT", "/bin/check", "depth"] {
            assert!(service.contains(kept), "{kept}: {service}");
        }
    }
}
