//! Starting and finishing calls: the path every call takes, and the longer one a call takes that
//! cannot start.

use std::time::{Duration, Instant};

use evener_core::{FailReason, Handle, Outcome, RawTicket, Start, Ticket};

use crate::engine::Engine;

/// gRPC's status codes that the engine itself answers.
pub(crate) mod code {
    pub(crate) const OK: u32 = 0;
    pub(crate) const CANCELLED: u32 = 1;
    pub(crate) const UNKNOWN: u32 = 2;
    pub(crate) const INVALID_ARGUMENT: u32 = 3;
    pub(crate) const DEADLINE_EXCEEDED: u32 = 4;
    pub(crate) const RESOURCE_EXHAUSTED: u32 = 8;
    pub(crate) const INTERNAL: u32 = 13;
    pub(crate) const UNAVAILABLE: u32 = 14;
    pub(crate) const DATA_LOSS: u32 = 15;
    pub(crate) const UNAUTHENTICATED: u32 = 16;
}

/// The answer to [`Channel::start_call`](crate::Channel::start_call).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a started call must be finished, a waiting one started again"]
pub enum StartCall {
    /// Send the call to the ticket's endpoint, and finish it.
    Started(CallTicket),
    /// No endpoint yet: start again when the epoch has moved, or give up at the call's deadline.
    Wait {
        /// The epoch to wait for the end of: [`Channel::wait`](crate::Channel::wait),
        /// [`Channel::epoch`](crate::Channel::epoch).
        epoch: u64,
    },
    /// The call fails.
    Fail {
        /// gRPC's status code: 14 (UNAVAILABLE), or 1 (CANCELLED) on a closed channel.
        code: u32,
        /// Why, with a reason for each endpoint; at most about 1 KiB.
        message: String,
    },
}

/// A call that runs. It keeps its endpoint from being closed until it is given to
/// [`Channel::finish_call`](crate::Channel::finish_call); a ticket that is dropped keeps it for ever.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a started call must be finished, or its endpoint never closes"]
pub struct CallTicket {
    raw: RawCall,
}

impl CallTicket {
    pub(crate) fn new(block: u32, ticket: Ticket) -> Self {
        let raw = ticket.into_raw();
        let raw = RawCall {
            endpoint: raw.user as u32,
            block,
            slot: u32::from(raw.handle.slot()),
            generation: raw.handle.generation(),
            start: raw.start,
        };
        Self { raw }
    }

    /// The endpoint the call was sent to.
    pub const fn endpoint(&self) -> u32 {
        self.raw.endpoint
    }

    /// Which of the channel's balancers it started in.
    #[cfg(all(test, not(loom)))]
    pub(crate) const fn block(&self) -> u32 {
        self.raw.block
    }

    /// The ticket's content, for a host that keeps it in memory of its own.
    pub const fn into_raw(self) -> RawCall {
        self.raw
    }

    /// The ticket whose content was kept. Finishing a made-up or finished one is answered with
    /// `false` where it can be told, and at worst ends another call's count; it is never unsafe.
    pub const fn from_raw(raw: RawCall) -> Self {
        Self { raw }
    }
}

/// The content of a [`CallTicket`], which proves nothing by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawCall {
    /// The endpoint the call was sent to.
    pub endpoint: u32,
    /// Which of the channel's balancers it started in.
    pub block: u32,
    /// The slot there.
    pub slot: u32,
    /// The slot's generation.
    pub generation: u32,
    /// When it began, in the channel's own microseconds (wrapping).
    pub start: u32,
}

