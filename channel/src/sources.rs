//! Where a channel's endpoints and service config come from, as its target and options say: read and checked.

#[cfg(feature = "runtime")]
use evener_discovery::probe::ProbeOptions;
#[cfg(feature = "runtime")]
use evener_discovery::runtime::WatchOptions;
use evener_discovery::target::{DnsTarget, redact};
use evener_discovery::{Endpoint, SourceError, StaticTarget, Target, TargetError};

use crate::live::LiveSetup;
use crate::lookup::Lookup;
use crate::options::{ChannelOptions, OpenError};
#[cfg(feature = "runtime")]
use crate::shared::Given;

/// What a channel may be told by, besides its application.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// The endpoints, where they are known from the start.
    pub(crate) list: Option<Vec<Endpoint>>,
    /// Where they are looked up otherwise.
    pub(crate) lookup: Option<Lookup>,
    /// What is watched.
    pub(crate) live: LiveSetup,
    /// Whether a service config that comes with the endpoints was asked for.
    pub(crate) config_from_dns: bool,
    /// The target's own authority.
    pub(crate) authority: Option<String>,
    /// What stands in the targets and should not.
    pub(crate) warnings: Vec<String>,
}

impl Sources {
    /// Keeps what stands in a target and should not, for the log.
    fn warn(&mut self, text: &str, target: &Target) {
        let Target::Consul(target) = target else { return };
        let name = redact(text);
        self.warnings.extend(target.warnings().iter().map(|warning| format!("{name}: {warning}")));
    }
}

/// Reads a target and what the options say of others. `is_custom` tells which schemes the application has a resolver for.
pub(crate) fn read(
    target: &str,
    options: &ChannelOptions,
    is_custom: &dyn Fn(&str) -> bool,
) -> Result<Sources, OpenError> {
    let parse = |text: &str| Target::parse_with(text, is_custom);
    let mut sources = Sources { live: live_setup(options), ..Sources::default() };
    consistent(options)?;
    if let Some(list) = &options.endpoints {
        // A target that names the channel only need not be one that can be resolved.
        sources.authority = parse(target).ok().map(|target| target.authority());
        sources.list = Some(list.clone());
        unprobed("endpoints", options)?;
        return add_config(sources, options);
    }
    let text = target;
    let target = parse(text).map_err(OpenError::Target)?;
    sources.authority = Some(target.authority());
    sources.warn(text, &target);
    match target {
        Target::Static(StaticTarget::List(list)) => known(&mut sources, list, options)?,
        Target::Addresses(target) => known(&mut sources, target.endpoints, options)?,
        Target::Static(StaticTarget::Named(name)) => match &options.static_file {
            Some(path) => {
                unprobed("static_file", options)?;
                sources.lookup = Some(Lookup::file(name, path.clone()));
            }
            None => known(&mut sources, named(&name, options), options)?,
        },
        Target::Dns(target) if asks_the_system(options) => system(&mut sources, target, options)?,
        target => watch(&mut sources, target, options)?,
    }
    if let Some(text) = &options.fallback_target {
        let fallback = parse(text)
            .map_err(|error| OpenError::Target(TargetError::of_option("fallback_target", &error)))?;
        sources.warn(text, &fallback);
        fall_back(&mut sources, fallback, options)?;
    }
    add_config(sources, options)
}

/// Options of which one would be passed over where the other is given.
fn consistent(options: &ChannelOptions) -> Result<(), OpenError> {
    let has_lists = options.named_lists.as_ref().is_some_and(|lists| lists.names().next().is_some());
    if options.endpoints.is_some() && options.fallback_target.is_some() {
        return Err(refused(
            "fallback_target does not go with endpoints: they are known from the start".to_owned(),
        ));
    }
    if has_lists && options.static_file.is_some() {
        return Err(refused(
            "named_lists does not go with static_file: say in one place what lists there are".to_owned(),
        ));
    }
    Ok(())
}

/// An unknown name is an empty list: its calls fail at once and say so.
fn named(name: &str, options: &ChannelOptions) -> Vec<Endpoint> {
    let list = options.named_lists.as_ref().and_then(|lists| lists.get(name));
    list.unwrap_or_default().to_vec()
}

/// Endpoints that never change need no watch, unless they are probed, which only a watch does.
fn known(sources: &mut Sources, list: Vec<Endpoint>, options: &ChannelOptions) -> Result<(), OpenError> {
    if options.fallback_target.is_some() {
        let text = "fallback_target is never used: the target's endpoints are known from the start";
        sources.warnings.push(text.to_owned());
    }
    if is_probed(options) {
        return watch(sources, Target::Static(StaticTarget::List(list)), options);
    }
    sources.list = Some(list);
    Ok(())
}

/// Whether names are looked up by the system's resolver.
fn asks_the_system(options: &ChannelOptions) -> bool {
    let native =
        || std::env::var("GRPC_DNS_RESOLVER").is_ok_and(|value| value.eq_ignore_ascii_case("native"));
    options.system_dns
        || !evener_discovery::HAS_DNS
        // The channel's own options go before the environment.
        || (options.dns_servers.is_empty() && !options.service_config_from_dns && native())
}

