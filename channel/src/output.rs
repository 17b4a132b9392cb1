//! What comes out of one poll of an engine.

use std::sync::Arc;

use crate::event::Action;
use crate::lookup::Lookup;

/// Something that is to be done outside the engine.
#[derive(Debug)]
pub(crate) enum Output {
    /// Something for the transport.
    Event(Action),
    /// Run the lookup where blocking harms nobody, and tell the engine the answer.
    Resolve(Arc<Lookup>),
}
