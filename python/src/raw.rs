//! The core as it is, for the vectors that every binding runs: numbers in, names out, time an argument.

use crate::errors::unusable;
use crate::names;
use evener_core::{
    Action, Balancer, Controller, Cursor, Endpoint, EndpointId, Handle, Limits, Member, Options, Pick,
    Policy, Start, Ticket, UpdateError, sync::AtomicU32, words,
};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One balancer with its controller and a cursor. For tests; `evener.Balancer` is the class to use.
#[pyclass(frozen, module = "evener._native")]
pub(crate) struct RawBalancer {
    balancer: Balancer<Arc<[AtomicU32]>>,
    cursor: Cursor,
    desk: Mutex<Desk>,
}

struct Desk {
    controller: Controller<Arc<[AtomicU32]>, Vec<Member>>,
    /// Endpoint of each handle seen so far: a handle outlives its endpoint.
    ids: HashMap<Handle, u64>,
    handles: HashMap<u64, Handle>,
    tickets: HashMap<u32, Ticket>,
}

impl Desk {
    fn handle(&mut self, id: u64) -> Option<Handle> {
        if let Some(handle) = self.controller.handle(endpoint_id(id)) {
            self.handles.insert(id, handle);
            self.ids.insert(handle, id);
        }
        self.handles.get(&id).copied()
    }
}

fn endpoint_id(id: u64) -> EndpointId {
    EndpointId::from_raw(u128::from(id))
}

#[pymethods]
impl RawBalancer {
    #[new]
    #[pyo3(signature = (endpoints, schedule, *, seed=0, drain_timeout=30_000_000, cursor_count=0, cursor_key=1))]
    fn new(
        endpoints: u32,
        schedule: u32,
        seed: u64,
        drain_timeout: u32,
        cursor_count: u32,
        cursor_key: u32,
    ) -> PyResult<Self> {
        let limits = Limits::new(endpoints).with_schedule(schedule);
        let options = Options { seed, drain_timeout, ..Options::default() };
        let controller = controller(limits, options)?;
        let balancer = controller.balancer();
        let desk = Desk { controller, ids: HashMap::new(), handles: HashMap::new(), tickets: HashMap::new() };
        Ok(Self { balancer, cursor: Cursor::at(cursor_count, cursor_key), desk: Mutex::new(desk) })
    }

    /// Chooses the policy.
    #[pyo3(signature = (name, shuffle=false))]
    fn set_policy(&self, name: &str, shuffle: bool) -> PyResult<()> {
        let policy = match names::policy(name)? {
            Policy::PickFirst { .. } => Policy::PickFirst { shuffle },
            other => other,
        };
        self.desk().controller.set_policy(policy);
        Ok(())
    }

    /// Added, removed, kept, returned; None if there is no room.
    fn update(&self, endpoints: Vec<(u64, u32, u32)>) -> PyResult<Option<(u32, u32, u32, u32)>> {
        let list: Vec<Endpoint> = endpoints
            .iter()
            .map(|&(id, weight, priority)| {
                Endpoint::new(endpoint_id(id)).with_user(id).with_weight(weight).with_priority(priority)
            })
            .collect();
        let mut desk = self.desk();
        let changes = match desk.controller.update(&list) {
            Ok(changes) => changes,
            Err(UpdateError::Full { .. }) => return Ok(None),
            #[allow(unreachable_patterns, reason = "the error may grow")]
            Err(error) => return Err(unusable(error)),
        };
        for (id, _, _) in endpoints {
            desk.handle(id);
        }
        Ok(Some((changes.added, changes.removed, changes.kept, changes.returned)))
    }

    /// Whether the endpoint is still there.
    fn set_state(&self, id: u64, state: &str) -> PyResult<bool> {
        let state = names::state(state)?;
        let mut desk = self.desk();
        let handle = desk.handle(id);
        Ok(handle.is_some_and(|handle| desk.controller.set_connectivity(handle, state).is_ok()))
    }

