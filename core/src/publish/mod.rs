//! How the controller's decisions reach the threads that pick: a double buffer under one state word.

pub(crate) mod guide;
pub(crate) mod schedule;
pub(crate) mod state_word;
pub(crate) mod table;
