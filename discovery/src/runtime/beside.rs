//! What runs beside a watch of endpoints and ends with it, as its options want it.

use std::sync::Arc;

use futures_util::future::join_all;

use super::shared::{Companion, Shared};
use super::{disk, probing};
use crate::event::SourceError;
use crate::pipeline::Pipeline;

/// All of it, as one.
pub(super) fn all(shared: Arc<Shared<Pipeline>>) -> Result<Option<Companion>, SourceError> {
    let prober = probing::prober(Arc::clone(&shared))?;
    let companions: Vec<Companion> = disk::keeper(shared).into_iter().chain(prober).collect();
    if companions.is_empty() {
        return Ok(None);
    }
    Ok(Some(Box::pin(async move {
        join_all(companions).await;
    })))
}
