//! What a channel answers to a call that wants to start.

use crate::fork::Born;
use evener_channel::{CallReport, CallTicket, RawCall};
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

/// Leave to send one call to an endpoint. It is reported once: by `finish`, or as abandoned when it is dropped.
#[pyclass(frozen, module = "evener._native")]
pub(crate) struct Ticket {
    channel: evener_channel::Channel,
    call: RawCall,
    begun: Instant,
    over: AtomicBool,
    born: Born,
}

impl Ticket {
    pub(crate) fn new(channel: evener_channel::Channel, ticket: CallTicket, born: Born) -> Self {
        Self { channel, call: ticket.into_raw(), begun: Instant::now(), over: AtomicBool::new(false), born }
    }

    fn report(&self, code: u32, abandoned: bool) {
        if self.over.swap(true, Relaxed) || self.born.is_inherited() {
            return;
        }
        let report = CallReport { code, abandoned, latency: self.begun.elapsed() };
        self.channel.finish_call(CallTicket::from_raw(self.call), report);
    }
}

#[pymethods]
impl Ticket {
    /// The endpoint's number.
    #[getter]
    const fn endpoint(&self) -> u32 {
        self.call.endpoint
    }

    /// Reports the call's end: its gRPC status, and whether nobody waited for it. A second time does nothing.
    #[pyo3(signature = (code, abandoned=false))]
    fn finish(&self, code: u32, abandoned: bool) {
        self.report(code, abandoned);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        const CANCELLED: u32 = 1;
        self.report(CANCELLED, true);
        if self.born.is_inherited() {
            // Its last reference must not go: the channel's end would wait for locks of the parent's threads.
            std::mem::forget(self.channel.clone());
        }
    }
}

/// Why a call cannot start.
#[pyclass(frozen, get_all, module = "evener._native")]
pub(crate) struct Failure {
    /// A gRPC status.
    code: u32,
    /// What the user is told.
    message: String,
}

impl Failure {
    pub(crate) const fn new(code: u32, message: String) -> Self {
        Self { code, message }
    }
}
