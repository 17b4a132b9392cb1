//! Picking, starting and finishing calls: any thread, no waiting.

use evener_core::{BeginError, Cursor, Handle, Outcome, Pick, RawTicket, Start, Ticket};

use super::cursor::evener_cursor;
use super::objects::evener_balancer;
use crate::boundary::{self, Answer, Out};
use crate::evener_status::{self, *};

/// Where a call may go: a slot, and which endpoint in it. Plain data; copy it freely. It proves nothing: the endpoint may be
/// gone by the time it is used, and then the answer is `EVENER_STALE`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_handle {
    /// Number of the slot, below `evener_limits.endpoints`.
    pub slot: u32,
    /// How often the slot was given to an endpoint; never 0 in a handle that the library gave.
    pub generation: u32,
}

impl evener_handle {
    pub(super) fn new(handle: Handle) -> Self {
        Self { slot: u32::from(handle.slot()), generation: handle.generation() }
    }

    /// A slot number that no balancer has becomes one that none has either.
    pub(super) fn parse(self) -> Handle {
        Handle::new(u16::try_from(self.slot).unwrap_or(u16::MAX), self.generation)
    }
}

/// A call under way. The caller's memory; zero it or leave it as it is before starting. It pins its endpoint: neither slot nor `user`
/// changes hands before evener_finish has taken it, exactly once. Do not copy it, and do not change it: a ticket made up by hand that
/// names a live endpoint cannot be told from a real one, and spoils that endpoint's counts (never memory).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_ticket {
    /// The slot the call runs in.
    pub slot: u32,
    /// Which endpoint in that slot.
    pub generation: u32,
    /// When the call began, in ticks.
    pub start: u32,
    /// The library's.
    pub mark: u32,
    /// The application's own value of the endpoint: stays valid until the ticket is finished.
    pub user: u64,
}

/// The core's balancer behind a pointer, or leave with the status.
macro_rules! of {
    ($pointer:expr) => {{
        let balancer: &evener_balancer = live!($pointer);
        balancer.core()
    }};
}

/// Tells a ticket that is open from memory that never held one, and from another balancer's: odd, so that mixed with the address of
/// a balancer, which is even, it is never 0.
const OPEN: u32 = 0x6576_746B;

#[inline(always)]
fn mark(balancer: *const evener_balancer) -> u32 {
    OPEN ^ balancer.addr() as u32
}

impl evener_ticket {
    const EMPTY: Self = Self { slot: 0, generation: 0, start: 0, mark: 0, user: 0 };

    fn new(ticket: Ticket, balancer: *const evener_balancer) -> Self {
        let RawTicket { handle, start, user, .. } = ticket.into_raw();
        let evener_handle { slot, generation } = evener_handle::new(handle);
        Self { slot, generation, start, mark: mark(balancer), user }
    }

    fn parse(&self, balancer: *const evener_balancer) -> Result<RawTicket, evener_status> {
        if self.mark != mark(balancer) {
            return Err(EVENER_STALE);
        }
        let handle = evener_handle { slot: self.slot, generation: self.generation }.parse();
        Ok(RawTicket { handle, start: self.start, user: self.user })
    }
}

/// How a call ended.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum evener_outcome {
    /// The endpoint answered as it should.
    EVENER_OUTCOME_SUCCESS = 0,
    /// The endpoint failed, or the connection did.
    EVENER_OUTCOME_FAILURE = 1,
    /// The endpoint turned the call away without working on it.
    EVENER_OUTCOME_REJECTED = 2,
    /// The caller cancelled it.
    EVENER_OUTCOME_CANCELLED = 3,
    /// Its deadline passed.
    EVENER_OUTCOME_TIMED_OUT = 4,
    /// Nobody waited for its end.
    EVENER_OUTCOME_ABANDONED = 5,
}

/// Why a call is to fail (`EVENER_FAIL`).
#[repr(u32)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum evener_fail_reason {
    /// The last update had no endpoints.
    EVENER_FAIL_NO_ENDPOINTS = 1,
    /// Every connection is failing.
    EVENER_FAIL_ALL_FAILING = 2,
    /// Connections are there, but no endpoint serves.
    EVENER_FAIL_NOT_SERVING = 3,
}

