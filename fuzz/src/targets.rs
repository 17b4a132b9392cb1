//! What an application names: targets, endpoints, lists.

use crate::text;
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
    for endpoint in lists.names().filter_map(|name| lists.get(name)).flatten() {
        assert!(!endpoint.addresses.is_empty(), "an endpoint without an address in {text:?}");
    }
}
