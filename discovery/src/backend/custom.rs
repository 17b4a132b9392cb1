//! Resolvers of the application's own, run so that nothing they do can harm another target's watch.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::backend::{Feed, Opener};
use crate::event::SourceError;
use crate::runtime::{Dice, Resolver, ResolverSink, Resolving};
use crate::target::CustomTarget;

/// After the first start that fails; it doubles up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);
/// Between two hints.
const HINT_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) fn open(resolver: Arc<dyn Resolver>, target: &CustomTarget, seed: Option<u64>) -> Opener {
    let target = target.clone();
    Box::new(move |feed| Box::pin(run(resolver, target, feed, Dice::new(seed))))
}

async fn run(resolver: Arc<dyn Resolver>, target: CustomTarget, feed: Feed, mut dice: Dice) -> SourceError {
    let sink = ResolverSink::new(feed.clone());
    let mut pause = SHORTEST;
    loop {
        match guarded("start", || resolver.start(&target, sink.clone())) {
            Ok(started) => return hand_hints_on(Guard(Some(started)), &feed, &sink).await,
            Err(error) => sink.fail(error),
        }
        sleep(dice.around(pause, 30)).await;
        pause = (2 * pause).min(LONGEST);
    }
}

async fn hand_hints_on(mut started: Guard, feed: &Feed, sink: &ResolverSink) -> SourceError {
    loop {
        feed.hinted().await;
        if let Some(resolving) = &mut started.0
            && let Err(error) = guarded("resolve_now", || {
                resolving.resolve_now();
                Ok(())
            })
        {
            sink.fail(error);
        }
        sleep_until(Instant::now() + HINT_INTERVAL).await;
    }
}

/// What a resolver answered, whose destructor is its own and may panic like the rest of it.
struct Guard(Option<Box<dyn Resolving>>);

impl Drop for Guard {
    fn drop(&mut self) {
        let started = self.0.take();
        // Nobody is left to be told; the panic was printed.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(started)));
    }
}

fn guarded<T>(what: &str, call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let result = catch_unwind(AssertUnwindSafe(call));
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(format!("the resolver's {what} panicked: {}", text.unwrap_or_default()))
    })
}
