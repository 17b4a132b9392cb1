//! What an application names: targets, endpoints, lists.

use crate::text;
use evener_channel::lint::{self, Finding};
use evener_discovery::target::{RegistryUri, redact as hide};
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

/// A target that is to be judged. What is to be written instead is a target as well, unless something is hidden in it.
pub fn lint_target(data: &[u8]) {
    let Some(text) = text(data) else { return };
    for Finding { code, corrected, .. } in lint::target(text) {
        let corrected = corrected.filter(|_| hide(text) == text);
        let is_target = corrected.as_deref().is_none_or(|corrected| Target::parse(corrected).is_ok());
        assert!(is_target, "{code}, from {text:?}: {corrected:?}");
    }
}

/// What is shown of a target. Nothing is left to hide in it; and of the secrets that a target is made with (a user, a password and a
/// token, each a line), nothing.
pub fn redact(data: &[u8]) {
    const MARK: &str = "HUSH";

    let Some(text) = text(data).filter(|text| !text.contains(MARK)) else { return };
    let hidden = hide(text);
    assert_eq!(hide(&hidden), hidden, "from {text:?}");
    // Whatever part of it is seen has the mark.
    let marked = |part: Option<&str>| {
        part.unwrap_or_default().chars().fold(MARK.to_owned(), |marked, c| format!("{marked}{c}{MARK}"))
    };
    let mut parts = text.split('\n');
    let user = Some((marked(parts.next()), marked(parts.next())));
    let token = ("token".to_owned(), marked(parts.next()));
    let query = vec![("dc".to_owned(), "a".to_owned()), token, ("wait".to_owned(), "1m".to_owned())];
    let path = parts.next().unwrap_or("user").to_owned();
    let target = format!("consul:{}", RegistryUri { user, authority: "agent:8500".to_owned(), path, query });
    for shown in
        [hide(&target), format!("{:?}", Target::parse(&target)), format!("{:?}", lint::target(&target))]
    {
        assert!(!shown.contains(MARK), "from {target}: {shown}");
    }
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