impl RawCall {
    fn ticket(self) -> Option<RawTicket> {
        let handle = Handle::new(u16::try_from(self.slot).ok()?, self.generation);
        Some(RawTicket { handle, start: self.start, user: u64::from(self.endpoint) })
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallReport {
    /// gRPC's status code, 0 to 16. Any other number counts as UNKNOWN.
    pub code: u32,
    /// The application dropped the call before its status arrived; `code` then says nothing.
    pub abandoned: bool,
    /// From the start of the call to its status, as the transport measured it.
    pub latency: Duration,
}

/// What a status says about the *endpoint*, whatever it says about the call.
///
/// | status | class | because |
/// |---|---|---|
/// | OK | success | |
/// | INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, UNAUTHENTICATED | success | the server answered, and so would any other |
/// | RESOURCE_EXHAUSTED | rejected | the server, or a quota, asks for less |
/// | CANCELLED | cancelled | the caller's choice |
/// | DEADLINE_EXCEEDED | timed out | too slow, or dead: it must not look fast |
/// | UNAVAILABLE, INTERNAL, UNKNOWN, DATA_LOSS, and numbers gRPC does not have | failure | the connection broke, or the server did (an exception in a handler is UNKNOWN) |
///
/// A call abandoned by the application is its own class, whatever its code.
pub const fn outcome_of(code: u32, abandoned: bool) -> Outcome {
    if abandoned {
        return Outcome::Abandoned;
    }
    match code {
        code::CANCELLED => Outcome::Cancelled,
        code::DEADLINE_EXCEEDED => Outcome::TimedOut,
        code::RESOURCE_EXHAUSTED => Outcome::Rejected,
        code::UNKNOWN | code::INTERNAL | code::UNAVAILABLE | code::DATA_LOSS => Outcome::Failure,
        code::OK | code::INVALID_ARGUMENT..=code::UNAUTHENTICATED => Outcome::Success,
        _ => Outcome::Failure,
    }
}

impl Engine {
    /// The path of nearly every call: two loads, the clock, a pick, a begin. No lock, no allocation.
    ///
    /// The cursor is the channel's one [`SharedCursor`](evener_core::SharedCursor). It costs one
    /// locked add (about 10 ns alone, 50 ns contended), far below 1 % of any call, and in return the
    /// channel's calls follow one exact order whichever threads they come from: 3:2:1 is 3:2:1 for
    /// the channel, not per thread. It outlives every change of the list and every growth.
    pub(crate) fn start_call(&self, method: &str, wait_for_ready: Option<bool>, now: Instant) -> StartCall {
        match self.try_start_call(now) {
            Some(ticket) => StartCall::Started(ticket),
            None => self.start_or_explain(method, wait_for_ready, now),
        }
    }

    /// That path alone: `None` is to be followed by [`Engine::start_call`], which says why.
    #[inline]
    pub(crate) fn try_start_call(&self, now: Instant) -> Option<CallTicket> {
        let block = self.shared.blocks.current();
        match self.shared.blocks.start(block, &self.shared.cursor, self.shared.clock.tick(now)) {
            Some(Start::Started(ticket)) => Some(CallTicket::new(block, ticket)),
            _ => None,
        }
    }

    /// Tries again, now as a caller that may wait: first the epoch, then the look.
    #[cold]
    fn start_or_explain(&self, method: &str, wait_for_ready: Option<bool>, now: Instant) -> StartCall {
        let epoch = self.shared.waiters.announce();
        loop {
            let block = self.shared.blocks.current();
            if let Some(answer) = self.answer(block, method, wait_for_ready, epoch, now) {
                return answer;
            }
        }
    }

    /// What a block answers to a call; `None` if a larger one took over meanwhile, whose answer counts.
    /// That happens 12 times at most.
    pub(crate) fn answer(
        &self,
        block: u32,
        method: &str,
        wait_for_ready: Option<bool>,
        epoch: u64,
        now: Instant,
    ) -> Option<StartCall> {
        let shared = &self.shared;
        let start = shared.blocks.start(block, &shared.cursor, shared.clock.tick(now));
        if let Some(Start::Started(ticket)) = start {
            return Some(StartCall::Started(CallTicket::new(block, ticket)));
        }
        if shared.blocks.needs_poll(block) {
            shared.notify(); // A begin that was undone may have been the last call of a leaving endpoint.
        }
        if shared.blocks.current() != block {
            return None;
        }
        Some(match start {
            Some(Start::Fail(reason)) => self.fail_or_wait(Some(reason), method, wait_for_ready, epoch),
            Some(Start::Drop) => dropped(),
            None if shared.is_closed() || shared.has_failed() => {
                self.fail_or_wait(None, method, wait_for_ready, epoch)
            }
            _ => {
                shared.leave_idle();
                StartCall::Wait { epoch }
            }
        })
    }

    /// TRANSIENT_FAILURE: fail, with the reasons, or wait if that was asked for.
    fn fail_or_wait(
        &self,
        reason: Option<FailReason>,
        method: &str,
        wait_for_ready: Option<bool>,
        epoch: u64,
    ) -> StartCall {
        if self.shared.is_closed() {
            return StartCall::Fail { code: code::CANCELLED, message: "channel is closed".to_owned() };
        }
        let configured = || self.shared.config.load().method(method).wait_for_ready;
        if wait_for_ready.or_else(configured).unwrap_or(false) {
            return StartCall::Wait { epoch };
        }
        StartCall::Fail { code: code::UNAVAILABLE, message: self.failure(reason) }
    }

    /// Ends a call's count, in the block it started in. Takes no lock; the driver is told when it was
    /// the last call of an endpoint that is to close.
    pub(crate) fn finish_call(&self, call: CallTicket, report: CallReport, now: Instant) -> bool {
        let raw = call.into_raw();
        let outcome = outcome_of(report.code, report.abandoned);
        let Some(ticket) = raw.ticket() else {
            return false;
        };
        let Some(finished) =
            self.shared.blocks.finish(raw.block, ticket, outcome, self.shared.clock.tick(now))
        else {
            return false;
        };
        if finished.wake {
            self.shared.notify();
        }
        true
    }
}

fn dropped() -> StartCall {
    StartCall::Fail { code: code::UNAVAILABLE, message: "the call was dropped by the balancer".to_owned() }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_class() {
        let class = |code| outcome_of(code, false);
        for code in [0, 3, 5, 6, 7, 9, 10, 11, 12, 16] {
            assert_eq!(class(code), Outcome::Success, "{code}");
        }
        for code in [2, 13, 14, 15, 17, u32::MAX] {
            assert_eq!(class(code), Outcome::Failure, "{code}");
        }
        assert_eq!(class(1), Outcome::Cancelled);
        assert_eq!(class(4), Outcome::TimedOut);
        assert_eq!(class(8), Outcome::Rejected);
        for code in 0..20 {
            assert_eq!(outcome_of(code, true), Outcome::Abandoned);
        }
    }

    #[test]
    fn a_ticket_survives_being_kept_as_numbers() {
        let raw = RawCall { endpoint: 7, block: 1, slot: 3, generation: 9, start: 11 };
        assert_eq!(CallTicket::from_raw(raw).into_raw(), raw);
        assert!(RawCall { slot: 65_536, ..raw }.ticket().is_none(), "no such slot can be");
    }
}
