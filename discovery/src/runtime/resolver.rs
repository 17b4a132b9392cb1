//! Resolvers of the application's own, for schemes of its own.

use crate::backend::Feed;
use crate::event::{ErrorClass, Event, Part, SourceError};
use crate::model::Endpoint;
use crate::target::CustomTarget;

/// Resolves the targets of one scheme.
///
/// Both functions are called on the runtime's thread, which all watches share: they must not block. A panic in them
/// is caught and told as an error of the target.
pub trait Resolver: Send + Sync + 'static {
    /// Begins to resolve a target. What becomes known is pushed into `sink`, from any thread, at once or at any time
    /// until what this answers is dropped.
    ///
    /// # Errors
    /// Why it cannot begin. It is shown, and tried again after a pause that grows.
    fn start(&self, target: &CustomTarget, sink: ResolverSink) -> Result<Box<dyn Resolving>, String>;
}

/// A target that is being resolved. Dropping it ends that, on the runtime's thread.
pub trait Resolving: Send {
    /// Somebody has reason to think that what was pushed last is out of date: a connection was lost, say. A resolver
    /// that is told about changes need not do anything. Called once a second at most.
    fn resolve_now(&mut self) {}
}

/// For resolvers with nothing to end.
impl Resolving for () {}

/// Where a resolver says what it knows. A cheap handle, to clone and to use from any thread; nothing here blocks.
/// After the target is no longer resolved, what is said is dropped.
#[derive(Clone, Debug)]
pub struct ResolverSink {
    feed: Feed,
}

impl ResolverSink {
    pub(crate) const fn new(feed: Feed) -> Self {
        Self { feed }
    }

    /// All the endpoints there are, as of now. None at all means that there is none, which is another thing than not
    /// to know: see [`ResolverSink::fail`]. Endpoints without an address are left out, and counted as skipped.
    pub fn push(&self, endpoints: Vec<Endpoint>) {
        let given = endpoints.len();
        let endpoints: Vec<Endpoint> =
            endpoints.into_iter().filter(|endpoint| !endpoint.addresses.is_empty()).collect();
        let skipped = given - endpoints.len();
        if skipped > 0 {
            let example = "an endpoint has no address".to_owned();
            self.feed.send(Event::Skipped { count: skipped as u64, example });
        }
        let parts = vec![Part { key: String::new(), endpoints }];
        self.feed.send(Event::Reset { parts, revision: None });
    }

    /// The endpoints cannot be found out now, and why, for people. What was pushed before stays in use.
    pub fn fail(&self, message: impl AsRef<str>) {
        self.feed.send(Event::Failed(SourceError::new(ErrorClass::Protocol, message)));
    }

    /// A service config (gRPC's JSON) that goes with the endpoints, or `None` for none any more. It is checked by
    /// whoever uses it: one that is wrong is refused there, and the one before stays.
    pub fn service_config(&self, json: Option<String>) {
        self.feed.send(Event::ServiceConfig(json));
    }
}
