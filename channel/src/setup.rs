//! What a channel is opened with, read and checked: the target, the options, the service config.

use std::time::Duration;

use evener_discovery::{Endpoint, StaticTarget, Target};

use crate::config::{Parsed, ServiceConfig};
use crate::dice::Dice;
use crate::lookup::Lookup;
use crate::options::{ChannelOptions, OpenError};
use crate::resolution::Resolution;
use crate::subchannels::check;

/// All an engine needs to know to begin.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) target: String,
    pub(crate) authority: String,
    pub(crate) config: Parsed,
    pub(crate) control: ControlSetup,
}

/// The part of [`Setup`] that goes behind the mutex.
#[derive(Debug)]
pub(crate) struct ControlSetup {
    /// The endpoints, where they are known from the start.
    pub(crate) list: Option<Vec<Endpoint>>,
    /// Where they are looked up otherwise.
    pub(crate) lookup: Option<Lookup>,
    pub(crate) resolution: Resolution,
    pub(crate) config_text: Option<String>,
    pub(crate) drain_timeout: Duration,
    pub(crate) dice: Dice,
}

/// Reads what a channel is opened with.
pub(crate) fn set_up(target: &str, options: ChannelOptions) -> Result<Setup, OpenError> {
    let config = match &options.service_config {
        Some(json) => ServiceConfig::parse(json).map_err(OpenError::Config)?,
        None => Parsed { config: ServiceConfig::default(), warnings: Vec::new() },
    };
    let parsed = parse_target(target, &options)?;
    let authority = options.default_authority.clone().or_else(|| parsed.as_ref().map(Target::authority));
    let (list, lookup) = source(parsed, &options);
    if let Some(list) = &list {
        check(list).map_err(OpenError::Endpoints)?;
    }
    let mut dice = Dice::new(options.seed);
    let schedule = lookup.as_ref().map(|lookup| lookup.schedule(&options));
    let resolution = Resolution::new(schedule, Dice::new(Some(dice.roll())));
    let control = ControlSetup {
        list,
        lookup,
        resolution,
        config_text: options.service_config,
        drain_timeout: options.drain_timeout,
        dice,
    };
    let authority = authority.unwrap_or_else(|| target.to_owned());
    Ok(Setup { target: target.to_owned(), authority, config, control })
}

/// A target that names the channel only need not be one that can be resolved.
fn parse_target(target: &str, options: &ChannelOptions) -> Result<Option<Target>, OpenError> {
    match Target::parse(target) {
        Ok(target) => Ok(Some(target)),
        Err(_) if options.endpoints.is_some() => Ok(None),
        Err(error) => Err(OpenError::Target(error)),
    }
}

/// Where the endpoints come from: the application, the target itself, or a lookup.
fn source(target: Option<Target>, options: &ChannelOptions) -> (Option<Vec<Endpoint>>, Option<Lookup>) {
    if let Some(list) = &options.endpoints {
        return (Some(list.clone()), None);
    }
    match target {
        Some(Target::Static(StaticTarget::List(list))) => (Some(list), None),
        Some(Target::Addresses(target)) => (Some(target.endpoints), None),
        Some(Target::Dns(target)) => (None, Some(Lookup::Dns(target))),
        Some(Target::Static(StaticTarget::Named(name))) => match &options.static_file {
            Some(path) => (None, Some(Lookup::file(name, path.clone()))),
            None => (Some(named(&name, options)), None),
        },
        // Kinds of targets that are added later without being wired up here have no endpoints.
        _ => (Some(Vec::new()), None),
    }
}

/// An unknown name is an empty list: its calls fail at once and say so.
fn named(name: &str, options: &ChannelOptions) -> Vec<Endpoint> {
    let list = options.named_lists.as_ref().and_then(|lists| lists.get(name));
    list.unwrap_or_default().to_vec()
}
