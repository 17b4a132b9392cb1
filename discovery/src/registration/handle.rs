//! A server's handle on its registration.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep_until;

use super::address::Machine;
use super::desk::{Desk, Wish};
use super::keeper::{Keeper, is_up};
use super::registrar::Registrar;
use super::{RegistrationOptions, RegistrationState, RegistrationStatus, ServiceDefinition};
use crate::event::{ErrorClass, SourceError};
use crate::runtime::{Guest, Observer, Runtime};

/// A server's record in a registry, kept there until this is closed or dropped. May be used from any thread.
///
/// It is written, kept alive, read back now and then, and written again whenever it is gone, however long the registry
/// was away. Several registrations of a process, of one service or of many, are independent of each other.
///
/// In a forked child it knows nothing and does nothing: the server is the parent's.
pub struct Registration {
    runtime: Runtime,
    desk: Option<Arc<Desk>>,
    drop_deadline: Duration,
}

impl Registration {
    /// Begins to register, and to keep registered.
    pub(super) fn start<R: Registrar>(
        runtime: &Runtime,
        target: &str,
        registrar: R,
        machine: Machine,
        definition: ServiceDefinition,
        options: RegistrationOptions,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Self, SourceError> {
        definition.check()?;
        let desk = Arc::new(Desk::new(target, &definition, observer));
        let drop_deadline = options.drop_deadline;
        let keeper = Keeper::new(registrar, machine, definition, options, Arc::clone(&desk));
        runtime.spawn(|guest| run(keeper, Arc::clone(&desk), guest))?;
        Ok(Self { runtime: runtime.clone(), desk: Some(desk), drop_deadline })
    }

    /// Where it stands; closed in a forked child.
    pub fn state(&self) -> RegistrationState {
        self.desk().map_or(RegistrationState::Closed, |desk| desk.state())
    }

    /// Where it stands and what was counted. `None` in a forked child.
    pub fn status(&self) -> Option<RegistrationStatus> {
        Some(self.desk()?.status())
    }

    /// Waits until it is in the registry (true), or until it is over or the time is (false).
    pub fn wait_registered(&self, timeout: Duration) -> bool {
        let over = |state: &RegistrationState| *state == RegistrationState::Closed;
        let reached = |desk: &Arc<Desk>| desk.wait(timeout, |state| is_up(state) || over(state));
        self.desk().and_then(reached).is_some_and(|state| is_up(&state))
    }

    /// Waits until it is over (true), or until the time is (false).
    pub fn wait_closed(&self, timeout: Duration) -> bool {
        let over = |state: &RegistrationState| *state == RegistrationState::Closed;
        self.desk().is_none_or(|desk| desk.wait(timeout, over).is_some())
    }

    /// Changes the weight, the metadata, or both, in place: the record keeps its id and its lease. Does nothing once it
    /// is closed, or in a forked child.
    pub fn update(&self, weight: Option<u32>, metadata: Option<BTreeMap<String, String>>) {
        let Some(desk) = self.desk() else { return };
        desk.wish(|wish| {
            wish.weight = weight.unwrap_or(wish.weight);
            if let Some(metadata) = metadata {
                wish.metadata = metadata;
            }
        });
    }

    /// Marks the server as leaving: clients give it no new calls. It stays registered. Doing it twice does no more.
    pub fn drain(&self) {
        if let Some(desk) = self.desk() {
            desk.drain();
        }
    }

    /// Ends it in the right order, in the background: the server is marked as leaving, `drain` goes by (from the
    /// first such mark), the record is taken away, which may take as long as `deadline`. Doing it twice makes the
    /// earlier of both ends count. [`Registration::wait_closed`] waits for it.
    pub fn begin_close(&self, drain: Duration, deadline: Duration) {
        if let Some(desk) = self.desk() {
            desk.close(drain, deadline);
        }
    }

    /// As [`Registration::begin_close`], waiting for the end: at most `drain` and `deadline` together, and a little.
    /// True when the record was taken away or was never there; false where the registry could not be asked, which
    /// then forgets it after its time to live.
    pub fn close(&self, drain: Duration, deadline: Duration) -> bool {
        self.begin_close(drain, deadline);
        let limit = drain.saturating_add(deadline).saturating_add(Duration::from_millis(500));
        self.wait_closed(limit) && self.status().is_none_or(|status| status.last_error.is_none())
    }

    /// Nothing in a forked child, where the locks in there may be held for ever.
    fn desk(&self) -> Option<&Arc<Desk>> {
        self.desk.as_ref().filter(|_| self.runtime.is_home())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if !self.runtime.is_home() {
            return std::mem::forget(self.desk.take());
        }
        if self.state() == RegistrationState::Closed {
            return;
        }
        self.begin_close(Duration::ZERO, self.drop_deadline);
        if !self.runtime.is_its_thread() {
            self.wait_closed(self.drop_deadline);
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// The whole life of a registration.
async fn run<R: Registrar>(mut keeper: Keeper<R>, desk: Arc<Desk>, mut guest: Guest) {
    let mut closed = Closed { desk: &desk, is_withdrawn: false };
    let (mut wishes, mut seen) = (desk.wishes(), desk.wishes());
    let until = tokio::select! {
        until = end(&mut wishes, &mut guest) => until,
        () = keeper.serve(&mut seen) => Instant::now(),
    };
    if keeper.withdraw(until).await {
        closed.is_withdrawn = true;
        desk.with(|status| status.last_error = None);
    }
}

/// Waits until the record is to be taken away, and answers until when that must have happened.
async fn end(wishes: &mut watch::Receiver<Wish>, guest: &mut Guest) -> Instant {
    loop {
        let close = wishes.borrow_and_update().close;
        let drained = async {
            match close {
                Some(close) => sleep_until(close.drained.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // The runtime ends, and with it everything.
            until = guest.closing() => return until,
            () = drained => return Instant::now() + close.map(|close| close.deadline).unwrap_or_default(),
            changed = wishes.changed() => if changed.is_err() {
                std::future::pending::<()>().await;
            },
        }
    }
}

/// Says that it is over, however it ends.
struct Closed<'a> {
    desk: &'a Desk,
    is_withdrawn: bool,
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        let is_withdrawn = self.is_withdrawn;
        self.desk.with(|status| {
            status.state = RegistrationState::Closed;
            if !is_withdrawn {
                let text = "it ended before its record was taken away";
                status.last_error.get_or_insert_with(|| SourceError::new(ErrorClass::Timeout, text));
            }
        });
    }
}

#[cfg(test)]
#[path = "handle_tests.rs"]
mod tests;