/// What finishing a call tells.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_finished {
    /// Ticks since the call began.
    pub elapsed: u32,
    /// 1: have evener_controller_poll called soon, something waits for it (an endpoint has drained); else 0.
    pub wake: u32,
}

/// What has happened at one endpoint. The first four wrap at 2^32; add differences up.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_counters {
    /// Calls that succeeded.
    pub ok: u32,
    /// Calls that failed or timed out.
    pub failed: u32,
    /// Calls that the endpoint turned away.
    pub rejected: u32,
    /// Calls that were cancelled or abandoned.
    pub other: u32,
    /// Calls under way.
    pub in_flight: u32,
}

/// Chooses an endpoint, and starts nothing: for callers that keep no count of calls. `EVENER_OK` writes `*handle`,
/// `EVENER_FAIL` writes an evener_fail_reason to `*reason` (which may be null); also `EVENER_QUEUE` and `EVENER_DROP`.
///
/// Any thread; may be called from an interrupt handler. Never waits; its time does not depend on the number of endpoints
/// nor on what the controller does.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_pick(
    balancer: *const evener_balancer,
    cursor: *mut evener_cursor,
    handle: *mut evener_handle,
    reason: *mut u32,
) -> evener_status {
    // The usual case first, with all checks in one go: no call, so hardly a frame, and nothing that can panic (bare/no_panic.sh
    // shows it), so nothing to catch. Whatever else goes on in a function of its own, at the very end.
    let given = usual!(balancer, cursor.cast::<Cursor>().cast_const(), handle);
    let Some((live, position, out)) = given else { return pick_with_care(balancer, cursor, handle, reason) };
    let Some(found) = live.core().pick_in_turn(position) else {
        return pick_again(live, position, handle, reason);
    };
    out.write(evener_handle::new(found));
    EVENER_OK
}

/// Says what is wrong with the arguments.
#[cold]
#[inline(never)]
extern "C" fn pick_with_care(
    balancer: *const evener_balancer,
    cursor: *mut evener_cursor,
    handle: *mut evener_handle,
    reason: *mut u32,
) -> evener_status {
    boundary::guard(|| {
        let (out, reason) = (out!(handle), out!(optional reason));
        let cursor = shared!(cursor.cast::<Cursor>().cast_const());
        tell(of!(balancer).pick_again(cursor), out, reason)
    })
}

/// Goes on where the usual case was not one.
#[inline(never)]
extern "C" fn pick_again(
    balancer: &evener_balancer,
    cursor: &Cursor,
    handle: *mut evener_handle,
    reason: *mut u32,
) -> evener_status {
    boundary::guard(|| {
        let (out, reason) = (out!(handle), out!(optional reason));
        tell(balancer.core().pick_again(cursor), out, reason)
    })
}

#[inline(always)]
fn tell(pick: Pick, out: Out<evener_handle>, reason: Option<Out<u32>>) -> Answer {
    match pick {
        Pick::Complete(handle) => out.write(evener_handle::new(handle)),
        Pick::Queue => return Ok(EVENER_QUEUE),
        Pick::Fail(why) => return fail(reason, why as u32),
        Pick::Drop => return Ok(EVENER_DROP),
    }
    Ok(EVENER_OK)
}

/// Begins a call at the endpoint of a handle, at `now` ticks, and writes `*ticket`.
///
/// Any thread; may be called from an interrupt handler (on targets without compare-and-swap: see the build's `single-core` and
/// `critical-section`). Never waits. The ticket is the caller's and must be finished.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_STALE` (the endpoint drains or is gone: pick again),
/// `EVENER_FULL` (it has as many calls as it may).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_begin(
    balancer: *const evener_balancer,
    handle: evener_handle,
    now: u32,
    ticket: *mut evener_ticket,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(ticket);
        match of!(balancer).begin(handle.parse(), now) {
            Ok(begun) => out.write(evener_ticket::new(begun, balancer)),
            Err(BeginError::Full) => return Err(EVENER_FULL),
            Err(_) => return Err(EVENER_STALE),
        }
        Ok(EVENER_OK)
    })
}

