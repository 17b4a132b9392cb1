//! The adapters over registries' clients: each turns what its client says into [`Event`]s.

#[cfg(feature = "consul")]
pub mod consul;
pub(crate) mod custom;
#[cfg(feature = "dns")]
mod dns;
#[cfg(feature = "etcd")]
pub mod etcd;
mod fixed;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod system;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use crate::event::{ErrorClass, Event, SourceError};
use crate::runtime::WatchOptions;
use crate::target::{StaticTarget, Target};

/// Where a backend reports to: [`Event`]s about endpoints, or another kind of event. A cheap handle.
#[derive(Debug)]
pub struct Feed<E = Event> {
    events: mpsc::UnboundedSender<E>,
    hint: Arc<Notify>,
}

impl<E> Clone for Feed<E> {
    fn clone(&self) -> Self {
        Self { events: self.events.clone(), hint: Arc::clone(&self.hint) }
    }
}

impl<E> Feed<E> {
    /// A feed and its other end. Every [`Notify::notify_one`] of the second asks the backend to look again.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<E>, Arc<Notify>) {
        let (events, receiver) = mpsc::unbounded_channel();
        let hint = Arc::new(Notify::new());
        (Self { events, hint: Arc::clone(&hint) }, receiver, hint)
    }

    /// Hands an event on. Never blocks; after the watch has ended it is dropped.
    pub fn send(&self, event: E) {
        // Whoever watched is gone, and the backend is about to be dropped.
        let _ = self.events.send(event);
    }

    /// Waits until somebody has reason to think that what is known is out of date. Several hints before this is
    /// called count as one.
    pub async fn hinted(&self) {
        self.hint.notified().await;
    }
}

/// What a backend does: reports to its feed for ever. It ends only where asking again cannot help, with the reason;
/// dropping it ends it at any time.
pub type Running = Pin<Box<dyn Future<Output = SourceError> + Send>>;

/// A backend that is ready to begin. It is called, and what it answers is run, on a thread of a tokio runtime.
pub type Opener<E = Event> = Box<dyn FnOnce(Feed<E>) -> Running + Send>;

/// The backend for a target. Nothing is connected, read or looked up yet.
///
/// # Errors
/// The target or an option is wrong, or this build has no such backend ([`ErrorClass::Config`]).
pub fn open(target: &Target, options: &WatchOptions) -> Result<Opener, SourceError> {
    match target {
        Target::Static(StaticTarget::List(endpoints)) => Ok(fixed::open(endpoints.clone())),
        Target::Addresses(target) => Ok(fixed::open(target.endpoints.clone())),
        Target::Static(StaticTarget::Named(name)) => Err(SourceError::new(
            ErrorClass::Config,
            format!("static:///{name}: lists have names only within a channel"),
        )),
        Target::Dns(target) if options.dns.system || cfg!(not(feature = "dns")) => {
            Ok(system::open(target, &options.dns.with(&target.parameters)))
        }
        Target::Custom(target) => Err(SourceError::new(
            ErrorClass::Config,
            format!("no resolver is registered for the scheme {}", target.scheme),
        )),
        #[cfg(feature = "dns")]
        Target::Dns(target) => dns::open(target, options),
        #[cfg(feature = "dns")]
        Target::Srv(target) => dns::open_service(target, options),
        #[cfg(feature = "etcd")]
        Target::Etcd(target) => etcd::open(target, options),
        #[cfg(feature = "consul")]
        Target::Consul(target) => consul::open(target, options),
        #[cfg(feature = "kubernetes")]
        Target::Kubernetes(target) => kubernetes::open(target, options),
        #[allow(unreachable_patterns, reason = "with every feature there is none left")]
        _ => Err(absent(target.scheme())),
    }
}

fn absent(scheme: &str) -> SourceError {
    SourceError::new(ErrorClass::Config, format!("{scheme}: targets are not available in this build"))
}
