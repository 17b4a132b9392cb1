//! How a registration is to be kept.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::credentials::Credentials;

/// How a registration is to be kept. Every field has a default.
#[derive(Clone, Debug)]
pub struct RegistrationOptions {
    /// What the registry is asked with.
    pub credentials: Credentials,
    /// When the server is ready to be found.
    pub ready: Ready,
    /// How often the registry is asked what it holds of this registration, to repair what is wrong: 30 s, varied by
    /// 10 %. At least one second.
    pub verify_interval: Duration,
    /// How long dropping a registration waits for it to be taken away: 2 s.
    pub drop_deadline: Duration,
    /// Makes jitter repeatable. `None` is a random seed.
    pub seed: Option<u64>,
}

impl Default for RegistrationOptions {
    fn default() -> Self {
        Self {
            credentials: Credentials::default(),
            ready: Ready::AtOnce,
            verify_interval: Duration::from_secs(30),
            drop_deadline: Duration::from_secs(2),
            seed: None,
        }
    }
}

/// A function that says whether the server can take calls, and why not. It may block: it has a thread of
/// its own to run on, and is not called again before it has answered.
pub type ReadyProbe = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// When a server is ready to be found. Until then nothing is registered.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Ready {
    /// At once: whoever registers has made sure of it.
    #[default]
    AtOnce,
    /// As soon as a TCP connection to the address that is registered succeeds. Not where that address leads back here
    /// by a way that does not work from inside (some port mappings of containers).
    Listening,
    /// As soon as a function says so, asked every half second.
    Probe(ReadyProbe),
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtOnce => "AtOnce",
            Self::Listening => "Listening",
            Self::Probe(_) => "Probe(..)",
        })
    }
}
