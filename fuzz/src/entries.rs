//! The decoders.

use evener_channel::config::ServiceConfig;
use evener_discovery::{Endpoint, NamedLists, Target};

/// A channel's target. Its canonical form is read as the same target.
pub fn target(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let parse = |text: &str| Target::parse_with(text, |scheme| scheme == "custom");
    let Ok(target) = parse(text) else { return };
    let _ = target.authority();
    let canonical = target.to_string();
    assert_eq!(parse(&canonical).as_ref().map(ToString::to_string), Ok(canonical.clone()), "from {text:?}");
}

/// The text form of an endpoint. Written again, it is read as the same endpoint.
pub fn endpoint(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok(endpoint) = text.parse::<Endpoint>() else { return };
    let written = endpoint.to_string();
    assert_eq!(written.parse::<Endpoint>().as_ref(), Ok(&endpoint), "from {text:?} by {written:?}");
}

/// The file of named lists.
pub fn list_file(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok(lists) = NamedLists::parse(text) else { return };
    for name in lists.names() {
        for endpoint in lists.get(name).expect("a list that is named") {
            assert!(!endpoint.addresses.is_empty(), "an endpoint without an address in {text:?}");
        }
    }
}

/// gRPC's service config. A refusal says where.
pub fn service_config(data: &[u8]) {
    let Some(text) = text(data) else { return };
    match ServiceConfig::parse(text) {
        Ok(parsed) => {
            let _ = parsed.config.method("/demo.Greeter/Hello");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Whatever a file holds that is to be judged.
pub fn lint(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let findings = evener_channel::lint::document(text);
    let _ = evener_channel::lint::to_json(&findings);
}

/// What comes from outside as text is known to be UTF-8 where these functions are called.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}
