//! The document as a whole.

use evener_core::Policy;
use evener_discovery::json::{self, Node};

use super::error::{ConfigError, Parsed, Warnings};
use super::schema::{ConnectionScaling, HealthCheck, RetryThrottling};
use super::service::ServiceConfig;
use super::spelling::spelling;
use super::{lint, method, policy};

pub(crate) const FIELDS: [&str; 6] = [
    "loadBalancingPolicy",
    "loadBalancingConfig",
    "methodConfig",
    "retryThrottling",
    "healthCheckConfig",
    "connectionScaling",
];

/// gRPC's limit of `maxTokens`.
const TOKENS_MAX: f64 = 1000.0;

impl ServiceConfig {
    /// Reads a service config in JSON.
    ///
    /// # Errors
    ///
    /// Not JSON, or a known field is wrong: its path and why. Nothing of the config is then to be
    /// used; a channel keeps the one it had (gRFC A21).
    pub fn parse(json: &str) -> Result<Parsed, ConfigError> {
        let document = json::parse(json)?;
        let root = Node::root(&document);
        let mut warnings = Warnings::default();
        lint::top_level(&root, &FIELDS, &mut warnings)?;
        let config = parse_root(&root, &mut warnings)?;
        Ok(Parsed { config, warnings: warnings.0 })
    }
}

fn parse_root(root: &Node<'_>, warnings: &mut Warnings) -> Result<ServiceConfig, ConfigError> {
    let chosen = policy::choose(root, warnings)?;
    let methods = match root.field("methodConfig")? {
        Some(list) => method::parse(&list, warnings)?,
        None => Default::default(),
    };
    let retry_throttling = match root.field("retryThrottling")? {
        Some(node) => Some(parse_throttling(&node, warnings)?),
        None => None,
    };
    let health_check = match root.field("healthCheckConfig")? {
        Some(node) => parse_health_check(&node, chosen.policy, warnings)?,
        None => None,
    };
    let connection_scaling = match root.field("connectionScaling")? {
        Some(node) => Some(parse_scaling(&node, warnings)?),
        None => None,
    };
    Ok(ServiceConfig {
        policy: chosen.policy,
        locality: chosen.locality,
        load_reports: chosen.load_reports,
        retry_throttling,
        health_check,
        connection_scaling,
        methods,
    })
}

fn parse_throttling(node: &Node<'_>, warnings: &mut Warnings) -> Result<RetryThrottling, ConfigError> {
    spelling(node, &["maxTokens", "tokenRatio"], warnings)?;
    let Some(tokens) = node.field("maxTokens")? else {
        return Err(node.error_at("maxTokens", "is required").into());
    };
    let Some(ratio) = node.field("tokenRatio")? else {
        return Err(node.error_at("tokenRatio", "is required").into());
    };
    let max_milli_tokens = to_milli(tokens.number()?);
    if tokens.number()? > TOKENS_MAX || max_milli_tokens == 0 {
        return Err(tokens.error("must be more than 0 and at most 1000").into());
    }
    let milli_token_ratio = to_milli(ratio.number()?);
    if milli_token_ratio == 0 {
        return Err(ratio.error("must be at least 0.001").into());
    }
    warnings.push(node.path(), "Retry throttling is not obeyed yet, as there are no retries yet.");
    Ok(RetryThrottling { max_milli_tokens, milli_token_ratio })
}

/// Thousandths, further decimals cut off; 0 for what is less and saturating for what is more.
fn to_milli(number: f64) -> u32 {
    /// Less than any decimal that counts, more than the error of a decimal in binary.
    const ROUNDING: f64 = 1e-6;

    (number * 1000.0 + ROUNDING) as u32
}

fn parse_health_check(
    node: &Node<'_>,
    policy: Policy,
    warnings: &mut Warnings,
) -> Result<Option<HealthCheck>, ConfigError> {
    spelling(node, &["serviceName"], warnings)?;
    let Some(name) = node.field("serviceName")? else {
        return Ok(None);
    };
    let service_name = name.string()?.to_owned();
    if matches!(policy, Policy::PickFirst { .. }) {
        warnings.push(
            node.path(),
            "pick_first checks no health, in gRPC as here: a server that is connected counts as healthy. With `round_robin` it is checked.",
        );
    }
    Ok(Some(HealthCheck { service_name }))
}

fn parse_scaling(node: &Node<'_>, warnings: &mut Warnings) -> Result<ConnectionScaling, ConfigError> {
    const KEY: &str = "maxConnectionsPerSubchannel";

    spelling(node, &[KEY], warnings)?;
    let max_connections_per_subchannel = match node.field(KEY)? {
        None => 1,
        Some(field) => match u32::try_from(field.integer()?) {
            Ok(number) if number > 0 => number,
            _ => return Err(field.error(format!("must be from 1 to {}", u32::MAX)).into()),
        },
    };
    if max_connections_per_subchannel > 1 {
        warnings.push(node.path(), "Connection scaling is not obeyed yet: each endpoint has one connection.");
    }
    Ok(ConnectionScaling { max_connections_per_subchannel })
}