/// Chooses an endpoint and begins a call there, at `now` ticks. `EVENER_OK` writes `*ticket`; otherwise as evener_pick.
///
/// Any thread; may be called from an interrupt handler (as evener_begin). Never waits. The ticket is the caller's and must
/// be finished.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_start(
    balancer: *const evener_balancer,
    cursor: *mut evener_cursor,
    now: u32,
    ticket: *mut evener_ticket,
    reason: *mut u32,
) -> evener_status {
    boundary::guard(|| {
        let (out, reason) = (out!(ticket), out!(optional reason));
        let cursor = shared!(cursor.cast::<Cursor>().cast_const());
        match of!(balancer).start(cursor, now) {
            Start::Started(begun) => out.write(evener_ticket::new(begun, balancer)),
            Start::Queue => return Ok(EVENER_QUEUE),
            Start::Fail(why) => return fail(reason, why as u32),
            Start::Drop => return Ok(EVENER_DROP),
        }
        Ok(EVENER_OK)
    })
}

/// Ends a call at `now` ticks with an evener_outcome, zeroes `*ticket`, and writes `*finished` (which may be null).
///
/// Any thread, not only the one that started it, but one at a time for the same ticket; may be called from an interrupt handler
/// (as evener_begin). Never waits.
/// Errors, with nothing counted and the ticket as it was: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_ARGUMENT` (no such
/// outcome), `EVENER_STALE` (finished before, never started, or of another balancer).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_finish(
    balancer: *const evener_balancer,
    ticket: *mut evener_ticket,
    outcome: u32,
    now: u32,
    finished: *mut evener_finished,
) -> evener_status {
    boundary::guard(|| {
        let (open, out) = (exclusive!(ticket), out!(optional finished));
        let core = of!(balancer);
        let outcome = Outcome::from_number(outcome).ok_or(EVENER_BAD_ARGUMENT)?;
        let given = open.parse(balancer)?;
        let ticket = core.ticket(given).map_err(|_| EVENER_STALE)?;
        *open = evener_ticket::EMPTY;
        let done = core.finish(ticket, outcome, now);
        if let Some(out) = out {
            out.write(evener_finished { elapsed: done.elapsed, wake: u32::from(done.wake) });
        }
        Ok(EVENER_OK)
    })
}

/// Reads an endpoint's counters into `*counters`. They are read one by one while calls go on: each is right, their sum may be
/// of slightly different moments.
///
/// Any thread; may be called from an interrupt handler. Never waits.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_STALE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_counters_read(
    balancer: *const evener_balancer,
    handle: evener_handle,
    counters: *mut evener_counters,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(counters);
        let read = of!(balancer).counters(handle.parse()).ok_or(EVENER_STALE)?;
        let (ok, failed, rejected, other) = (read.ok, read.failed, read.rejected, read.other);
        out.write(evener_counters { ok, failed, rejected, other, in_flight: read.in_flight });
        Ok(EVENER_OK)
    })
}

/// Reads the application's own value of an endpoint into `*user`. Only an open ticket pins the endpoint: with a handle alone it may be closed, and
/// what the value points to freed, at any moment.
///
/// Any thread; may be called from an interrupt handler. Never waits.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_STALE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_user(
    balancer: *const evener_balancer,
    handle: evener_handle,
    user: *mut u64,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(user);
        out.write(of!(balancer).user(handle.parse()).ok_or(EVENER_STALE)?);
        Ok(EVENER_OK)
    })
}

/// Writes to `*count` how many tables the controller has published so far: a caller that waits asks again when it has moved.
///
/// Any thread; may be called from an interrupt handler. Never waits.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_published(
    balancer: *const evener_balancer,
    count: *mut u32,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(count);
        out.write(of!(balancer).published());
        Ok(EVENER_OK)
    })
}

/// Writes to `*needed` 1 if evener_controller_poll should be called, as something was left for it to look at, else 0. evener_finish says so by
/// itself; ask after an evener_begin or evener_start that met an endpoint which had just left.
///
/// Any thread; may be called from an interrupt handler. Never waits.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_needs_poll(
    balancer: *const evener_balancer,
    needed: *mut u32,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(needed);
        out.write(u32::from(of!(balancer).needs_poll()));
        Ok(EVENER_OK)
    })
}

fn fail(reason: Option<Out<u32>>, why: u32) -> Answer {
    if let Some(reason) = reason {
        reason.write(why);
    }
    Ok(EVENER_FAIL)
}
