//! Deciding: endpoints, states, policy; and what the host is to do about it. One thread at a time.

use core::mem::{align_of, offset_of, size_of};

use evener_core::{Action, Changes, Connectivity, Endpoint, EndpointId, Handle, Health, Policy, UpdateError};

use super::balancer::evener_handle;
use super::limits::check_ticks;
use super::objects::{evener_controller, inside};
use crate::boundary::{self, Answer, Sized32};
use crate::evener_status::{self, *};

/// One server of the list given to evener_controller_update.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_endpoint {
    /// Who it is: 128 bits that the application chooses, or that evener_endpoint_id computes. All else may change during its life.
    pub id: [u64; 2],
    /// The application's own value, a pointer perhaps. Taken when the endpoint is added and held until its `EVENER_ACTION_CLOSE`.
    pub user: u64,
    /// Share of the picks under weighted_round_robin. 0: no picks under any policy, but it stays connected; if all are 0, all count as 1.
    pub weight: u32,
    /// Its tier, 0 being the first: calls go to the first tier that has an endpoint which can take them. A later tier is connected when
    /// all of the ones before it have failed, or after `evener_limits.failover_timeout`. For pick_first it only orders the list.
    pub priority: u32,
}

// The core reads the caller's list where it lies: same fields at the same offsets.
const _: () = {
    assert!(size_of::<evener_endpoint>() == size_of::<Endpoint>());
    assert!(align_of::<evener_endpoint>() == align_of::<Endpoint>());
    assert!(offset_of!(evener_endpoint, id) == offset_of!(Endpoint, id));
    assert!(size_of::<EndpointId>() == 16);
    assert!(offset_of!(evener_endpoint, user) == offset_of!(Endpoint, user));
    assert!(offset_of!(evener_endpoint, weight) == offset_of!(Endpoint, weight));
    assert!(offset_of!(evener_endpoint, priority) == offset_of!(Endpoint, priority));
};

/// What an update changed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_changes {
    /// Endpoints that are new.
    pub added: u32,
    /// Endpoints that are no longer in the list; their calls go on, and a close action comes after the last.
    pub removed: u32,
    /// Endpoints that stayed.
    pub kept: u32,
    /// Endpoints that had been removed, still had calls, and are back.
    pub returned: u32,
}

/// The ways to choose among endpoints.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum evener_policy_kind {
    /// The first endpoint that can be connected gets every call.
    EVENER_POLICY_PICK_FIRST = 1,
    /// One after another.
    EVENER_POLICY_ROUND_ROBIN = 2,
    /// Any, evenly.
    EVENER_POLICY_PICK_RANDOM = 3,
    /// By weight.
    EVENER_POLICY_WEIGHTED_ROUND_ROBIN = 4,
}

/// For pick_first: try the endpoints in random order. In `evener_policy.flags`.
pub const EVENER_POLICY_SHUFFLE: u32 = 1;

/// A policy and its settings. Zero it, set `struct_size`, then set what you need.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_policy {
    /// `sizeof(evener_policy)`.
    pub struct_size: u32,
    /// An evener_policy_kind.
    pub kind: u32,
    /// `EVENER_POLICY_SHUFFLE` or zero.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: repr(C), struct_size first, four u32 without padding.
unsafe impl Sized32 for evener_policy {
    const SIZES: &'static [usize] = &[16];
}

impl evener_policy {
    fn parse(&self) -> Result<Policy, evener_status> {
        const PICK_FIRST: u32 = evener_policy_kind::EVENER_POLICY_PICK_FIRST as u32;
        const ROUND_ROBIN: u32 = evener_policy_kind::EVENER_POLICY_ROUND_ROBIN as u32;
        const PICK_RANDOM: u32 = evener_policy_kind::EVENER_POLICY_PICK_RANDOM as u32;
        const WEIGHTED: u32 = evener_policy_kind::EVENER_POLICY_WEIGHTED_ROUND_ROBIN as u32;
        match (self.kind, self.flags, self.reserved) {
            (PICK_FIRST, 0 | EVENER_POLICY_SHUFFLE, 0) => {
                Ok(Policy::PickFirst { shuffle: self.flags == EVENER_POLICY_SHUFFLE })
            }
            (ROUND_ROBIN, 0, 0) => Ok(Policy::RoundRobin),
            (PICK_RANDOM, 0, 0) => Ok(Policy::PickRandom),
            (WEIGHTED, 0, 0) => Ok(Policy::WeightedRoundRobin),
            _ => Err(EVENER_BAD_ARGUMENT),
        }
    }
}

