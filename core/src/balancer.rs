//! The role of those who call: pick, begin, finish. Any number of threads, nothing but atomics.

use crate::handle::{BeginError, Handle, RawTicket, Stale, Ticket};
use crate::layout::{CALL_LIMIT, ClaimError, HEAD_WORDS, Layout, Limits, SEEDS, STATE};
use crate::pick::cursor::sealed::Draws;
use crate::pick::cursor::{Cursor, PickCursor};
use crate::pick::{Draw, Pick, Start};
use crate::publish::state_word::{self, Seen, Sound};
use crate::publish::table::Look;
use crate::slot::counters::{Counters, Outcome};
use crate::slot::{Slot, attention, counters, gate};
use crate::sync::{AtomicU32, Ordering::Relaxed};
use core::ops::Deref;

/// How often `start` picks again when it meets an endpoint that has just left.
const MAX_PICKS: u32 = 4;

/// Picks endpoints and keeps account of calls. Copy it to every thread; it works over `&'a`, `&'static` and
/// `Arc<[AtomicU32]>` memory alike.
///
/// No method locks, allocates or waits. A pick writes nothing shared (the cursor is the caller's).
#[derive(Clone, Copy, Debug)]
pub struct Balancer<S> {
    words: S,
    layout: Layout,
}

/// What finishing a call told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How long the call took, in ticks.
    pub elapsed: u32,
    /// It was the last call of a draining endpoint: wake whoever polls the controller.
    pub wake: bool,
}

impl<S: Deref<Target = [AtomicU32]>> Balancer<S> {
    /// A balancer over memory that a controller has claimed, or will.
    ///
    /// # Errors
    /// [`ClaimError::Limits`] and [`ClaimError::TooSmall`], as for the controller.
    pub fn new(memory: S, limits: &Limits) -> Result<Self, ClaimError> {
        let layout = limits.lay_out(memory.len())?;
        Ok(Self { words: memory, layout })
    }

    pub(crate) const fn over(words: S, layout: Layout) -> Self {
        Self { words, layout }
    }

    /// Whether the controller should be polled, as something was left for it to look at: a call was the last one of a
    /// draining endpoint. [`finish`](Self::finish) says so by itself; ask after a [`begin`](Self::begin) or
    /// [`start`](Self::start) that met an endpoint which had just left, as undoing it can be the last step too.
    pub fn needs_poll(&self) -> bool {
        attention::is_raised(&self.words)
    }

    /// Chooses an endpoint, without beginning a call there.
    #[inline(always)]
    pub fn pick<C: PickCursor>(&self, cursor: &C) -> Pick {
        pick(&self.words, cursor)
    }

    /// One attempt of [`pick`](Self::pick) that is small enough to be inlined without a frame, for a C ABI: answers the
    /// endpoint whose turn it is, in the usual case. Otherwise, [`pick_again`](Self::pick_again) goes on: rows are chosen in
    /// another way, there are none, the cursor has no offset yet, or a table was published in that moment.
    #[inline(always)]
    pub fn pick_in_turn(&self, cursor: &Cursor) -> Option<Handle> {
        pick_in_turn(&self.words, cursor)
    }

    /// Chooses by the step that a cursor took last; by its first one if it took none.
    pub fn pick_again(&self, cursor: &Cursor) -> Pick {
        pick_again(&self.words, cursor)
    }

    /// Begins a call at a handle.
    ///
    /// # Errors
    /// [`BeginError`]: the endpoint has left, or is full.
    pub fn begin(&self, handle: Handle, now: u32) -> Result<Ticket, BeginError> {
        begin(&self.words, &self.layout, handle, now)
    }

    /// Picks and begins, picking again if the endpoint has just left or is full: at most four times, then it
    /// says [`Start::Queue`].
    pub fn start<C: PickCursor>(&self, cursor: &C, now: u32) -> Start {
        for _ in 0..MAX_PICKS {
            let handle = match self.pick(cursor) {
                Pick::Complete(handle) => handle,
                Pick::Queue => return Start::Queue,
                Pick::Fail(reason) => return Start::Fail(reason),
                Pick::Drop => return Start::Drop,
            };
            if let Ok(ticket) = self.begin(handle, now) {
                return Start::Started(ticket);
            }
        }
        Start::Queue
    }

    /// Ends a call.
    pub fn finish(&self, ticket: Ticket, outcome: Outcome, now: u32) -> Finished {
        finish(&self.words, &self.layout, &ticket, outcome, now)
    }

    /// The ticket that [`Ticket::into_raw`] took apart.
    ///
    /// # Errors
    /// [`Stale`] if no such call can be in flight. A raw ticket that was copied and already finished is found
    /// out once its endpoint has no call in flight or has left, not before.
    pub fn ticket(&self, raw: RawTicket) -> Result<Ticket, Stale> {
        let slot = self.slot_of(raw.handle).ok_or(Stale)?;
        if gate::in_flight(slot.gate()) == 0 {
            return Err(Stale);
        }
        Ok(Ticket { handle: raw.handle, start: raw.start, user: raw.user })
    }