    /// Whether the endpoint is still there.
    fn set_health(&self, id: u64, health: &str) -> PyResult<bool> {
        let health = names::health(health)?;
        let mut desk = self.desk();
        let handle = desk.handle(id);
        Ok(handle.is_some_and(|handle| desk.controller.set_health(handle, health).is_ok()))
    }

    /// Leaves IDLE.
    fn connect(&self) {
        self.desk().controller.connect();
    }

    /// All actions due, as the vectors write them.
    fn poll(&self, now: u32) -> Vec<String> {
        let mut desk = self.desk();
        let mut actions = Vec::new();
        while let Some(action) = desk.controller.poll(now) {
            actions.push(action_text(action));
        }
        actions
    }

    /// The endpoint's number, or why there is none.
    fn pick(&self) -> String {
        match self.balancer.pick(&self.cursor) {
            Pick::Complete(handle) => {
                self.desk().ids.get(&handle).map_or_else(|| "unknown".to_owned(), u64::to_string)
            }
            Pick::Queue => "queue".to_owned(),
            Pick::Fail(reason) => format!("fail:{}", names::reason_name(reason)),
            Pick::Drop => "drop".to_owned(),
        }
    }

    /// Like `pick`; a call that has begun is kept under `ticket`.
    fn start(&self, ticket: u32, now: u32) -> String {
        match self.balancer.start(&self.cursor, now) {
            Start::Started(begun) => {
                let id = begun.user().to_string();
                self.desk().tickets.insert(ticket, begun);
                id
            }
            Start::Queue => "queue".to_owned(),
            Start::Fail(reason) => format!("fail:{}", names::reason_name(reason)),
            Start::Drop => "drop".to_owned(),
        }
    }

    /// Elapsed ticks, and whether the controller should be polled.
    fn finish(&self, ticket: u32, outcome: &str, now: u32) -> PyResult<(u32, bool)> {
        let outcome = names::outcome(outcome)?;
        let begun = self.desk().tickets.remove(&ticket).ok_or_else(|| PyKeyError::new_err(ticket))?;
        let finished = self.balancer.finish(begun, outcome, now);
        Ok((finished.elapsed, finished.wake))
    }

    /// Ok, failed, rejected, other, in flight; None for an endpoint that is gone.
    fn counters(&self, id: u64) -> Option<(u32, u32, u32, u32, u32)> {
        let handle = self.desk().handle(id)?;
        let c = self.balancer.counters(handle)?;
        Some((c.ok, c.failed, c.rejected, c.other, c.in_flight))
    }

    /// The state of the whole.
    fn channel(&self) -> &'static str {
        names::state_name(self.desk().controller.connectivity())
    }
}

impl RawBalancer {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A controller over memory of its own.
pub(crate) fn controller(
    limits: Limits,
    options: Options,
) -> PyResult<Controller<Arc<[AtomicU32]>, Vec<Member>>> {
    if !limits.are_valid() {
        return Err(unusable("the capacity must be from 1 to 65534, the schedule at most 65536"));
    }
    let memory: Arc<[AtomicU32]> = (0..words(&limits)).map(|_| AtomicU32::new(0)).collect();
    let members = vec![Member::EMPTY; limits.endpoints as usize];
    Controller::claim(memory, members, limits, options).map_err(|error| unusable(format!("{error:?}")))
}

fn action_text(action: Action) -> String {
    match action {
        Action::Connect { user, .. } => format!("connect:{user}"),
        Action::Disconnect { user, .. } => format!("disconnect:{user}"),
        Action::CancelCalls { user, .. } => format!("cancel_calls:{user}"),
        Action::Close { user, .. } => format!("close:{user}"),
        Action::RoomAgain => "room_again".to_owned(),
        Action::Reresolve => "reresolve".to_owned(),
        Action::StateChanged(state) => format!("state:{}", names::state_name(state)),
        _ => "unknown".to_owned(),
    }
}
