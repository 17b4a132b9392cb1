//! `evener.Balancer`: the core over memory of its own, picking among the caller's own objects.
//!
//! A pick reads the core's table and a Python list, under the interpreter's lock, which every Python method has anyway. The
//! controller is behind a mutex that is never held while Python code could run.

use crate::call::Call;
use crate::endpoints::elements;
use crate::errors::{NoEndpoint, unusable};
use crate::fork::Born;
use crate::raw::controller;
use crate::{clock, names};
use evener_core::{
    Action, Controller, Cursor, Endpoint, EndpointId, Handle, Limits, Member, Options, Outcome, Pick, Start,
    Ticket, UpdateError, sync::AtomicU32,
};
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Entries of the exact weighted schedule: weights whose sum over their greatest common divisor is at most this are met exactly.
const SCHEDULE: u32 = 1024;
const LARGEST: u32 = 32_767;
/// Picks of `pick_many` between two looks for Ctrl-C.
const SIGNALS_EVERY: usize = 65_536;

type Shared = Arc<[AtomicU32]>;

/// Picks one of your objects for each call: `round_robin`, `weighted_round_robin`, `pick_random` or `pick_first`.
///
/// Endpoints are any hashable objects: `"host:port"` text, connections, sessions. An iterable gives each the weight 1, a mapping
/// says the weights; weight 0 drains. A list can have at most `capacity` endpoints (1 to 32767), and as many removed ones can
/// still have calls: nobody ends those but you. Endpoints count as ready until `set_state` says otherwise. Thread-safe; a pick
/// takes no lock.
///
/// >>> import evener
/// >>> balancer = evener.Balancer({"a": 3, "b": 2, "c": 1}, policy="weighted_round_robin", seed=1)
/// >>> sorted(balancer.pick_many(6))
/// ['a', 'a', 'a', 'b', 'b', 'c']
///
/// `seed` makes picks repeatable; `calls_per_endpoint` limits what `start` puts on one (0 = no limit).
#[pyclass(frozen, generic, module = "evener")]
pub(crate) struct Balancer {
    balancer: evener_core::Balancer<Shared>,
    cursor: Cursor,
    /// The object in each slot; None in a free one.
    objects: Py<PyList>,
    /// What each object is called in the core.
    serials: Py<PyDict>,
    next_serial: AtomicU64,
    desk: Mutex<Desk>,
    capacity: usize,
    born: Born,
}

struct Desk {
    controller: Controller<Shared, Vec<Member>>,
    seats: Vec<Option<Seat>>,
}

/// Who has a slot.
#[derive(Clone, Copy)]
struct Seat {
    handle: Handle,
    serial: u64,
}

/// What has become of slots, to be done to Python's lists when no lock is held.
#[derive(Default)]
struct Moves {
    freed: Vec<Seat>,
}

#[pymethods]
impl Balancer {
    #[new]
    #[pyo3(signature = (endpoints=None, *, policy="round_robin", capacity=256, seed=None, calls_per_endpoint=0))]
    fn new(
        py: Python<'_>,
        endpoints: Option<&Bound<'_, PyAny>>,
        policy: &str,
        capacity: u32,
        seed: Option<u64>,
        calls_per_endpoint: u32,
    ) -> PyResult<Self> {
        if !(1..=LARGEST).contains(&capacity) {
            return Err(unusable(format!("the capacity must be from 1 to {LARGEST}")));
        }
        // Twice, so that a full list can be replaced by another.
        let slots = 2 * capacity;
        let limits = Limits::new(slots).with_schedule(SCHEDULE);
        let seed = seed.unwrap_or_else(fresh_seed);
        let options = Options {
            seed,
            // For ever: there is nobody who could be told to cancel calls.
            drain_timeout: 0,
            calls_per_endpoint,
            ..Options::default()
        };
        let mut controller = controller(limits, options)?;
        controller.set_policy(names::policy(policy)?);
        let empty = (0..slots).map(|_| py.None());
        let created = Self {
            balancer: controller.balancer(),
            cursor: Cursor::seeded(seed),
            objects: PyList::new(py, empty.collect::<Vec<_>>())?.unbind(),
            serials: PyDict::new(py).unbind(),
            next_serial: AtomicU64::new(0),
            desk: Mutex::new(Desk { controller, seats: vec![None; slots as usize] }),
            capacity: capacity as usize,
            born: Born::now(),
        };
        if let Some(endpoints) = endpoints {
            created.update(py, endpoints)?;
        }
        Ok(created)
    }

