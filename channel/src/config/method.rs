//! `methodConfig`.

use evener_discovery::json::Node;

use super::error::{ConfigError, Warnings};
use super::lookup::{self, MethodTable};
use super::schema::{Attempts, MethodConfig};
use super::spelling::spelling;
use super::{duration, retry};

pub(super) const FIELDS: [&str; 7] = [
    "name",
    "waitForReady",
    "timeout",
    "maxRequestMessageBytes",
    "maxResponseMessageBytes",
    "retryPolicy",
    "hedgingPolicy",
];

pub(super) fn parse(list: &Node<'_>, warnings: &mut Warnings) -> Result<MethodTable, ConfigError> {
    let mut table = MethodTable::default();
    for entry in list.elements()? {
        spelling(&entry, &FIELDS, warnings)?;
        let config = parse_entry(&entry, warnings)?;
        let names = parse_names(&entry, warnings)?;
        if names.is_empty() {
            warnings.push(entry.path(), "It names no method, so it holds for none; {} names all of them.");
        }
        table.add(config, names).map_err(|place| {
            let path = format!("{}.name[{place}]", entry.path());
            ConfigError { path, reason: "names what another name in this config names already".to_owned() }
        })?;
    }
    Ok(table)
}

fn parse_entry(entry: &Node<'_>, warnings: &mut Warnings) -> Result<MethodConfig, ConfigError> {
    let timeout = match entry.field("timeout")? {
        Some(field) => Some(duration::of(&field)?),
        None => None,
    };
    let wait_for_ready = match entry.field("waitForReady")? {
        Some(field) => Some(field.boolean()?),
        None => None,
    };
    Ok(MethodConfig {
        timeout,
        wait_for_ready,
        max_request_bytes: parse_bytes(entry, "maxRequestMessageBytes")?,
        max_response_bytes: parse_bytes(entry, "maxResponseMessageBytes")?,
        attempts: parse_attempts(entry, warnings)?,
    })
}

fn parse_bytes(entry: &Node<'_>, key: &str) -> Result<Option<u64>, ConfigError> {
    let Some(field) = entry.field(key)? else {
        return Ok(None);
    };
    match u64::try_from(field.integer()?) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(_) => Err(field.error("must not be negative").into()),
    }
}

fn parse_attempts(entry: &Node<'_>, warnings: &mut Warnings) -> Result<Option<Attempts>, ConfigError> {
    match (entry.field("retryPolicy")?, entry.field("hedgingPolicy")?) {
        (None, None) => Ok(None),
        (Some(node), None) => Ok(Some(Attempts::Retry(retry::parse_retry(&node, warnings)?))),
        (None, Some(node)) => Ok(Some(Attempts::Hedging(retry::parse_hedging(&node, warnings)?))),
        (Some(_), Some(node)) => Err(node.error("excludes retryPolicy, which is there too").into()),
    }
}

/// The keys of an entry's names.
fn parse_names(entry: &Node<'_>, warnings: &mut Warnings) -> Result<Vec<String>, ConfigError> {
    let Some(list) = entry.field("name")? else {
        return Ok(Vec::new());
    };
    list.elements()?.map(|name| parse_name(&name, warnings)).collect()
}

fn parse_name(name: &Node<'_>, warnings: &mut Warnings) -> Result<String, ConfigError> {
    spelling(name, &["service", "method"], warnings)?;
    let part = |key| name.field(key)?.map_or(Ok(""), |field| field.string());
    let (service, method) = (part("service")?, part("method")?);
    if service.is_empty() && !method.is_empty() {
        return Err(name.error_at("service", "is required where a method is named").into());
    }
    if service.contains('/') || method.contains('/') {
        warnings.push(
            name.path(),
            "It has a slash, so it most likely names nothing: the method /user.UserService/Get is written \
             {\"service\": \"user.UserService\", \"method\": \"Get\"}.",
        );
    }
    Ok(lookup::key(service, method))
}
