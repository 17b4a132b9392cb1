//! What the loop that registers for ever asks of each registry's adapter.

use std::future::Future;
use std::time::Duration;

use super::ServiceDefinition;
use crate::event::SourceError;

/// What is to be in the registry now.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The instance; `id` and `host` are always there.
    pub definition: ServiceDefinition,
    /// It is about to leave: it is to be marked so that new calls go elsewhere (weight 0, maintenance).
    pub draining: bool,
}

impl Record {
    /// What tells the instance from the service's others.
    pub fn id(&self) -> &str {
        self.definition.id.as_deref().unwrap_or_default()
    }

    /// The host name or IP address that clients dial.
    pub fn host(&self) -> &str {
        self.definition.host.as_deref().unwrap_or_default()
    }

    /// `HOST:PORT`, an IPv6 address in brackets.
    pub fn address(&self) -> String {
        let (host, port) = (self.host(), self.definition.port);
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// The weight that clients are to see: none while it drains.
    pub const fn weight(&self) -> u32 {
        if self.draining { 0 } else { self.definition.weight }
    }
}

/// What a [`Registrar`] has put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// After how long without a [`Registrar::beat`] the registry drops it: beats come every third of that. It may be
    /// longer than what was asked for. `None` where nothing has to be kept alive.
    pub ttl: Option<Duration>,
}

/// What the registry answers to a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// It knows the registration.
    Alive,
    /// It does not: it has expired, or the registry has lost its data. It is published again at once.
    Gone,
}

/// What the registry holds of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// What was published.
    Intact,
    /// Nothing, or something else, and why that was noticed. It is published again.
    Damaged(String),
}

/// One instance in one registry. The loop of [`Registration`](super::Registration) calls its functions one at a time.
///
/// Each future may be dropped before it ends, and the next function is called then: none of them may leave `self`
/// unusable. Each has at most [`Registrar::patience`] to end.
pub trait Registrar: Send + 'static {
    /// The registry's host and port, as far as this machine's address on the way there is to be found.
    fn registry(&self) -> Option<(String, u16)>;

    /// What of a definition has no effect in this registry, if anything: a sentence for people.
    fn remark(&self, _definition: &ServiceDefinition) -> Option<String> {
        None
    }

    /// How long one of the requests below may take: 10 s. It is less where a sign of life would come too late.
    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// Puts the record there: anew, or in place of what an earlier call has put there. Where that is still alive its
    /// lease and id stay as they are. A record of the same id by another owner is an error, not overwritten. Its answer
    /// counts as a sign of life: the registry has to be asked even where nothing has changed.
    fn publish(&mut self, record: &Record) -> impl Future<Output = Result<Published, SourceError>> + Send;

    /// Gives one sign of life. An error says that the registry could not be asked; it is tried again soon, and once
    /// the time to live is over the record is published anew.
    fn beat(&mut self) -> impl Future<Output = Result<Beat, SourceError>> + Send;

    /// Reads back what the registry holds and compares it with the record (and its lease, its owner).
    fn verify(&mut self, record: &Record) -> impl Future<Output = Result<Finding, SourceError>> + Send;

    /// Takes the record away, and whatever a [`Registrar::publish`] that was cut short may have left. What is not
    /// there is no error.
    fn withdraw(&mut self) -> impl Future<Output = Result<(), SourceError>> + Send;
}
