//! What keeps a watch's snapshot on disk, and takes it from there where the source does not answer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::task::spawn_blocking;
use tokio::time::{sleep_until, timeout_at};

use super::NEVER;
use super::shared::{Companion, News, Shared};
use crate::pipeline::{Pipeline, State, Status};
use crate::snapshot::{Restored, SaveSchedule, SnapshotFile, Store};

/// For so long a source may answer before what is on disk is used. A source that says that it cannot be asked is not
/// waited for: at every start of a client whose registry is well, what has left since would come back for a while.
const GRACE: Duration = Duration::from_secs(1);

/// The keeper of a watch, if its options want one.
pub(super) fn keeper(shared: Arc<Shared<Pipeline>>) -> Option<Companion> {
    let directory = shared.options().snapshot_dir.clone()?;
    Some(Box::pin(keep(shared, directory)))
}

async fn keep(shared: Arc<Shared<Pipeline>>, directory: PathBuf) {
    let mut news = shared.news();
    let store = Store::new(directory);
    restore(&shared, &mut news, &store).await;
    let mut schedule = SaveSchedule::default();
    loop {
        let now = Instant::now();
        let status = shared.status(now);
        if schedule.is_due(&status, now) {
            save(&shared, &store, &status).await;
            schedule.saved(&status, now);
            continue;
        }
        let next = schedule.next(&status, now).unwrap_or(now + NEVER);
        tokio::select! {
            () = news.heard() => {}
            () = sleep_until(next.into()) => {}
        }
    }
}

/// Reads what is on disk at once, and uses it when the source has failed or has been silent for a while.
async fn restore(shared: &Arc<Shared<Pipeline>>, news: &mut News, store: &Store) {
    let until = Instant::now() + GRACE;
    let (store, text, max_age) = (store.clone(), shared.text().to_owned(), shared.options().snapshot_max_age);
    let loaded = spawn_blocking(move || store.load(&text, max_age, SystemTime::now())).await;
    let read = Instant::now();
    let restored = match loaded {
        Ok(Ok(Some(restored))) => restored,
        Ok(Ok(None)) => return,
        Ok(Err(error)) => return shared.set_remark(Some(error.to_string())),
        Err(_) => return shared.set_remark(Some("reading the snapshot panicked".to_owned())),
    };
    while !failed(&shared.status(Instant::now())) {
        if timeout_at(until.into(), news.heard()).await.is_err() {
            break;
        }
    }
    let now = Instant::now();
    let Restored { endpoints, service_config, age, .. } = restored;
    // Where the source has answered meanwhile this does nothing.
    shared.with(|pipeline| pipeline.restore(endpoints, service_config, age + (now - read), now));
    shared.touch();
}

fn failed(status: &Status) -> bool {
    status.last_error.is_some() || status.state != State::Unknown
}

async fn save(shared: &Arc<Shared<Pipeline>>, store: &Store, status: &Status) {
    let Some(snapshot) = shared.latest() else { return };
    let now = SystemTime::now();
    let file = SnapshotFile {
        target: shared.text().to_owned(),
        as_of: now.checked_sub(status.age.unwrap_or_default()).unwrap_or(now),
        revision: snapshot.revision.as_deref().map(str::to_owned),
        service_config: snapshot.service_config.as_deref().map(str::to_owned),
        // Not what probes say: they will say so again, or something else.
        endpoints: shared.with(|pipeline| pipeline.reported()),
    };
    let store = store.clone();
    let remark = match spawn_blocking(move || store.save(&file)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("writing the snapshot panicked".to_owned()),
    };
    shared.set_remark(remark);
}