    /// Replaces the endpoints; returns how many were added, removed, kept, and came back while they drained.
    ///
    /// The order does not matter, and of equal objects the first counts. Raises `evener.ConfigError` if they do not fit; then
    /// nothing has changed.
    ///
    /// >>> import evener
    /// >>> balancer = evener.Balancer(["a", "b"])
    /// >>> balancer.update(["b", "c"])
    /// (1, 1, 1, 0)
    fn update(&self, py: Python<'_>, endpoints: &Bound<'_, PyAny>) -> PyResult<(u32, u32, u32, u32)> {
        let wanted = self.serials_of(py, &weighted(endpoints)?)?;
        if wanted.len() > self.capacity {
            self.forget_unseated(py, &wanted)?;
            return Err(unusable(format!(
                "{} endpoints are more than the balancer's capacity, {}",
                wanted.len(),
                self.capacity
            )));
        }
        let list: Vec<Endpoint> =
            wanted.iter().map(|(_, serial, weight)| endpoint(*serial, *weight)).collect();
        let mut moves = Moves::default();
        let mut seated = Vec::new();
        let outcome = {
            let mut desk = self.desk();
            let outcome = desk.controller.update(&list);
            if outcome.is_ok() {
                seated = desk.seat(&wanted);
                desk.settle(&mut moves);
            }
            outcome
        };
        let changes = match outcome {
            Ok(changes) => changes,
            Err(error) => {
                self.forget_unseated(py, &wanted)?;
                return Err(refused(&error));
            }
        };
        let replaced = self.put(py, &wanted, seated)?;
        self.tidy(py, moves)?;
        // Only now may what was there before be dropped: its end can be Python code.
        drop(replaced);
        Ok((changes.added, changes.removed, changes.kept, changes.returned))
    }

