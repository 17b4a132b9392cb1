//! How any thread tells the driver that a channel wants to be polled.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::PoisonError;
use std::time::Duration;

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex, lock};

/// One flag with two ways to wait for it: a condition variable, and a descriptor that turns readable.
///
/// The flag is cleared *before* channels are inspected. Whoever raises it after that is seen next time.
#[derive(Debug)]
pub(crate) struct Signal {
    pending: AtomicBool,
    shut: AtomicBool,
    lock: Mutex<()>,
    raised: Condvar,
    /// Somebody asked for the descriptor, so it must be written to.
    armed: AtomicBool,
    reader: UnixStream,
    writer: UnixStream,
}

impl Signal {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        Ok(Self {
            pending: AtomicBool::new(false),
            shut: AtomicBool::new(false),
            lock: Mutex::new(()),
            raised: Condvar::new(),
            armed: AtomicBool::new(false),
            reader,
            writer,
        })
    }

    /// Wakes the driver. One write at most between two [`Signal::clear`]s, whoever calls how often.
    pub(crate) fn raise(&self) {
        if self.pending.swap(true, Ordering::AcqRel) {
            return;
        }
        self.wake();
    }

    /// Wakes the driver for good.
    pub(crate) fn shut_down(&self) {
        self.shut.store(true, Ordering::Release);
        self.pending.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        drop(lock(&self.lock));
        self.raised.notify_all();
        if self.armed.load(Ordering::Acquire) {
            self.make_readable();
        }
    }

    /// Makes the descriptor readable. A full pipe is readable already.
    pub(crate) fn make_readable(&self) {
        let _ = (&self.writer).write(&[1]);
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Acquire)
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    pub(crate) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }

    /// Takes the flag; then inspect.
    pub(crate) fn clear(&self) {
        self.pending.swap(false, Ordering::AcqRel);
    }

    /// Makes the descriptor unreadable. Do it before [`Signal::clear`].
    pub(crate) fn drain(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.reader).read(&mut bytes), Ok(read) if read == bytes.len()) {}
    }

    /// The descriptor, from now on written to. Readable at once, as something may wait already.
    pub(crate) fn descriptor(&self) -> RawFd {
        if !self.armed.swap(true, Ordering::AcqRel) {
            self.make_readable();
        }
        self.reader.as_raw_fd()
    }

    /// Blocks until the flag is up, or for so long (`None`: without end).
    pub(crate) fn wait(&self, timeout: Option<Duration>) {
        let guard = lock(&self.lock);
        if self.is_pending() {
            return;
        }
        match timeout {
            Some(timeout) => {
                drop(self.raised.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner))
            }
            None => drop(self.raised.wait(guard).unwrap_or_else(PoisonError::into_inner)),
        }
    }
}
