//! What a channel is opened with, read and checked: the target, the options, the service config.

use std::time::Duration;

use crate::choice::Candidate;
use crate::config::Locality;
use crate::options::{ChannelOptions, OpenError};
use crate::resolution::Resolution;
use crate::shared::Given;
use crate::sources::{self, Sources};
use crate::subchannels::check;
use evener_discovery::dice::Dice;
use evener_discovery::target::redact;

/// All an engine needs to know to begin.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) target: Given,
    pub(crate) authority: String,
    pub(crate) control: ControlSetup,
}

/// The part of [`Setup`] that goes behind the mutex.
#[derive(Debug)]
pub(crate) struct ControlSetup {
    pub(crate) sources: Sources,
    pub(crate) resolution: Resolution,
    pub(crate) initial_timeout: Duration,
    /// The application's service config, as it was given.
    pub(crate) config: Option<Candidate>,
    pub(crate) drain_timeout: Duration,
    /// Where this client runs.
    pub(crate) home: Locality,
    pub(crate) dice: Dice,
}

/// Reads what a channel is opened with, where no schemes but the built-in ones are known.
#[cfg(all(test, not(loom)))]
pub(crate) fn set_up(target: &str, options: ChannelOptions) -> Result<Setup, OpenError> {
    set_up_with(target, options, &|_| false)
}

/// Reads what a channel is opened with. `is_custom` tells which schemes the application has a resolver for.
pub(crate) fn set_up_with(
    target: &str,
    options: ChannelOptions,
    is_custom: &dyn Fn(&str) -> bool,
) -> Result<Setup, OpenError> {
    let config = options.service_config.as_deref().map(Candidate::parse);
    let config = config.transpose().map_err(OpenError::Config)?;
    let mut sources = sources::read(target, &options, is_custom)?;
    let authority = options.default_authority.clone().or_else(|| sources.authority.take());
    if let Some(list) = &sources.list {
        check(list).map_err(OpenError::Endpoints)?;
    }
    let mut dice = Dice::new(options.seed);
    let schedule = sources.lookup.as_ref().map(|lookup| lookup.schedule(&options));
    let resolution = Resolution::new(schedule, Dice::new(Some(dice.roll())));
    let control = ControlSetup {
        sources,
        resolution,
        initial_timeout: options.initial_timeout,
        config,
        drain_timeout: options.drain_timeout,
        home: Locality {
            zone: place(options.zone, "EVENER_ZONE"),
            region: place(options.region, "EVENER_REGION"),
        },
        dice,
    };
    // Whoever is called sees it, and so does whoever reads `describe`: a name that is no target may still hold a secret.
    let authority = authority.unwrap_or_else(|| redact(target));
    Ok(Setup { target: Given(target.to_owned()), authority, control })
}

/// A place as the option says, or else the environment; nothing there says nothing.
fn place(option: Option<String>, variable: &str) -> Option<String> {
    option.or_else(|| std::env::var(variable).ok()).filter(|name| !name.is_empty())
}