    /// The endpoint for the next call. Raises `evener.NoEndpoint` when there is none.
    ///
    /// >>> import evener
    /// >>> evener.Balancer(["a"]).pick()
    /// 'a'
    // A call apart would be a tenth of what a pick costs over an empty method: a result by way of memory, six registers saved.
    #[inline(always)]
    fn pick<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.balancer.pick(&self.cursor) {
            Pick::Complete(handle) => self.objects.bind(py).get_item(usize::from(handle.slot())),
            other => Err(no_endpoint(other)),
        }
    }

    /// The endpoints for the next `count` calls.
    ///
    /// >>> import evener
    /// >>> evener.Balancer(["a"]).pick_many(3)
    /// ['a', 'a', 'a']
    fn pick_many<'py>(&self, py: Python<'py>, count: usize) -> PyResult<Bound<'py, PyList>> {
        let picked = PyList::empty(py);
        for made in 0..count {
            picked.append(self.pick(py)?)?;
            if made % SIGNALS_EVERY == SIGNALS_EVERY - 1 {
                py.check_signals()?;
            }
        }
        Ok(picked)
    }

    /// Begins a call at the next endpoint, which is then counted as one in flight until `finish`.
    ///
    /// The call is a context manager that finishes itself: success, or failure if the block raised.
    ///
    /// >>> import evener
    /// >>> balancer = evener.Balancer(["a"])
    /// >>> with balancer.start() as endpoint:
    /// ...     endpoint, balancer.stats()[0][1]["in_flight"]
    /// ('a', 1)
    /// >>> balancer.stats()[0][1]["ok"]
    /// 1
    fn start(slf: Bound<'_, Self>) -> PyResult<Call> {
        let py = slf.py();
        let this = slf.get();
        match this.balancer.start(&this.cursor, clock::ticks()) {
            Start::Started(ticket) => {
                let endpoint = this.objects.bind(py).get_item(usize::from(ticket.handle().slot()))?.unbind();
                Ok(Call::new(slf.unbind(), ticket, endpoint))
            }
            Start::Queue => Err(no_endpoint(Pick::Queue)),
            Start::Fail(reason) => Err(no_endpoint(Pick::Fail(reason))),
            Start::Drop => Err(no_endpoint(Pick::Drop)),
        }
    }

    /// Ends a call that `start` began: `success`, `failure`, `rejected`, `cancelled`, `timed_out` or `abandoned`.
    ///
    /// A second time does nothing.
    ///
    /// >>> import evener
    /// >>> balancer = evener.Balancer(["a"])
    /// >>> balancer.finish(balancer.start(), "failure")
    /// >>> balancer.stats()[0][1]["failed"]
    /// 1
    #[pyo3(signature = (call, outcome="success"))]
    #[allow(
        clippy::unused_self,
        reason = "the call knows its balancer; the method is here for symmetry with start"
    )]
    fn finish(&self, py: Python<'_>, call: &Bound<'_, Call>, outcome: &str) -> PyResult<()> {
        call.get().finish_now(py, names::outcome(outcome)?)
    }

    /// Says what a connection is doing: `ready`, `connecting` (no picks, others are waited for) or `transient_failure` (no picks
    /// until it is `ready` again). Raises KeyError for what is not among the endpoints.
    ///
    /// >>> import evener
    /// >>> balancer = evener.Balancer(["a", "b"])
    /// >>> balancer.set_state("a", "transient_failure")
    /// >>> balancer.pick_many(2)
    /// ['b', 'b']
    fn set_state(&self, py: Python<'_>, endpoint: &Bound<'_, PyAny>, state: &str) -> PyResult<()> {
        if !matches!(state, "ready" | "connecting" | "transient_failure") {
            return Err(PyValueError::new_err(format!("unknown state {state:?}")));
        }
        let state = names::state(state)?;
        let unknown = || PyKeyError::new_err(endpoint.clone().unbind());
        let serial: u64 = self.serials.bind(py).get_item(endpoint)?.ok_or_else(unknown)?.extract()?;
        let mut moves = Moves::default();
        let found = {
            let mut desk = self.desk();
            let handle = desk.controller.handle(id_of(serial));
            let found = handle.is_some_and(|handle| desk.controller.set_connectivity(handle, state).is_ok());
            desk.settle(&mut moves);
            found
        };
        self.tidy(py, moves)?;
        if found { Ok(()) } else { Err(unknown()) }
    }

    /// Changes the policy; counts and cursor stay.
    ///
    /// >>> import evener
    /// >>> evener.Balancer(["a", "b"]).set_policy("pick_random")
    fn set_policy(&self, py: Python<'_>, policy: &str) -> PyResult<()> {
        let policy = names::policy(policy)?;
        self.settle(py, |controller| controller.set_policy(policy))
    }

    /// Every endpoint, draining ones included, with its `weight`, calls `in_flight` and, modulo 2**32, `ok`, `failed` (timed out
    /// included), `rejected` and `other`.
    ///
    /// >>> import evener
    /// >>> evener.Balancer({"a": 2}).stats()
    /// [('a', {'weight': 2, 'in_flight': 0, 'ok': 0, 'failed': 0, 'rejected': 0, 'other': 0})]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyAny>, Bound<'py, PyDict>)>> {
        let rows: Vec<_> = {
            let desk = self.desk();
            let seats = desk.seats.iter().flatten();
            seats.map(|seat| (seat.handle, desk.controller.status(seat.handle))).collect()
        };
        let objects = self.objects.bind(py);
        let mut stats = Vec::with_capacity(rows.len());
        for (handle, status) in rows {
            let Some(counters) = self.balancer.counters(handle) else { continue };
            let row = PyDict::new(py);
            row.set_item("weight", status.map_or(0, |status| status.weight))?;
            row.set_item("in_flight", counters.in_flight)?;
            row.set_item("ok", counters.ok)?;
            row.set_item("failed", counters.failed)?;
            row.set_item("rejected", counters.rejected)?;
            row.set_item("other", counters.other)?;
            stats.push((objects.get_item(usize::from(handle.slot()))?, row));
        }
        Ok(stats)
    }

    /// How many endpoints there are, draining ones included.
    fn __len__(&self) -> usize {
        self.desk().seats.iter().flatten().count()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.objects)?;
        visit.call(&self.serials)
    }
}

