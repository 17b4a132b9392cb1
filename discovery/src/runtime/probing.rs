//! What probes the endpoints of a watch: those that are published, for as long as they are.

use std::sync::Arc;
#[cfg(feature = "probes")]
use std::time::Instant;

use super::shared::{Companion, Shared};
#[cfg(feature = "probes")]
use crate::dice::Dice;
use crate::event::{ErrorClass, SourceError};
use crate::pipeline::Pipeline;
#[cfg(not(feature = "probes"))]
use crate::probe::ProbeOptions;
#[cfg(feature = "probes")]
use crate::probe::Prober;

/// The prober of a watch, if its options want one.
#[cfg(feature = "probes")]
pub(super) fn prober(shared: Arc<Shared<Pipeline>>) -> Result<Option<Companion>, SourceError> {
    let Some(options) = shared.options().probe.clone() else { return Ok(None) };
    let fail_open = options.fail_open;
    let seed = Dice::new(shared.options().seed).roll();
    let prober = Prober::new(options, seed);
    let prober = prober.map_err(|error| SourceError::new(ErrorClass::Config, error.to_string()))?;
    Ok(Some(Box::pin(probe(shared, prober, fail_open))))
}

#[cfg(not(feature = "probes"))]
#[allow(clippy::needless_pass_by_value, reason = "the same function as with probes")]
pub(super) fn prober(shared: Arc<Shared<Pipeline>>) -> Result<Option<Companion>, SourceError> {
    let checked = shared.options().probe.as_ref().map_or(Ok(()), ProbeOptions::check);
    checked.map(|()| None).map_err(|error| SourceError::new(ErrorClass::Config, error.to_string()))
}

#[cfg(feature = "probes")]
async fn probe(shared: Arc<Shared<Pipeline>>, mut prober: Prober, fail_open: bool) {
    let mut news = shared.news();
    let mut epoch = 0;
    loop {
        if let Some(snapshot) = shared.latest().filter(|snapshot| snapshot.epoch != epoch) {
            epoch = snapshot.epoch;
            prober.set_endpoints(&snapshot.endpoints);
        }
        // Also where only the set has changed: one that has left is judged no more.
        let (failing, passing) = (prober.failing(), prober.passing());
        if shared.with(|pipeline| pipeline.judge(failing, passing, fail_open, Instant::now())) {
            shared.touch();
        }
        tokio::select! {
            () = news.heard() => {}
            () = prober.changed() => {}
        }
    }
}
