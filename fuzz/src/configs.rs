//! Configurations: gRPC's, wherever it comes from, Consul's files, and whatever is to be judged.

use crate::text;
use evener_channel::config::ServiceConfig;
use evener_channel::lint as findings;
use evener_discovery::record::{consul, txt as record};

/// gRPC's service config. A refusal says why.
pub fn service_config(data: &[u8]) {
    let Some(text) = text(data) else { return };
    match ServiceConfig::parse(text) {
        Ok(parsed) => {
            let _ = parsed.config.method("/demo.Greeter/Hello");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A service config in a TXT record, among others for other clients. What is chosen is JSON.
pub fn txt(data: &[u8]) {
    if let Ok(Some(text)) = record::attribute(&[data]) {
        choose(&text);
    }
    if let Some(text) = text(data) {
        choose(text);
    }
}

fn choose(text: &str) {
    for draw in [0, 50, 99] {
        let client = record::Client { language: "c++".to_owned(), host_name: "a".to_owned(), draw };
        if let Ok(Some(config)) = record::choose(text, &client) {
            // Refused for its content, perhaps, but not for its form.
            let _ = ServiceConfig::parse(&config);
            assert!(evener_discovery::json::parse(&config).is_ok(), "chosen from {text:?}: {config}");
        }
    }
}

/// Consul's service definitions, as files have them.
pub fn consul_definition(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok((services, _)) = consul::definition::services(text) else { return };
    for service in services {
        let _ = format!("{service:?}");
    }
}

/// Spans of time as Consul writes them. Written again, one is read as nearly the same.
pub fn consul_duration(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok(span) = consul::duration::decode(text) else { return };
    let written = consul::duration::encode(span);
    assert!(consul::duration::decode(&written).is_ok(), "from {text:?} by {written:?}");
}

/// Whatever a file holds that is to be judged.
pub fn lint(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let _ = findings::to_json(&findings::document(text));
}
