//! The role of the one who decides: takes address lists, states and health in, publishes tables, and says what the host
//! should do.
//!
//! Inputs only mark what is due; [`Controller::poll`] alone publishes and hands out actions. So ten thousand endpoints that
//! become READY at once cost one publication, not ten thousand.

pub(crate) mod claim;
mod desk;

use crate::balancer::Balancer;
use crate::endpoint::{Endpoint, EndpointId};
use crate::handle::{Handle, Stale};
use crate::layout::{ClaimError, Layout, Limits, Options};
use crate::members::Member;
use crate::members::diff::{Changes, UpdateError};
use crate::policy::Policy;
use crate::poll::action::Action;
use crate::state::{connectivity::Connectivity, health::Health};
use crate::sync::AtomicU32;
use core::ops::Deref;
use desk::{Desk, Room};

/// The controller of one balancer's memory: exactly one at a time.
///
/// Call order: any of the inputs ([`update`](Self::update), [`set_policy`](Self::set_policy),
/// [`set_connectivity`](Self::set_connectivity), [`set_health`](Self::set_health), [`connect`](Self::connect)), then
/// [`poll`](Self::poll) until it has nothing more, then sleep until [`next_deadline`](Self::next_deadline), the next input or a wake.
///
/// ```
/// use evener_core::{Action, Connectivity, Cursor, Endpoint, EndpointId, Limits, Memory, Options, Pick, words};
///
/// const LIMITS: Limits = Limits::new(8);
/// let mut memory = Memory::<8, { words(&LIMITS) }>::new();
/// let (mut controller, balancer) = memory.split(LIMITS, Options::default()).unwrap();
///
/// let endpoint = Endpoint::new(EndpointId::from_raw(7)).with_user(70);
/// controller.update(&[endpoint]).unwrap();
/// while let Some(action) = controller.poll(0) {
///     if let Action::Connect { handle, user: 70 } = action {
///         // The host has connected, here at once.
///         controller.set_connectivity(handle, Connectivity::Ready).unwrap();
///     }
/// }
/// let cursor = Cursor::new();
/// assert!(matches!(balancer.pick(&cursor), Pick::Complete(_)));
/// ```
#[derive(Debug)]
pub struct Controller<S, M>
where
    S: Deref<Target = [AtomicU32]>,
{
    words: S,
    members: M,
    layout: Layout,
    desk: Desk,
}

impl<S, M> Controller<S, M>
where
    S: Deref<Target = [AtomicU32]>,
    M: AsRef<[Member]> + AsMut<[Member]>,
{
    /// Claims memory that no controller has. What a former one left there is released as it drains; its endpoints are
    /// unknown to the new one.
    ///
    /// # Errors
    /// [`ClaimError`]; nothing has changed then.
    pub fn claim(words: S, mut members: M, limits: Limits, options: Options) -> Result<Self, ClaimError> {
        let layout = claim::claim(&words, members.as_mut(), &limits, false)?;
        Ok(Self::take_up(words, members, layout, options))
    }

    /// Takes over memory whose controller died in the middle of something and can never act again, which the caller
    /// vouches for. Picks go on throughout.
    ///
    /// # Errors
    /// As [`claim`](Self::claim), but for [`ClaimError::Claimed`].
    pub fn seize(words: S, mut members: M, limits: Limits, options: Options) -> Result<Self, ClaimError> {
        let layout = claim::claim(&words, members.as_mut(), &limits, true)?;
        Ok(Self::take_up(words, members, layout, options))
    }

    fn take_up(words: S, mut members: M, layout: Layout, options: Options) -> Self {
        let desk = Desk::set_up(&words, &layout, members.as_mut(), options);
        Self { words, members, layout, desk }
    }

    /// A balancer over the same memory.
    pub fn balancer(&self) -> Balancer<S>
    where
        S: Clone,
    {
        Balancer::over(self.words.clone(), self.layout)
    }

    /// Makes the endpoints those of the list, in any order. Of entries with the same identity the first one counts.
    /// Endpoints that are in both lists keep their slot, calls and state; one that still drains returns to its slot.
    ///
    /// # Errors
    /// [`UpdateError::Full`]: nothing has changed.
    pub fn update(&mut self, endpoints: &[Endpoint]) -> Result<Changes, UpdateError> {
        let (desk, mut room) = self.parts();
        desk.update(&mut room, endpoints)
    }

    /// Chooses the policy. It holds from the next [`poll`](Self::poll) on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.desk.set_policy(policy);
    }

    /// Reports the connectivity of an endpoint, draining ones included.
    ///
    /// # Errors
    /// [`Stale`]: the endpoint is no longer there.
    pub fn set_connectivity(&mut self, handle: Handle, state: Connectivity) -> Result<(), Stale> {
        let (desk, mut room) = self.parts();
        desk.set_connectivity(&mut room, handle, state)
    }

    /// Reports the health of an endpoint.
    ///
    /// # Errors
    /// [`Stale`]: the endpoint is no longer there.
    pub fn set_health(&mut self, handle: Handle, health: Health) -> Result<(), Stale> {
        let (desk, mut room) = self.parts();
        desk.set_health(&mut room, handle, health)
    }

    /// Asks a channel that rests in IDLE (pick_first, after its connection was lost) to connect again.
    pub fn connect(&mut self) {
        self.desk.connect();
    }

    /// Sets how long calls of endpoints that leave from now on may go on, in ticks; 0 = for ever.
    pub const fn set_drain_timeout(&mut self, ticks: u32) {
        self.desk.set_drain_timeout(ticks);
    }

    /// Publishes what has changed and hands out the next action; call it until it answers `None`.
    pub fn poll(&mut self, now: u32) -> Option<Action> {
        let (desk, mut room) = self.parts();
        desk.poll(&mut room, now)
    }

    /// When [`poll`](Self::poll) must be called again though nothing happens; `None` = not before an input or a wake. Nothing
    /// may turn out to be due then: an endpoint that drains in time leaves its deadline behind.
    pub const fn next_deadline(&self) -> Option<u32> {
        self.desk.next_deadline()
    }

    /// The state of the whole channel, as last published.
    pub const fn connectivity(&self) -> Connectivity {
        self.desk.connectivity()
    }

    /// The policy in force.
    pub const fn policy(&self) -> Policy {
        self.desk.policy()
    }

    /// Where an endpoint lives, also while it drains.
    pub fn handle(&self, id: EndpointId) -> Option<Handle> {
        desk::handle_of(&self.words, &self.layout, self.members.as_ref(), id)
    }

    /// What is known of an endpoint.
    pub fn status(&self, handle: Handle) -> Option<Status> {
        desk::status_of(&self.words, &self.layout, self.members.as_ref(), handle)
    }

    fn parts(&mut self) -> (&mut Desk, Room<'_>) {
        let room = Room { words: &self.words, layout: &self.layout, members: self.members.as_mut() };
        (&mut self.desk, room)
    }
}

impl<S, M> Drop for Controller<S, M>
where
    S: Deref<Target = [AtomicU32]>,
{
    /// Gives the memory free for another controller.
    fn drop(&mut self) {
        claim::release(&self.words);
    }
}

/// What the controller knows of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// As last reported.
    pub connectivity: Connectivity,
    /// As last reported.
    pub health: Health,
    /// As in the latest list that had it.
    pub weight: u32,
    /// It has left the list and waits for its calls to end.
    pub draining: bool,
}
