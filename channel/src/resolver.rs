//! The one thread that looks names up, for all channels of a driver. Started by the first lookup.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::engine::Engine;
use crate::lookup::{Answer, Lookup};
use crate::sync::{Condvar, Mutex, lock};

/// A lookup, and the engine that wants its answer if it still exists then.
#[derive(Debug)]
struct Job {
    engine: Weak<Engine>,
    lookup: Arc<Lookup>,
}

/// What the thread and its driver share.
#[derive(Debug)]
struct Desk {
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// The thread is inside a lookup, which cannot be interrupted.
    busy: bool,
    stop: bool,
}

impl Queue {
    /// Jobs of channels that are closed or gone are dropped unrun: each could take the system's resolver
    /// many seconds, for nobody.
    fn next_wanted(&mut self) -> Option<Job> {
        while let Some(job) = self.jobs.pop_front() {
            if job.engine.upgrade().is_some_and(|engine| !engine.shared.is_closed()) {
                return Some(job);
            }
        }
        None
    }
}

/// The thread's owner.
#[derive(Debug)]
pub(crate) struct Resolver {
    desk: Arc<Desk>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Resolver {
    pub(crate) fn new() -> Self {
        let desk = Desk { queue: Mutex::new(Queue::default()), filled: Condvar::new() };
        Self { desk: Arc::new(desk), thread: Mutex::new(None) }
    }

    /// Has a name looked up. Where no thread can be had, that is the answer.
    pub(crate) fn submit(&self, engine: &Arc<Engine>, lookup: Arc<Lookup>) {
        if let Err(error) = self.start() {
            engine.resolved(Answer::Failed(format!("no thread to look names up: {error}")), Instant::now());
            return;
        }
        let mut queue = lock(&self.desk.queue);
        if !queue.stop {
            queue.jobs.push_back(Job { engine: Arc::downgrade(engine), lookup });
            drop(queue);
            self.desk.filled.notify_one();
        }
    }

    fn start(&self) -> io::Result<()> {
        let mut thread = lock(&self.thread);
        if thread.is_none() {
            let desk = Arc::clone(&self.desk);
            *thread = Some(
                std::thread::Builder::new().name("evener-resolver".to_owned()).spawn(move || run(&desk))?,
            );
        }
        Ok(())
    }

    /// Ends the thread and waits for it, unless the system's resolver holds it up: then it ends by
    /// itself when that answers, and its answer is dropped.
    pub(crate) fn stop(&self) {
        let busy = {
            let mut queue = lock(&self.desk.queue);
            queue.stop = true;
            queue.jobs.clear();
            queue.busy
        };
        self.desk.filled.notify_all();
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread.filter(|_| !busy) {
            // A panic in a lookup was printed by its own thread; nothing more is to be done about it.
            let _ = thread.join();
        }
    }
}

fn run(desk: &Desk) {
    // The system's resolver writes to name servers, over TCP where an answer is long.
    evener_discovery::signals::block_broken_pipes();
    while let Some(job) = next(desk) {
        let answer = job.lookup.run();
        let stopped = {
            let mut queue = lock(&desk.queue);
            queue.busy = false;
            queue.stop
        };
        let engine = job.engine.upgrade().filter(|_| !stopped);
        if let Some(engine) = engine {
            engine.resolved(answer, Instant::now());
        }
    }
}

fn next(desk: &Desk) -> Option<Job> {
    let mut queue = lock(&desk.queue);
    loop {
        if queue.stop {
            return None;
        }
        if let Some(job) = queue.next_wanted() {
            queue.busy = true;
            return Some(job);
        }
        queue = desk.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::options::ChannelOptions;
    use crate::setup::set_up;
    use crate::signal::Signal;

    fn engine() -> Arc<Engine> {
        let setup = set_up("static:///127.0.0.1:1", ChannelOptions::default()).expect("valid");
        Arc::new(Engine::new(setup, Arc::new(Signal::new().expect("descriptors")), Instant::now()))
    }

    #[test]
    fn nothing_is_looked_up_for_channels_that_are_closed_or_gone() {
        let lookup = Arc::new(Lookup::file("user-service".to_owned(), "no-such-file".into()));
        let (open, closed) = (engine(), engine());
        closed.close();
        let mut queue = Queue::default();
        for engine in [Weak::new(), Arc::downgrade(&closed), Arc::downgrade(&open)] {
            queue.jobs.push_back(Job { engine, lookup: Arc::clone(&lookup) });
        }
        let wanted = queue.next_wanted().and_then(|job| job.engine.upgrade());
        assert!(wanted.is_some_and(|engine| Arc::ptr_eq(&engine, &open)));
        assert!(queue.next_wanted().is_none());
    }
}