impl Balancer {
    /// Counts a call's end and frees what has drained. Dropped calls end without `py`: what drains then is freed later.
    pub(crate) fn end(&self, py: Option<Python<'_>>, ticket: Ticket, outcome: Outcome) -> PyResult<()> {
        let finished = self.balancer.finish(ticket, outcome, clock::ticks());
        match py {
            Some(py) if finished.wake => self.settle(py, |_| ()),
            _ => Ok(()),
        }
    }

    /// Whether this is a forked child's copy of a parent's balancer. Its picks are its own; calls begun before are not.
    pub(crate) fn is_inherited(&self) -> bool {
        self.born.is_inherited()
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(
        &self,
        py: Python<'_>,
        change: impl FnOnce(&mut Controller<Shared, Vec<Member>>),
    ) -> PyResult<()> {
        let mut moves = Moves::default();
        {
            let mut desk = self.desk();
            change(&mut desk.controller);
            desk.settle(&mut moves);
        }
        self.tidy(py, moves)
    }

    /// Each object with its serial, a new one for those not seen before, in order; of equal ones the first.
    fn serials_of<'py>(
        &self,
        py: Python<'py>,
        endpoints: &[(Bound<'py, PyAny>, u32)],
    ) -> PyResult<Vec<(Bound<'py, PyAny>, u64, u32)>> {
        let serials = self.serials.bind(py);
        let mut wanted = Vec::with_capacity(endpoints.len());
        let mut listed = HashSet::with_capacity(endpoints.len());
        for (object, weight) in endpoints {
            let fresh = self.next_serial.fetch_add(1, Relaxed);
            let serial =
                serials.call_method1("setdefault", (object, fresh)).and_then(|found| found.extract::<u64>());
            let serial = match serial {
                Ok(serial) => serial,
                Err(unhashable) => {
                    self.forget_unseated(py, &wanted)?;
                    return Err(unhashable);
                }
            };
            if listed.insert(serial) {
                wanted.push((object.clone(), serial, *weight));
            }
        }
        Ok(wanted)
    }

    /// Puts new objects into their slots; returns what was there.
    fn put<'py>(
        &self,
        py: Python<'py>,
        wanted: &[(Bound<'py, PyAny>, u64, u32)],
        seated: Vec<(usize, usize)>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let objects = self.objects.bind(py);
        let mut replaced = Vec::with_capacity(seated.len());
        for (slot, position) in seated {
            let Some((object, _, _)) = wanted.get(position) else { continue };
            replaced.push(objects.get_item(slot)?);
            objects.set_item(slot, object)?;
        }
        Ok(replaced)
    }

    /// Lets go of the objects of freed slots, unless somebody else sits there already.
    fn tidy(&self, py: Python<'_>, moves: Moves) -> PyResult<()> {
        let objects = self.objects.bind(py);
        for seat in moves.freed {
            let slot = usize::from(seat.handle.slot());
            let object = objects.get_item(slot)?;
            if self.desk().seats.get(slot).is_some_and(Option::is_none) {
                objects.set_item(slot, py.None())?;
            }
            self.forget(py, &object, seat.serial)?;
        }
        Ok(())
    }

    /// Forgets what an object is called, unless it has been given another name since.
    fn forget(&self, py: Python<'_>, object: &Bound<'_, PyAny>, serial: u64) -> PyResult<()> {
        let serials = self.serials.bind(py);
        if let Some(current) = serials.get_item(object)?
            && current.extract::<u64>()? == serial
            && self.desk().controller.handle(id_of(serial)).is_none()
        {
            serials.del_item(object)?;
        }
        Ok(())
    }

    fn forget_unseated(&self, py: Python<'_>, wanted: &[(Bound<'_, PyAny>, u64, u32)]) -> PyResult<()> {
        wanted.iter().try_for_each(|(object, serial, _)| self.forget(py, object, *serial))
    }
}

impl Desk {
    /// Notes who has which slot after an update; (slot, position in the list) of the newcomers.
    fn seat(&mut self, wanted: &[(Bound<'_, PyAny>, u64, u32)]) -> Vec<(usize, usize)> {
        let mut seated = Vec::new();
        for (position, (_, serial, _)) in wanted.iter().enumerate() {
            let Some(handle) = self.controller.handle(id_of(*serial)) else { continue };
            let slot = usize::from(handle.slot());
            let Some(seat) = self.seats.get_mut(slot) else { continue };
            if seat.is_none_or(|seat| seat.serial != *serial) {
                *seat = Some(Seat { handle, serial: *serial });
                seated.push((slot, position));
            }
        }
        seated
    }

    /// Polls until there is nothing to do. What the core would connect counts as connected.
    fn settle(&mut self, moves: &mut Moves) {
        while let Some(action) = self.controller.poll(clock::ticks()) {
            match action {
                // A handle that the action brings cannot be stale yet.
                Action::Connect { handle, .. } => {
                    let _ = self.controller.set_connectivity(handle, evener_core::Connectivity::Ready);
                }
                Action::Close { handle, user } => {
                    if let Some(seat) = self.seats.get_mut(usize::from(handle.slot()))
                        && seat.is_some_and(|seat| seat.serial == user)
                    {
                        *seat = None;
                    }
                    moves.freed.push(Seat { handle, serial: user });
                }
                _ => {}
            }
        }
    }
}

/// The floor under any method of a compiled class, for benchmarks: it does nothing.
#[pyclass(frozen, module = "evener._native")]
pub(crate) struct Nothing;

#[pymethods]
impl Nothing {
    #[new]
    const fn new() -> Self {
        Self
    }

    /// Does nothing.
    #[allow(clippy::unused_self, reason = "what is measured is a method")]
    const fn nothing(&self) {}
}

fn weighted<'py>(endpoints: &Bound<'py, PyAny>) -> PyResult<Vec<(Bound<'py, PyAny>, u32)>> {
    if let Ok(mapping) = endpoints.cast::<PyMapping>() {
        return mapping.items()?.iter().map(|item| item.extract::<(Bound<'py, PyAny>, u32)>()).collect();
    }
    elements(endpoints)?.map(|object| Ok((object?, 1))).collect()
}

fn endpoint(serial: u64, weight: u32) -> Endpoint {
    Endpoint::new(id_of(serial)).with_user(serial).with_weight(weight)
}

fn id_of(serial: u64) -> EndpointId {
    EndpointId::from_raw(u128::from(serial))
}

#[cold]
fn no_endpoint(pick: Pick) -> PyErr {
    NoEndpoint::new_err(match pick {
        Pick::Fail(reason) => names::reason_name(reason),
        Pick::Drop => "dropped",
        _ => "not_ready",
    })
}

fn refused(error: &UpdateError) -> PyErr {
    match error {
        UpdateError::Full { needed, free } => unusable(format!(
            "{needed} more endpoints do not fit beside those that drain, {free} are free: a larger capacity helps"
        )),
        #[allow(unreachable_patterns, reason = "the error may grow")]
        other => unusable(format!("{other:?}")),
    }
}

/// A seed from the standard library's source of randomness.
fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(clock::ticks())
}
