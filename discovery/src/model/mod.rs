//! What discovery finds: endpoints, each one server process reachable at one or more addresses.

mod address;
mod endpoint;
pub(crate) mod host;
pub(crate) mod percent;

pub use address::{Address, AddressError};
pub use endpoint::{Condition, Endpoint};
