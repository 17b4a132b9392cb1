//! What comes out of one poll of an engine.

use std::sync::Arc;

use crate::event::Action;
use crate::live::Ask;
use crate::lookup::Lookup;

/// Something that is to be done outside the engine.
#[derive(Debug)]
pub(crate) enum Output {
    /// Something for the transport.
    Event(Action),
    /// Have discovery's thread watch it, and tell the engine what became of that.
    Watch(Ask),
    /// Run the lookup where blocking harms nobody, and tell the engine the answer.
    Resolve(Arc<Lookup>),
}