/// The state of a connection, or of the whole channel; gRPC's numbers.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum evener_connectivity {
    /// Not connected, and nobody tries.
    EVENER_IDLE = 0,
    /// Being connected.
    EVENER_CONNECTING = 1,
    /// Calls may go there.
    EVENER_READY = 2,
    /// Connecting failed; holds until `EVENER_READY`, further attempts notwithstanding.
    EVENER_TRANSIENT_FAILURE = 3,
    /// Gone for good.
    EVENER_SHUTDOWN = 4,
}

/// What a health check says of an endpoint.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum evener_health {
    /// Nothing yet: counts as serving.
    EVENER_HEALTH_UNKNOWN = 0,
    /// Calls may go there.
    EVENER_HEALTH_SERVING = 1,
    /// No calls, the connection stays.
    EVENER_HEALTH_NOT_SERVING = 2,
}

/// What the host is to do (`evener_action.kind`).
#[repr(u32)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum evener_action_kind {
    /// Connect to the endpoint and report its states.
    EVENER_ACTION_CONNECT = 1,
    /// Give up the endpoint's connection; it stays in the list. Its calls may end.
    EVENER_ACTION_DISCONNECT = 2,
    /// Cancel the calls that the endpoint still has: it was removed, and the drain timeout is over.
    EVENER_ACTION_CANCEL_CALLS = 3,
    /// The endpoint is gone and has no calls: close its connection, free what `user` stands for.
    EVENER_ACTION_CLOSE = 4,
    /// After an update that was refused for want of room: there is room again, try it again.
    EVENER_ACTION_ROOM_AGAIN = 5,
    /// Resolve the name again.
    EVENER_ACTION_RERESOLVE = 6,
    /// The state of the whole is now `state`.
    EVENER_ACTION_STATE_CHANGED = 7,
}

/// One thing for the host to do.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_action {
    /// An evener_action_kind; expect, and ignore, kinds that this header does not know.
    pub kind: u32,
    /// The endpoint's slot, for kinds about an endpoint; else 0.
    pub slot: u32,
    /// The endpoint's generation, for kinds about an endpoint; else 0.
    pub generation: u32,
    /// An evener_connectivity for `EVENER_ACTION_STATE_CHANGED`; else 0.
    pub state: u32,
    /// The application's own value of the endpoint; else 0.
    pub user: u64,
}

impl evener_action {
    const fn plain(kind: evener_action_kind) -> Self {
        Self { kind: kind as u32, slot: 0, generation: 0, state: 0, user: 0 }
    }

    fn about(kind: evener_action_kind, handle: Handle, user: u64) -> Self {
        let evener_handle { slot, generation } = evener_handle::new(handle);
        Self { slot, generation, user, ..Self::plain(kind) }
    }

    /// The action as C sees it; `None` for what this ABI has no number for.
    fn new(action: Action) -> Option<Self> {
        use evener_action_kind::*;
        Some(match action {
            Action::Connect { handle, user } => Self::about(EVENER_ACTION_CONNECT, handle, user),
            Action::Disconnect { handle, user } => Self::about(EVENER_ACTION_DISCONNECT, handle, user),
            Action::CancelCalls { handle, user } => Self::about(EVENER_ACTION_CANCEL_CALLS, handle, user),
            Action::Close { handle, user } => Self::about(EVENER_ACTION_CLOSE, handle, user),
            Action::RoomAgain => Self::plain(EVENER_ACTION_ROOM_AGAIN),
            Action::Reresolve => Self::plain(EVENER_ACTION_RERESOLVE),
            Action::StateChanged(state) => {
                Self { state: state as u32, ..Self::plain(EVENER_ACTION_STATE_CHANGED) }
            }
            _ => return None,
        })
    }
}

/// What the controller knows of an endpoint.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_endpoint_status {
    /// An evener_connectivity.
    pub connectivity: u32,
    /// An evener_health.
    pub health: u32,
    /// Its weight, as the last update had it.
    pub weight: u32,
    /// 1: removed, and waiting for its last calls; else 0.
    pub draining: u32,
}

