//! What is known of one endpoint's connection, and when to try it again.

pub(crate) mod backoff;
pub(crate) mod connectivity;
pub(crate) mod health;
