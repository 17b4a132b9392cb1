//! The core alone, in the caller's memory: no allocation, no libc, no clock.

mod balancer;
mod block;
mod controller;
mod cursor;
mod layout;
mod limits;
mod objects;

pub use balancer::*;
pub use block::{evener_balancer_fini, evener_balancer_init};
pub use controller::*;
pub use cursor::*;
pub use limits::*;
pub use objects::{evener_balancer, evener_controller};