/// Replaces the list of endpoints by `count` others (in any order; of endpoints with the same id the first counts),
/// and writes `*changes` (which may be null). Picks see it after the next evener_controller_poll, which also starts the drain timeouts.
///
/// The list is read during the call only. One thread at a time. An interrupt handler may call it, but is answered `EVENER_BUSY` if
/// it stopped code inside the controller. Takes time in proportion to the endpoints.
/// Errors, with nothing changed: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`,
/// `EVENER_BAD_ARGUMENT` (`count` is larger than any array), `EVENER_FULL` (more endpoints than fit beside those that drain; an
/// `EVENER_ACTION_ROOM_AGAIN` follows if draining makes room).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_controller_update(
    controller: *mut evener_controller,
    endpoints: *const evener_endpoint,
    count: usize,
    changes: *mut evener_changes,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(optional changes);
        let given: &[evener_endpoint] = slice!(endpoints, count);
        inside!(controller, |core| {
            let list: &[Endpoint] = same_layout!(given);
            let done: Changes = core.update(list).map_err(refusal)?;
            let (added, removed, kept, returned) = (done.added, done.removed, done.kept, done.returned);
            if let Some(out) = out {
                out.write(evener_changes { added, removed, kept, returned });
            }
            Ok(EVENER_OK)
        })
    })
}

const fn refusal(error: UpdateError) -> evener_status {
    match error {
        UpdateError::Full { .. } => EVENER_FULL,
        _ => EVENER_BAD_ARGUMENT,
    }
}

/// Sets the policy. Picks see it after the next evener_controller_poll.
///
/// One thread at a time; interrupts as evener_controller_update. Keeps nothing.
/// Errors, with nothing changed: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_BAD_SIZE`, `EVENER_BAD_ARGUMENT` (no such kind or flag),
/// `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_controller_set_policy(
    controller: *mut evener_controller,
    policy: *const evener_policy,
) -> evener_status {
    boundary::guard(|| {
        let given: evener_policy = versioned!(policy);
        let policy = given.parse()?;
        inside!(controller, |core| {
            core.set_policy(policy);
            Ok(EVENER_OK)
        })
    })
}

/// Reports the state of an endpoint's connection, an evener_connectivity. Picks see it after the next evener_controller_poll.
///
/// One thread at a time; interrupts as evener_controller_update.
/// Errors, with nothing changed: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`,
/// `EVENER_BAD_ARGUMENT` (no such state), `EVENER_STALE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_controller_set_connectivity(
    controller: *mut evener_controller,
    handle: evener_handle,
    state: u32,
) -> evener_status {
    boundary::guard(|| {
        inside!(controller, |core| {
            let state = Connectivity::from_number(state).ok_or(EVENER_BAD_ARGUMENT)?;
            core.set_connectivity(handle.parse(), state).map_err(|_| EVENER_STALE)?;
            Ok(EVENER_OK)
        })
    })
}

/// Reports an endpoint's health, an evener_health. Picks see it after the next evener_controller_poll.
///
/// One thread at a time; interrupts as evener_controller_update.
/// Errors, with nothing changed: as evener_controller_set_connectivity.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_controller_set_health(
    controller: *mut evener_controller,
    handle: evener_handle,
    health: u32,
) -> evener_status {
    boundary::guard(|| {
        inside!(controller, |core| {
            let health = Health::from_number(health).ok_or(EVENER_BAD_ARGUMENT)?;
            core.set_health(handle.parse(), health).map_err(|_| EVENER_STALE)?;
            Ok(EVENER_OK)
        })
    })
}

/// Leaves idleness: under pick_first, connects again after the chosen endpoint was lost. Call it when a pick answered `EVENER_QUEUE`
/// while the state of the whole is `EVENER_IDLE`.
///
/// One thread at a time; interrupts as evener_controller_update.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_controller_connect(controller: *mut evener_controller) -> evener_status {
    boundary::guard(|| {
        inside!(controller, |core| {
            core.connect();
            Ok(EVENER_OK)
        })
    })
}

/// Publishes what was changed, and writes the next thing to do to `*action`: `EVENER_OK`, or `EVENER_NONE` when there is nothing
/// left. Call it, until it says so, after every change, when evener_finish says `wake`, and at evener_controller_next_deadline.
///
/// `now`: ticks; they wrap, and two times count as ordered while they are less than 2^31 us (35 minutes) apart.
/// One thread at a time; interrupts as evener_controller_update. Takes time in proportion to the endpoints when something changed.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_controller_poll(
    controller: *mut evener_controller,
    now: u32,
    action: *mut evener_action,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(action);
        inside!(controller, |core| {
            while let Some(action) = core.poll(now) {
                if let Some(action) = evener_action::new(action) {
                    out.write(action);
                    return Ok(EVENER_OK);
                }
            }
            Ok(EVENER_NONE)
        })
    })
}