    /// The calls of an endpoint so far; `None` if it is no longer there.
    pub fn counters(&self, handle: Handle) -> Option<Counters> {
        let slot = self.slot_of(handle)?;
        Some(counters::read(slot))
    }

    /// The host's own value for an endpoint; `None` if it is no longer there. Only a [`Ticket`] pins it: with a mere handle
    /// the endpoint may leave at any moment.
    pub fn user(&self, handle: Handle) -> Option<u64> {
        let user = self.slot_of(handle)?.user();
        self.slot_of(handle).map(|_| user)
    }

    /// How many tables have been published, modulo 2³¹: it moves whenever picks may change.
    pub fn published(&self) -> u32 {
        self.words.get(STATE).map_or(0, state_word::published)
    }

    /// The limits the memory was laid out for.
    pub const fn limits(&self) -> Limits {
        Limits { endpoints: self.layout.endpoints, schedule: self.layout.schedule_entries }
    }

    fn slot_of(&self, handle: Handle) -> Option<Slot<'_>> {
        let slot = Slot::at(&self.words, &self.layout, handle.slot())?;
        (slot.generation().load(Relaxed) == handle.generation()).then_some(slot)
    }
}

// The bodies below know nothing of the memory's type, so that they exist once, whatever it is.

#[inline(always)]
fn pick<C: PickCursor>(words: &[AtomicU32], cursor: &C) -> Pick {
    let Some(head) = words.first_chunk::<HEAD_WORDS>() else { return Pick::Queue };
    let state = &head[STATE];
    let count = cursor.step(&head[SEEDS]);
    let seen = Seen::now::<Sound>(state);
    match Look::at(words, head, seen.buffer()).find(count, || cursor.key()) {
        Some(handle) if seen.is_unmoved::<Sound>(state) => Pick::Complete(handle),
        _ => pick_drawn(words, Draw { count, key: cursor.key() }),
    }
}

#[inline(always)]
fn pick_in_turn(words: &[AtomicU32], cursor: &Cursor) -> Option<Handle> {
    let head = words.first_chunk::<HEAD_WORDS>()?;
    let count = cursor.step_on()?;
    let seen = Seen::now::<Sound>(&head[STATE]);
    let handle = Look::at(words, head, seen.buffer()).next_in_turn(count)?;
    seen.is_unmoved::<Sound>(&head[STATE]).then_some(handle)
}

#[inline(never)]
fn pick_again(words: &[AtomicU32], cursor: &Cursor) -> Pick {
    let Some(seeds) = words.get(SEEDS) else { return Pick::Queue };
    let draw = cursor.last().unwrap_or_else(|| Draw { count: cursor.step(seeds), key: cursor.key() });
    pick_drawn(words, draw)
}

/// Where one straight attempt did not find an endpoint: there is no row to pick, or publications came in between.
/// Apart, so that nothing of it is in the way of a pick.
#[inline(never)]
fn pick_drawn(words: &[AtomicU32], draw: Draw) -> Pick {
    let Some(head) = words.first_chunk::<HEAD_WORDS>() else { return Pick::Queue };
    let look = |buffer| Look::at(words, head, buffer).pick(draw);
    state_word::read::<Sound, _>(&head[STATE], look).unwrap_or(Pick::Queue)
}

fn begin(words: &[AtomicU32], layout: &Layout, handle: Handle, now: u32) -> Result<Ticket, BeginError> {
    let slot = Slot::at(words, layout, handle.slot()).ok_or(BeginError::Stale)?;
    let limit = words.get(CALL_LIMIT).map_or(0, |limit| limit.load(Relaxed));
    match gate::begin::<gate::Sound>(slot, handle.generation(), limit) {
        Ok(()) => Ok(Ticket { handle, start: now, user: slot.user() }),
        Err(refused) => {
            if refused.last_out {
                attention::raise::<attention::Sound>(words, layout, handle.slot());
            }
            Err(refused.error)
        }
    }
}

fn finish(words: &[AtomicU32], layout: &Layout, ticket: &Ticket, outcome: Outcome, now: u32) -> Finished {
    let elapsed = now.wrapping_sub(ticket.start);
    let Some(slot) = Slot::at(words, layout, ticket.handle.slot()) else {
        return Finished { elapsed, wake: false };
    };
    counters::count(slot, outcome);
    let wake = gate::finish::<gate::Sound>(slot.gate());
    if wake {
        attention::raise::<attention::Sound>(words, layout, ticket.handle.slot());
    }
    Finished { elapsed, wake }
}
