//! The task of one watch: what its backend says goes into the pipeline, what comes out of that to the observers.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use super::NEVER;
use super::model::Model;
use super::shared::{Companion, Shared};
use super::thread::Inner;
use crate::backend::{Feed, Opener};
use crate::dice::Dice;
use crate::event::{ErrorClass, SourceError};

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
        if restart_at.take_if(|at| *at <= now).is_some() {
            match shared.open() {
                Ok(opener) => backend = Backend::start(opener),
                // It could be made before, so what is in the way now may go again.
                Err(error) => {
                    shared.with(|model| model.failed(error, now));
                    restart_at = Some(now + dice.around(RESTART_AFTER, 33));
                }
            }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::shared::Open;
    use super::super::{Runtime, Subscription, WatchOptions, Woken};
    use super::*;
    use crate::backend::Running;
    use crate::event::{Event, Part};
    use crate::pipeline::Pipeline;

    const LIMIT: Duration = Duration::from_secs(60);

    fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
        let until = Instant::now() + LIMIT;
        while !condition() {
            assert!(Instant::now() < until, "{what} did not happen within {LIMIT:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn one_endpoint() -> Event {
        let endpoints = vec!["10.0.0.1:1".parse().unwrap()];
        Event::Reset { parts: vec![Part { key: String::new(), endpoints }], revision: None }
    }

    /// Panics at its first start, cannot be made the second time, and works from then on.
    fn faulty(starts: &Arc<AtomicUsize>) -> Open<Event> {
        let starts = Arc::clone(starts);
        Box::new(move || {
            let start = starts.fetch_add(1, Ordering::SeqCst);
            if start == 1 {
                return Err(SourceError::new(ErrorClass::Config, "the environment is being changed"));
            }
            let opener = move |feed: Feed| -> Running {
                assert!(start > 0, "a backend's own mistake");
                Box::pin(async move {
                    feed.send(one_endpoint());
                    std::future::pending().await
                })
            };
            Ok(Box::new(opener) as Opener)
        })
    }

    fn subscribe(runtime: &Runtime, starts: &Arc<AtomicUsize>) -> Subscription<Pipeline> {
        let options = WatchOptions::default();
        let pipeline = Pipeline::new(options.pipeline.clone(), Instant::now());
        let woken = Arc::new(Woken::new());
        let text = "test:///faulty".to_owned();
        runtime.share(text, options, pipeline, faulty(starts), |_| Ok(None), woken).unwrap()
    }

    #[test]
    fn a_backend_that_panics_is_told_and_begun_again_for_all_who_use_it() {
        let (runtime, starts) = (Runtime::new(), Arc::new(AtomicUsize::new(0)));
        let both = [subscribe(&runtime, &starts), subscribe(&runtime, &starts)];
        let last_error = || both[0].status().unwrap().last_error;
        let is_told = |class: ErrorClass, part: &str| {
            last_error().is_some_and(|error| error.class == class && error.message.contains(part))
        };
        eventually("the panic is told", || is_told(ErrorClass::Protocol, "panicked"));
        assert!(both.iter().all(|user| !user.has_ended()));
        eventually("what is in the way is told", || is_told(ErrorClass::Config, "being changed"));
        let is_published =
            |user: &Subscription<Pipeline>| user.latest().is_some_and(|latest| latest.endpoints.len() == 1);
        eventually("both have the list", || both.iter().all(is_published));
        assert_eq!(starts.load(Ordering::SeqCst), 3);
    }
}
