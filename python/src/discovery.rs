//! How targets are watched, as Python says it: the fields of `evener.Discovery`, read by their names.

use crate::clock;
use crate::credentials;
use crate::errors::unusable;
use crate::fields::Fields;
use crate::probe;
use evener_channel::ChannelOptions;
use evener_discovery::pipeline::{PipelineOptions, StalePolicy};
use evener_discovery::runtime::{DnsOptions, WatchOptions};
use pyo3::prelude::*;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What a service config in DNS may be meant for.
const LANGUAGE: &str = "python";

/// Any object with these attributes; `evener.Discovery` is the documented one. Times are seconds.
struct Given<'py> {
    initial_timeout: Option<f64>,
    fallback_target: Option<String>,
    empty_hold: f64,
    removal_epoch: f64,
    max_drop_percent: i64,
    debounce: f64,
    max_stale: Option<f64>,
    drop_stale: bool,
    snapshot_dir: Option<PathBuf>,
    snapshot_max_age: Option<f64>,
    zone: Option<String>,
    region: Option<String>,
    credentials: Option<Bound<'py, PyAny>>,
    dns_servers: Vec<String>,
    system_dns: bool,
    service_config_from_dns: bool,
    service_config_source: Option<String>,
    probe: Option<Bound<'py, PyAny>>,
}

impl<'py> Given<'py> {
    fn read(given: &Bound<'py, PyAny>) -> PyResult<Self> {
        let fields = Fields::of("discovery", "an evener.Discovery", given);
        Ok(Self {
            initial_timeout: fields.get("initial_timeout")?,
            fallback_target: fields.filled("fallback_target")?,
            empty_hold: fields.get("empty_hold")?,
            removal_epoch: fields.get("removal_epoch")?,
            max_drop_percent: fields.get("max_drop_percent")?,
            debounce: fields.get("debounce")?,
            max_stale: fields.get("max_stale")?,
            drop_stale: fields.get("drop_stale")?,
            snapshot_dir: fields.filled("snapshot_dir")?,
            snapshot_max_age: fields.get("snapshot_max_age")?,
            zone: fields.get("zone")?,
            region: fields.get("region")?,
            credentials: fields.optional("credentials")?,
            dns_servers: fields.get("dns_servers")?,
            system_dns: fields.get("system_dns")?,
            service_config_from_dns: fields.get("service_config_from_dns")?,
            service_config_source: fields.filled("service_config_source")?,
            probe: fields.optional("probe")?,
        })
    }
}

/// A channel's options with what is given; what is not stays as it is. ConfigError names the field that is wrong.
pub(crate) fn channel_options(
    given: Option<&Bound<'_, PyAny>>,
    options: ChannelOptions,
) -> PyResult<ChannelOptions> {
    let options = ChannelOptions { dns_language: LANGUAGE.to_owned(), ..options };
    let Some(given) = given.map(Given::read).transpose()? else { return Ok(options) };
    Ok(ChannelOptions {
        initial_timeout: seconds("initial_timeout", given.initial_timeout.unwrap_or_default())?,
        pipeline: pipeline(&given)?,
        fallback_target: given.fallback_target,
        snapshot_max_age: max_age(given.snapshot_max_age)?,
        snapshot_dir: given.snapshot_dir,
        zone: given.zone,
        region: given.region,
        credentials: credentials::credentials(given.credentials.as_ref())?,
        dns_servers: dns_servers(&given.dns_servers)?,
        system_dns: given.system_dns,
        service_config_from_dns: given.service_config_from_dns,
        service_config_source: given.service_config_source,
        probe: given.probe.as_ref().map(probe::probe).transpose()?,
        ..options
    })
}

/// What a watch without a channel is opened with. What concerns a channel's calls alone does not count.
pub(crate) fn watch_options(given: Option<&Bound<'_, PyAny>>) -> PyResult<WatchOptions> {
    let dns = DnsOptions { language: LANGUAGE.to_owned(), ..DnsOptions::default() };
    let Some(given) = given.map(Given::read).transpose()? else {
        return Ok(WatchOptions { dns, ..WatchOptions::default() });
    };
    Ok(WatchOptions {
        pipeline: pipeline(&given)?,
        credentials: credentials::credentials(given.credentials.as_ref())?,
        dns: DnsOptions {
            servers: dns_servers(&given.dns_servers)?,
            system: given.system_dns,
            service_config: given.service_config_from_dns,
            ..dns
        },
        snapshot_max_age: max_age(given.snapshot_max_age)?,
        probe: given.probe.as_ref().map(probe::probe).transpose()?,
        snapshot_dir: given.snapshot_dir,
        ..WatchOptions::default()
    })
}

/// ConfigError where the options do not make sense. Nothing is opened or looked up.
#[pyfunction]
pub(crate) fn check_discovery(given: &Bound<'_, PyAny>) -> PyResult<()> {
    channel_options(Some(given), ChannelOptions::default()).map(drop)
}

fn pipeline(given: &Given<'_>) -> PyResult<PipelineOptions> {
    let defaults = PipelineOptions::default();
    let debounce = seconds("debounce", given.debounce)?;
    let options = PipelineOptions {
        empty_hold: seconds("empty_hold", given.empty_hold)?,
        removal_epoch: seconds("removal_epoch", given.removal_epoch)?,
        max_drop_ratio: u8::try_from(given.max_drop_percent).map_err(|_| {
            refused("max_drop_percent", &format!("{} is no percentage", given.max_drop_percent))
        })?,
        max_delay: defaults.max_delay.max(debounce),
        debounce,
        max_stale: given.max_stale.map(|limit| seconds("max_stale", limit)).transpose()?,
        on_stale: if given.drop_stale { StalePolicy::Drop } else { StalePolicy::Keep },
    };
    options.check().map_err(|error| match error.option {
        "max_drop_ratio" => refused("max_drop_percent", &error.reason),
        "on_stale" => refused("drop_stale", "needs max_stale"),
        option => refused(option, &error.reason),
    })?;
    Ok(options)
}

/// None is of any age, which is zero there.
fn max_age(given: Option<f64>) -> PyResult<Duration> {
    seconds("snapshot_max_age", given.unwrap_or_default())
}

fn dns_servers(given: &[String]) -> PyResult<Vec<SocketAddr>> {
    let one = |server: &String| {
        let address = server.parse().or_else(|_| server.parse().map(|ip| SocketAddr::new(ip, 53)));
        address.map_err(|_| {
            refused("dns_servers", &format!("`{server}` is no IP address, with or without a port"))
        })
    };
    given.iter().map(one).collect()
}

/// ConfigError names the field.
fn seconds(field: &str, value: f64) -> PyResult<Duration> {
    clock::seconds(value).map_err(|why| refused(field, &why))
}

fn refused(field: &str, why: &str) -> PyErr {
    unusable(format!("discovery: {field}: {why}"))
}
