//! Where a pick points, and what proves that a call has begun there.

/// The slot a pick chose, and the generation of the endpoint that lived in it then.
///
/// A handle only says *where*: the endpoint may be gone by the time it is used, in which case
/// [`Balancer::begin`](crate::Balancer::begin) answers [`BeginError::Stale`]. Copy it freely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle {
    slot: u16,
    generation: u32,
}

impl Handle {
    /// A handle as another part of the program kept it. Any value is safe: a wrong one is stale.
    pub const fn new(slot: u16, generation: u32) -> Self {
        Self { slot, generation }
    }

    /// The slot's number, below [`Limits::endpoints`](crate::Limits::endpoints).
    pub const fn slot(self) -> u16 {
        self.slot
    }

    /// How often the slot had been given to an endpoint, from 1; wraps after 2³² − 1, and is never 0.
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

/// A call that has begun and not finished. It pins its endpoint: neither the slot nor `user` changes
/// hands before [`Balancer::finish`](crate::Balancer::finish) has taken the ticket.
///
/// A ticket that is dropped instead keeps its endpoint from ever draining.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a call that begins must finish, or its endpoint never drains"]
pub struct Ticket {
    pub(crate) handle: Handle,
    pub(crate) start: u32,
    pub(crate) user: u64,
}

impl Ticket {
    /// Where the call runs.
    pub const fn handle(&self) -> Handle {
        self.handle
    }

    /// When it began, in ticks.
    pub const fn start(&self) -> u32 {
        self.start
    }

    /// The host's own value for this endpoint, as given when the endpoint was added.
    pub const fn user(&self) -> u64 {
        self.user
    }

    /// The ticket's content, for a host that keeps tickets in memory of its own (a C struct).
    /// [`Balancer::ticket`](crate::Balancer::ticket) makes a ticket of it again.
    pub const fn into_raw(self) -> RawTicket {
        RawTicket { handle: self.handle, start: self.start, user: self.user }
    }
}

/// The content of a [`Ticket`], which proves nothing by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawTicket {
    /// Where the call runs.
    pub handle: Handle,
    /// When it began, in ticks.
    pub start: u32,
    /// The host's own value for the endpoint.
    pub user: u64,
}

/// Why a call could not begin at a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BeginError {
    /// The endpoint is draining or gone: pick again, a newer table is there.
    Stale,
    /// The endpoint has [`Options::calls_per_endpoint`](crate::Options::calls_per_endpoint) calls in flight.
    Full,
}

/// The handle or ticket names an endpoint that is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale;

impl core::fmt::Display for BeginError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Stale => "the endpoint is draining or gone",
            Self::Full => "the endpoint has as many calls in flight as it may",
        })
    }
}

impl core::fmt::Display for Stale {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the endpoint is no longer there")
    }
}

impl core::error::Error for BeginError {}
impl core::error::Error for Stale {}
