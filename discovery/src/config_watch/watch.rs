//! A user's handle on a configuration.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::model::{Config, ConfigStatus};
use super::open;
use super::source::ConfigMap;
use crate::event::SourceError;
use crate::runtime::{Observer, Runtime, Subscription, WatchOptions, Woken};

/// A configuration that is being watched, until this is dropped. May be used from any thread; only
/// [`ConfigWatch::wait`] blocks. In a forked child it knows nothing and does nothing.
pub struct ConfigWatch {
    handle: Subscription<Config>,
    woken: Arc<Woken>,
}

/// Wakes whoever waits, and whoever else wants to be told.
struct Both {
    woken: Arc<Woken>,
    other: Option<Arc<dyn Observer>>,
}

impl Observer for Both {
    fn changed(&self) {
        self.woken.changed();
        if let Some(other) = &self.other {
            other.changed();
        }
    }
}

impl Runtime {
    /// Watches a configuration from now on: `consul:///config/user-service/` or `etcd:///config/user-service/` is
    /// every key below that prefix, the same without the last slash is that one key. Equal watches share one
    /// connection to the registry. `observer`, if there is one, is told whenever there is something new to say.
    ///
    /// # Errors
    /// The target or an option is wrong, the registry is not in this build, the runtime is shut down or belongs to
    /// the process that this one was forked from ([`ErrorClass::Config`](crate::ErrorClass::Config)).
    pub fn watch_config(
        &self,
        target: &str,
        options: WatchOptions,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<ConfigWatch, SourceError> {
        let woken = Arc::new(Woken::new());
        let both = Arc::new(Both { woken: Arc::clone(&woken), other: observer });
        let (text, asked) = (target.to_owned(), options.clone());
        let open = Box::new(move || open::open(&text, &asked));
        let handle = self.share(target.to_owned(), options, Config::default(), open, |_| Ok(None), both)?;
        Ok(ConfigWatch { handle, woken })
    }
}

impl ConfigWatch {
    /// What is known now; `None` until the first answer.
    pub fn latest(&self) -> Option<Arc<ConfigMap>> {
        self.handle.latest()
    }

    /// The first configuration after the one with this epoch (0: the first one there is), waiting for it for so long.
    /// `None` when the time is up, or when there will be none: the target is refused, the runtime has ended, this is
    /// a forked child.
    pub fn wait(&self, after: u64, timeout: Duration) -> Option<Arc<ConfigMap>> {
        let until = Instant::now().checked_add(timeout);
        loop {
            let changes = self.woken.count();
            if let Some(latest) = self.latest().filter(|latest| latest.epoch > after) {
                return Some(latest);
            }
            let left = until
                .map_or(Duration::from_secs(3600), |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() || self.has_ended() {
                return None;
            }
            self.woken.wait_after(changes, left);
        }
    }

    /// How it is doing. `None` in a forked child.
    pub fn status(&self) -> Option<ConfigStatus> {
        self.handle.status()
    }

    /// Asks for another look, soon.
    pub fn resolve_now(&self) {
        self.handle.hint();
    }

    /// Whether there will never be another configuration.
    pub fn has_ended(&self) -> bool {
        self.handle.has_ended() || self.status().is_none_or(|status| Config::is_hopeless(&status))
    }
}

impl fmt::Debug for ConfigWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigWatch").field("target", &self.handle.target()).finish_non_exhaustive()
    }
}
