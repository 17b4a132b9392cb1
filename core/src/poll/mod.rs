//! What the controller asks of its host, and when.

pub(crate) mod action;
pub(crate) mod timers;