/// Writes to `*ticks` when evener_controller_poll is to be called again though nothing happens; `EVENER_NONE` if never.
///
/// One thread at a time; interrupts as evener_controller_update.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_controller_next_deadline(
    controller: *mut evener_controller,
    ticks: *mut u32,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(ticks);
        inside!(controller, |core| {
            let Some(deadline) = core.next_deadline() else { return Ok(EVENER_NONE) };
            out.write(deadline);
            Ok(EVENER_OK)
        })
    })
}

/// Writes the state of the whole, an evener_connectivity, to `*state`.
///
/// One thread at a time; interrupts as evener_controller_update.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_controller_state(
    controller: *mut evener_controller,
    state: *mut u32,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(state);
        inside!(controller, |core| {
            out.write(core.connectivity() as u32);
            Ok(EVENER_OK)
        })
    })
}

/// Finds the endpoint whose id is the two words at `id`, and writes its handle to `*handle`; `EVENER_NONE` if there is none.
///
/// One thread at a time; interrupts as evener_controller_update.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_controller_handle(
    controller: *mut evener_controller,
    id: *const u64,
    handle: *mut evener_handle,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(handle);
        let id: &[u64; 2] = shared!(id.cast());
        inside!(controller, |core| {
            let Some(handle) = core.handle(EndpointId::from_raw(u128::from(id[0]) | u128::from(id[1]) << 64))
            else {
                return Ok(EVENER_NONE);
            };
            out.write(evener_handle::new(handle));
            Ok(EVENER_OK)
        })
    })
}

/// Writes what is known of an endpoint to `*status`.
///
/// One thread at a time; interrupts as evener_controller_update.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`, `EVENER_STALE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_controller_endpoint(
    controller: *mut evener_controller,
    handle: evener_handle,
    status: *mut evener_endpoint_status,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(status);
        inside!(controller, |core| {
            let known = core.status(handle.parse()).ok_or(EVENER_STALE)?;
            out.write(evener_endpoint_status {
                connectivity: known.connectivity as u32,
                health: known.health as u32,
                weight: known.weight,
                draining: u32::from(known.draining),
            });
            Ok(EVENER_OK)
        })
    })
}

/// Sets how long calls of removed endpoints may go on, in ticks, at most 2^31 - 1; 0 = for ever. Counts for endpoints that begin to
/// drain from now on.
///
/// One thread at a time; interrupts as evener_controller_update.
/// Errors, with nothing changed: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`,
/// `EVENER_BAD_ARGUMENT` (out of range).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_controller_set_drain_timeout(
    controller: *mut evener_controller,
    ticks: u32,
) -> evener_status {
    boundary::guard(|| {
        check_ticks(ticks)?;
        inside!(controller, |core| {
            core.set_drain_timeout(ticks);
            Ok(EVENER_OK)
        })
    })
}

/// The most addresses that evener_endpoint_id takes.
pub const EVENER_MAX_ADDRESSES: u32 = 16;

/// Computes the id of an endpoint from its addresses, `count` of them (at most `EVENER_MAX_ADDRESSES`; any bytes, in any order; the order does not
/// matter), and writes two words to `id`. `key` is two words, random and secret where addresses come from strangers.
///
/// Any thread; may be called from an interrupt handler. Keeps nothing.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_BAD_ARGUMENT` (too many addresses).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_endpoint_id(
    key: *const u64,
    addresses: *const *const core::ffi::c_char,
    lengths: *const usize,
    count: usize,
    id: *mut u64,
) -> evener_status {
    boundary::guard(|| -> Answer {
        let key: &[u64; 2] = shared!(key.cast());
        let out = out!(id.cast::<[u64; 2]>());
        if count > EVENER_MAX_ADDRESSES as usize {
            return Err(EVENER_BAD_ARGUMENT);
        }
        let (addresses, lengths) = (slice!(addresses, count), slice!(lengths, count));
        let mut list = heapless::Vec::<&[u8], { EVENER_MAX_ADDRESSES as usize }>::new();
        for (address, length) in addresses.iter().zip(lengths) {
            list.push(slice!(address.cast::<u8>(), *length)).map_err(|_| EVENER_BAD_ARGUMENT)?;
        }
        let raw = EndpointId::of_addresses(*key, &list).raw();
        out.write([raw as u64, (raw >> 64) as u64]);
        Ok(EVENER_OK)
    })
}