fn system(sources: &mut Sources, target: DnsTarget, options: &ChannelOptions) -> Result<(), OpenError> {
    let unfit = [
        ("service_config_from_dns", options.service_config_from_dns),
        ("dns_servers", !options.dns_servers.is_empty()),
    ];
    if let Some((option, _)) = unfit.into_iter().find(|(_, is_set)| *is_set) {
        return Err(refused(format!(
            "{option} does not go with the system's resolver, which cannot be told"
        )));
    }
    if is_probed(options) {
        return watch(sources, Target::Dns(target), options);
    }
    if options.snapshot_dir.is_some() {
        let text =
            "snapshot_dir keeps nothing of this target: its names are looked up by the system's resolver";
        sources.warnings.push(text.to_owned());
    }
    sources.lookup = Some(Lookup::Dns(target));
    Ok(())
}

/// Probes and an option that says what endpoints there are, and how they are.
fn unprobed(option: &str, options: &ChannelOptions) -> Result<(), OpenError> {
    if is_probed(options) {
        return Err(refused(format!("probe does not go with {option}: say their conditions there")));
    }
    Ok(())
}

#[cfg(feature = "runtime")]
const fn is_probed(options: &ChannelOptions) -> bool {
    options.probe.is_some()
}

#[cfg(not(feature = "runtime"))]
const fn is_probed(_: &ChannelOptions) -> bool {
    false
}

fn refused(text: String) -> OpenError {
    OpenError::Source(SourceError::new(evener_discovery::ErrorClass::Config, text))
}

#[cfg(feature = "runtime")]
fn watch(sources: &mut Sources, target: Target, options: &ChannelOptions) -> Result<(), OpenError> {
    sources.config_from_dns = options.service_config_from_dns && matches!(target, Target::Dns(_));
    sources.live.main = Some(checked(target, &sources.live.options)?);
    Ok(())
}

#[cfg(feature = "runtime")]
fn fall_back(sources: &mut Sources, target: Target, options: &ChannelOptions) -> Result<(), OpenError> {
    // Names of lists have a meaning only here.
    let target = match target {
        Target::Static(StaticTarget::Named(name)) if options.static_file.is_none() => {
            Target::Static(StaticTarget::List(named(&name, options)))
        }
        target => target,
    };
    sources.live.fallback = Some(checked(target, &sources.live.options)?);
    Ok(())
}

#[cfg(feature = "runtime")]
fn add_config(mut sources: Sources, options: &ChannelOptions) -> Result<Sources, OpenError> {
    sources.live.config = options.service_config_source.clone().map(Given);
    if let Some(text) = &options.service_config_source {
        if let Ok(target) = Target::parse(text) {
            sources.warn(text, &target);
        }
        let options = &sources.live.options;
        evener_discovery::config_watch::check(text, options).map_err(OpenError::Source)?;
    }
    Ok(sources)
}

/// A target that this build has a backend for, which takes the options.
#[cfg(feature = "runtime")]
fn checked(target: Target, options: &WatchOptions) -> Result<Target, OpenError> {
    let pipeline = options.pipeline.check();
    pipeline.map_err(|error| refused(error.to_string()))?;
    let probe = options.probe.as_ref().map_or(Ok(()), ProbeOptions::check);
    probe.map_err(|error| refused(error.to_string()))?;
    if !matches!(target, Target::Custom(_)) {
        evener_discovery::backend::open(&target, options).map(drop).map_err(OpenError::Source)?;
    }
    Ok(target)
}

#[cfg(feature = "runtime")]
fn live_setup(options: &ChannelOptions) -> LiveSetup {
    LiveSetup { options: watch_options(options), ..LiveSetup::default() }
}

#[cfg(not(feature = "runtime"))]
const fn live_setup(_: &ChannelOptions) -> LiveSetup {
    LiveSetup
}

#[cfg(feature = "runtime")]
fn watch_options(options: &ChannelOptions) -> WatchOptions {
    use evener_discovery::runtime::DnsOptions;

    use crate::clock;

    let least = std::time::Duration::from_secs(1);
    WatchOptions {
        pipeline: options.pipeline.clone(),
        credentials: options.credentials.clone(),
        dns: DnsOptions {
            servers: options.dns_servers.clone(),
            refresh: options.dns_refresh.map(|refresh| refresh.clamp(least, clock::LONGEST)),
            min_interval: options.dns_min_interval.min(clock::LONGEST),
            service_config: options.service_config_from_dns,
            language: options.dns_language.clone(),
            system: asks_the_system(options),
            ..DnsOptions::default()
        },
        probe: options.probe.clone(),
        snapshot_dir: options.snapshot_dir.clone(),
        snapshot_max_age: options.snapshot_max_age,
        seed: options.seed,
        ..WatchOptions::default()
    }
}

#[cfg(not(feature = "runtime"))]
fn watch(_: &mut Sources, target: Target, _: &ChannelOptions) -> Result<(), OpenError> {
    Err(refused(format!("{}: targets are not available in this build", target.scheme())))
}

#[cfg(not(feature = "runtime"))]
fn fall_back(_: &mut Sources, _: Target, _: &ChannelOptions) -> Result<(), OpenError> {
    Err(refused("fallback_target is not available in this build".to_owned()))
}

#[cfg(not(feature = "runtime"))]
fn add_config(sources: Sources, options: &ChannelOptions) -> Result<Sources, OpenError> {
    match options.service_config_source {
        Some(_) => Err(refused("service_config_source is not available in this build".to_owned())),
        None => Ok(sources),
    }
}
