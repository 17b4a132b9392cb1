//! The core alone, in the caller's memory: no allocation, no libc, no clock.

mod balancer;
mod block;
mod controller;
mod cursor;
mod layout;
mod limits;

pub use balancer::*;
pub(crate) use block::{Core, with_controller};
pub use block::{evener_balancer, evener_balancer_fini, evener_balancer_init, evener_controller};
pub use controller::*;
pub use cursor::*;
pub use limits::*;
