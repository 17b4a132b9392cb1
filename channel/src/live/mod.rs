//! What of a channel comes from discovery's background thread: the target's endpoints, the fallback's, and the service
//! config.
//!
//! Nothing here does anything by itself. [`Live::asks`] says what is to be watched, a driver has the runtime watch it
//! ([`open`]), and from then on a [`Listener`] marks the engine dirty whenever there is something new, which the next
//! poll reads.

mod config;
mod feeding;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use evener_discovery::config_watch::ConfigWatch;
use evener_discovery::runtime::{Observer, Runtime, Watch, WatchOptions};
use evener_discovery::{ErrorClass, SourceError, Target};
use serde_json::Value;

use crate::engine::Engine;
use crate::shared::Given;

use config::ConfigFeeding;
use feeding::Feeding;
pub(crate) use feeding::Heard;

/// What a channel may watch.
#[derive(Debug, Default)]
pub(crate) struct LiveSetup {
    pub(crate) main: Option<Target>,
    pub(crate) fallback: Option<Target>,
    pub(crate) config: Option<Given>,
    pub(crate) options: WatchOptions,
}

/// One of a channel's watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Main,
    Fallback,
}

/// Something to be watched from now on.
#[derive(Debug)]
pub(crate) enum Ask {
    Endpoints { which: Which, target: Box<Target>, options: Box<WatchOptions> },
    Config { target: Given, options: Box<WatchOptions> },
}

/// What has become of an [`Ask`].
#[derive(Debug)]
pub(crate) enum Opened {
    Endpoints { which: Which, watch: Result<Watch, SourceError>, listener: Arc<Listener> },
    Config { watch: Result<ConfigWatch, SourceError>, listener: Arc<Listener> },
}

/// Has the runtime watch what an engine asks for, and tells the engine.
pub(crate) fn open(ask: Ask, engine: &Arc<Engine>, runtime: &Runtime) {
    let listener = Arc::new(Listener { engine: Arc::downgrade(engine), news: AtomicBool::new(true) });
    let observer = Arc::clone(&listener) as Arc<dyn Observer>;
    let opened = match ask {
        Ask::Endpoints { which, target, options } => {
            Opened::Endpoints { which, watch: runtime.watch(&target, *options, observer), listener }
        }
        Ask::Config { target, options } => {
            Opened::Config { watch: runtime.watch_config(&target.0, *options, Some(observer)), listener }
        }
    };
    engine.opened(opened);
}

/// Marks an engine dirty when one of its watches has something new. There is something from the start: the watch may be
/// somebody else's already.
#[derive(Debug)]
pub(crate) struct Listener {
    engine: Weak<Engine>,
    news: AtomicBool,
}

impl Observer for Listener {
    fn changed(&self) {
        self.news.store(true, Ordering::Release);
        if let Some(engine) = self.engine.upgrade() {
            engine.shared.notify();
        }
    }
}

