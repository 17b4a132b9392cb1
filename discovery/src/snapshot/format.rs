//! What a snapshot's file holds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::json::{self, JsonError, Node};
use crate::model::Endpoint;
use crate::target::{is_secret, redact};

/// The only version there is. A file of another one is refused, not guessed at.
const VERSION: i64 = 1;
/// More than any real set takes, and little enough to read at a start.
pub(super) const MAX_BYTES: usize = 64 << 20;

/// What was known of a target at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// The target in its canonical form, secrets redacted.
    pub target: String,
    /// When this was last known to be true; whole seconds are kept.
    pub as_of: SystemTime,
    /// How the source counts its changes, to show.
    pub revision: Option<String>,
    /// The service config that came with the endpoints.
    pub service_config: Option<String>,
    /// The endpoints, at least one.
    pub endpoints: Vec<Endpoint>,
}

/// The file's content: a JSON object with `version` (1), `target`, `as_of` (seconds since 1970), `revision`,
/// `service_config` (a string), and `endpoints` in their [text form](Endpoint).
///
/// The target's secrets are redacted and metadata with secrets is left out, and so is an endpoint that has no text form that
/// could be read back.
pub fn encode(file: &SnapshotFile) -> Vec<u8> {
    let as_of = file.as_of.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let endpoints: Vec<String> = file.endpoints.iter().filter_map(write_endpoint).collect();
    let object = json!({
        "version": VERSION,
        "target": redact(&file.target),
        "as_of": as_of,
        "revision": file.revision,
        "service_config": file.service_config,
        "endpoints": endpoints,
    });
    let mut bytes = object.to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}

/// Reads a file's content. Unknown fields are ignored.
///
/// # Errors
///
/// Why it is not such a file: what is wrong and where.
pub fn decode(bytes: &[u8]) -> Result<SnapshotFile, String> {
    if bytes.len() > MAX_BYTES {
        return Err(format!("has {} bytes, more than the {MAX_BYTES} that a snapshot may have", bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| format!("is not UTF-8: {error}"))?;
    let value = json::parse(text).map_err(|error| error.to_string())?;
    read(&Node::root(&value)).map_err(|error| error.to_string())
}

fn read(root: &Node<'_>) -> Result<SnapshotFile, JsonError> {
    let version = required(root, "version")?.integer()?;
    if version != VERSION {
        return Err(root.error_at("version", format!("is {version}; this build reads {VERSION}")));
    }
    let endpoints = required(root, "endpoints")?;
    let endpoints = endpoints.elements()?.map(|node| read_endpoint(&node)).collect::<Result<Vec<_>, _>>()?;
    if endpoints.is_empty() {
        return Err(root.error_at("endpoints", "is empty; a snapshot is never of nothing"));
    }
    Ok(SnapshotFile {
        target: required(root, "target")?.string()?.to_owned(),
        as_of: read_time(&required(root, "as_of")?)?,
        revision: optional_string(root, "revision")?,
        service_config: optional_string(root, "service_config")?,
        endpoints,
    })
}

fn read_time(node: &Node<'_>) -> Result<SystemTime, JsonError> {
    let seconds = u64::try_from(node.integer()?).map_err(|_| node.error("is before 1970"))?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).ok_or_else(|| node.error("is too far in the future"))
}

fn read_endpoint(node: &Node<'_>) -> Result<Endpoint, JsonError> {
    node.string()?.parse().map_err(|error| node.error(format!("{error}")))
}

fn required<'a>(root: &Node<'a>, key: &str) -> Result<Node<'a>, JsonError> {
    root.field(key)?.ok_or_else(|| root.error_at(key, "is missing"))
}

fn optional_string(root: &Node<'_>, key: &str) -> Result<Option<String>, JsonError> {
    let field = root.field(key)?;
    field.map(|node| node.string().map(str::to_owned)).transpose()
}

/// `None` for what could not be read back: a resolver of the application's own may have made up anything.
fn write_endpoint(endpoint: &Endpoint) -> Option<String> {
    let mut public = endpoint.clone();
    public.metadata.retain(|key, _| !key.is_empty() && !is_secret(key));
    for place in [&mut public.zone, &mut public.region] {
        if place.as_deref() == Some("") {
            *place = None;
        }
    }
    let text = public.to_string();
    text.parse::<Endpoint>().is_ok().then_some(text)
}
