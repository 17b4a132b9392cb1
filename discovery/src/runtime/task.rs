//! The task of one watch: what its backend says goes into the pipeline, what comes out of that to the observers.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use super::model::Model;
use super::shared::{Companion, Shared};
use super::thread::Inner;
use crate::backend::{Feed, Opener};
use crate::dice::Dice;
use crate::event::{ErrorClass, SourceError};

/// Far enough to be never.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// Events that are taken at one look.
const BATCH: usize = 256;
/// From a backend's panic to its next start, varied by a third.
const RESTART_AFTER: Duration = Duration::from_secs(5);

/// Runs until nobody has used the watch for its linger time, or the runtime ends.
pub(super) async fn run<M: Model>(
    shared: Arc<Shared<M>>,
    opener: Opener<M::Event>,
    mut companion: Option<Companion>,
    runtime: Weak<Inner>,
) {
    let _ended = Ended(&shared);
    let mut backend = Backend::start(opener);
    let mut dice = Dice::new(shared.options().seed);
    let (mut poll_at, mut restart_at, mut leave_at) = (None, None, None);
    loop {
        let wake = [poll_at, restart_at, leave_at].into_iter().flatten().min();
        let wake = wake.unwrap_or_else(|| Instant::now() + NEVER);
        tokio::select! {
            biased;
            said = backend.next() => match said {
                Said::Event(event) => {
                    let now = Instant::now();
                    shared.with(|model| {
                        model.handle(event, now);
                        // Whatever came with it is one look for the observers. No more than that: a source that never stops
                        // must not keep everybody else from the model.
                        for _ in 0..BATCH {
                            let Ok(event) = backend.events.try_recv() else { break };
                            model.handle(event, now);
                        }
                    });
                }
                Said::Ended(error) => shared.with(|model| model.failed(error, Instant::now())),
                Said::Panicked(error) => {
                    shared.with(|model| model.failed(error, Instant::now()));
                    restart_at = Some(Instant::now() + dice.around(RESTART_AFTER, 33));
                }
            },
            () = shared.hinted() => {
                backend.hint.notify_one();
                continue;
            }
            () = shared.left() => {
                leave_at = Some(Instant::now() + shared.options().linger);
                continue;
            }
            () = shared.touched() => {}
            () = beside(&mut companion) => {
                companion = None;
                continue;
            }
            () = sleep_until(wake.into()) => {}
        }
        let now = Instant::now();
        if leave_at.take_if(|at| *at <= now).is_some()
            && runtime.upgrade().is_none_or(|runtime| runtime.forget(&shared))
        {
            return;
        }
        if restart_at.take_if(|at| *at <= now).is_some()
            && let Ok(opener) = shared.open()
        {
            backend = Backend::start(opener);
        }
        let (_published, deadline) = shared.poll(now);
        poll_at = deadline;
        shared.tell();
    }
}

async fn beside(companion: &mut Option<Companion>) {
    match companion {
        Some(companion) => companion.await,
        None => std::future::pending().await,
    }
}

/// Says so however the task ends: by itself, or with the runtime.
struct Ended<'a, M: Model>(&'a Shared<M>);

impl<M: Model> Drop for Ended<'_, M> {
    fn drop(&mut self) {
        self.0.set_ended();
        self.0.tell();
    }
}

/// A backend in a task of its own, so that its panic is an error and no end.
struct Backend<E> {
    task: JoinHandle<SourceError>,
    events: mpsc::UnboundedReceiver<E>,
    hint: Arc<Notify>,
    is_over: bool,
}

/// What is heard of a backend.
enum Said<E> {
    Event(E),
    /// Asking again cannot help.
    Ended(SourceError),
    Panicked(SourceError),
}

impl<E: Send + 'static> Backend<E> {
    fn start(opener: Opener<E>) -> Self {
        let (feed, events, hint) = Feed::new();
        // The opener runs in the task as well: it may panic like the rest.
        let task = tokio::spawn(async move { opener(feed).await });
        Self { task, events, hint, is_over: false }
    }

    async fn next(&mut self) -> Said<E> {
        let Self { task, events, is_over, .. } = self;
        let result = tokio::select! {
            biased;
            Some(event) = events.recv() => return Said::Event(event),
            result = task, if !*is_over => result,
            // It is over, and nobody is left who could say anything.
            else => std::future::pending().await,
        };
        *is_over = true;
        match result {
            Ok(error) => Said::Ended(error),
            Err(panic) => {
                let text = format!("the backend panicked: {panic}");
                Said::Panicked(SourceError::new(ErrorClass::Protocol, text))
            }
        }
    }
}

impl<E> Drop for Backend<E> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