impl Listener {
    fn take(&self) -> bool {
        self.news.swap(false, Ordering::AcqRel)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Live {
    main: Option<Feeding>,
    fallback: Option<Feeding>,
    config: Option<ConfigFeeding>,
    options: WatchOptions,
}

impl Live {
    pub(crate) fn new(setup: LiveSetup) -> Self {
        Self {
            main: setup.main.map(Feeding::new),
            fallback: setup.fallback.map(Feeding::new),
            config: setup.config.map(ConfigFeeding::new),
            options: setup.options,
        }
    }

    /// The channel is used for the first time.
    pub(crate) fn begin(&mut self) {
        self.main.iter_mut().for_each(Feeding::want);
        self.config.iter_mut().for_each(ConfigFeeding::want);
    }

    /// The main target does not answer. Says whether there is a fallback that was not in use.
    pub(crate) fn begin_fallback(&mut self) -> bool {
        self.fallback.as_mut().is_some_and(|fallback| {
            fallback.want();
            true
        })
    }

    /// The main target has answered: the fallback is never used again.
    pub(crate) fn end_fallback(&mut self) {
        self.fallback = None;
    }

    /// The application has a list of its own: no endpoints are watched any more.
    pub(crate) fn stop(&mut self) {
        self.main = None;
        self.fallback = None;
    }

    /// The channel is closed: nothing is.
    pub(crate) fn close(&mut self) {
        self.stop();
        self.config = None;
    }

    /// What is to be watched from now on.
    pub(crate) fn asks(&mut self) -> impl Iterator<Item = Ask> {
        let endpoints = [(Which::Main, &mut self.main), (Which::Fallback, &mut self.fallback)];
        let endpoints = endpoints.map(|(which, feeding)| {
            let target = feeding.as_mut().and_then(Feeding::ask)?;
            Some(Ask::Endpoints { which, target: Box::new(target), options: Box::new(self.options.clone()) })
        });
        let config = self.config.as_mut().and_then(ConfigFeeding::ask);
        let config = config.map(|target| Ask::Config { target, options: Box::new(self.options.clone()) });
        endpoints.into_iter().flatten().chain(config)
    }

    /// What was asked for is watched, or cannot be. What is no longer wanted is dropped.
    pub(crate) fn opened(&mut self, opened: Opened) {
        match opened {
            Opened::Endpoints { which, watch, listener } => {
                let feeding = match which {
                    Which::Main => &mut self.main,
                    Which::Fallback => &mut self.fallback,
                };
                if let Some(feeding) = feeding {
                    feeding.opened(watch, listener);
                }
            }
            Opened::Config { watch, listener } => {
                if let Some(config) = &mut self.config {
                    config.opened(watch, listener);
                }
            }
        }
    }

    /// What is new of the main target, if anything.
    pub(crate) fn hear_main(&mut self) -> Option<Heard> {
        self.main.as_mut()?.hear()
    }

    /// What is new of the fallback.
    pub(crate) fn hear_fallback(&mut self) -> Option<Heard> {
        self.fallback.as_mut()?.hear()
    }

    /// What the service config's source says, if it is something new.
    pub(crate) fn hear_config(&mut self) -> Option<Result<String, String>> {
        self.config.as_mut()?.hear()
    }

    /// A connection was lost or could not be made.
    pub(crate) fn resolve_now(&self) {
        self.main.iter().chain(&self.fallback).for_each(Feeding::resolve_now);
    }

    pub(crate) const fn has_main(&self) -> bool {
        self.main.is_some()
    }

    pub(crate) const fn has_fallback(&self) -> bool {
        self.fallback.is_some()
    }

    pub(crate) const fn has_config(&self) -> bool {
        self.config.is_some()
    }

    /// Why the main target cannot be asked now.
    pub(crate) fn main_error(&self) -> Option<&SourceError> {
        self.main.as_ref()?.error()
    }

    /// Why the fallback cannot be asked now.
    pub(crate) fn fallback_error(&self) -> Option<&SourceError> {
        self.fallback.as_ref()?.error()
    }

    /// The fallback's name, for people.
    pub(crate) fn fallback_name(&self) -> Option<&str> {
        Some(self.fallback.as_ref()?.name())
    }

    /// The service config's source, for people.
    pub(crate) fn config_name(&self) -> Option<&str> {
        Some(self.config.as_ref()?.name())
    }

    /// What an administrator should be told about the main target's answer.
    pub(crate) fn finding(&self, list: &[evener_discovery::Endpoint]) -> Option<String> {
        match self.main.as_ref()?.target() {
            Target::Dns(target) => evener_discovery::system_dns::finding(target, list),
            _ => None,
        }
    }

    /// The main target's scheme.
    pub(crate) fn kind(&self) -> Option<&str> {
        Some(self.main.as_ref()?.target().scheme())
    }

    /// How each watch is doing; null for what there is not.
    pub(crate) fn describe(&self, now: Instant) -> [Value; 3] {
        let endpoints =
            |feeding: &Option<Feeding>| feeding.as_ref().map_or(Value::Null, |feeding| feeding.describe(now));
        let config = self.config.as_ref().map_or(Value::Null, ConfigFeeding::describe);
        [endpoints(&self.main), endpoints(&self.fallback), config]
    }
}

/// Whether waiting may mend it: what is wrong lies between here and the registry, not in what was asked.
pub(crate) const fn may_pass(error: &SourceError) -> bool {
    matches!(
        error.class,
        ErrorClass::Unreachable | ErrorClass::Timeout | ErrorClass::RateLimited | ErrorClass::Expired
    )
}
