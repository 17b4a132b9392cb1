//! Names by way of the system's resolver, asked again periodically: it tells no time to live.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::backend::{Feed, Opener};
use crate::event::{ErrorClass, Event, Part, SourceError};
use crate::model::Endpoint;
use crate::runtime::{Dice, DnsOptions};
use crate::system_dns::{self, LookupError, LookupErrorKind};
use crate::target::DnsTarget;

const REFRESH: Duration = Duration::from_secs(30);
/// The longest pause after failures, as in gRPC.
const MAX_BACKOFF: Duration = Duration::from_secs(120);

pub(super) fn open(target: &DnsTarget, options: &DnsOptions) -> Opener {
    let (target, options) = (target.clone(), options.clone());
    Box::new(move |feed| Box::pin(run(target, options, feed)))
}

async fn run(target: DnsTarget, options: DnsOptions, feed: Feed) -> SourceError {
    let mut dice = Dice::new(None);
    let least = options.min_interval.max(Duration::from_secs(1));
    let refresh = options.refresh.unwrap_or(REFRESH).max(Duration::from_secs(1));
    let mut failures = 0;
    loop {
        let found = look_up(target.clone()).await;
        let answered = Instant::now();
        failures = if matches!(found, Event::Failed(_)) { failures + 1 } else { 0 };
        if let Event::Failed(error) = &found
            && error.class == ErrorClass::Config
        {
            return error.clone();
        }
        feed.send(found);
        if failures > 0 {
            let pause = Duration::from_secs(1 << failures.min(7)).min(MAX_BACKOFF);
            sleep_until(answered + dice.around(pause, 20)).await;
            continue;
        }
        // A hint that comes too early is kept until it may be followed.
        let hinted = timeout_at(answered + dice.around(refresh, 10), feed.hinted()).await.is_ok();
        if hinted {
            sleep_until(answered + least).await;
        }
    }
}

/// Asks on a thread of its own: the system's resolver blocks, for many seconds where no server answers.
async fn look_up(target: DnsTarget) -> Event {
    match tokio::task::spawn_blocking(move || system_dns::lookup(&target)).await {
        Ok(Ok(endpoints)) => reset(endpoints),
        // The system was told that there is none: that is an answer.
        Ok(Err(error)) if error.kind == LookupErrorKind::NotFound => reset(Vec::new()),
        Ok(Err(error)) => told(&error),
        Err(_) => Event::Failed(SourceError::new(ErrorClass::Protocol, "the system's resolver panicked")),
    }
}

fn reset(endpoints: Vec<Endpoint>) -> Event {
    Event::Reset { parts: vec![Part { key: String::new(), endpoints }], revision: None }
}

fn told(error: &LookupError) -> Event {
    let class = match error.kind {
        LookupErrorKind::Unsupported => ErrorClass::Config,
        _ => ErrorClass::Unreachable,
    };
    Event::Failed(SourceError::new(class, error.to_string()))
}
