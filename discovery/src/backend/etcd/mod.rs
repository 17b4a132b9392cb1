//! etcd: all keys below a service's prefixes are read at one revision and then watched from the next one on.
//!
//! - **No gap**: the watch begins right after the revision that was read, and a response of the watch, which holds whole
//!   revisions, is taken over as a whole.
//! - **No end**: whatever ends a watch (compaction, a lost leader, an expired token, a broken connection) begins it
//!   anew, after a pause with jitter where it was not our own doing. Everything is read again then and told as one
//!   `Reset`, since a server that comes back may have lost its data and counted on. Only a connection that is
//!   replaced by ours (another token, other certificates) goes on at the next revision. A prefix that the user may not
//!   read is left out, and read once it may.
//! - **No silence**: members without a leader are refused and left for another; a connection is pinged every 6 s; a
//!   watch that says nothing for 30 s is asked how far it is, and at a hint, once in 5 s at most. A cluster that cannot agree while nothing is known yet is
//!   read from the one member that answers, and that is said.
//! - **One authentication per connection**, and another one where etcd says, in one of its three ways, that the token no
//!   longer counts. A wrong password is tried again after 5 s at the soonest, and looked up again before.

mod config;
pub(crate) mod connect;
pub(crate) mod failure;
mod follow;
mod list;
mod records;
mod sink;
#[cfg(test)]
mod tests;
mod watch;

use crate::backend::Opener;
use crate::config_watch::ConfigOpener;
use crate::event::{ErrorClass, SourceError};
use crate::runtime::{Dice, WatchOptions};
use crate::target::{EtcdTarget, Target};
use config::{Place, Settings};
use connect::Connector;
use follow::Follower;
use list::Range;
use records::Records;

/// Watches the records of a service. Nothing is connected yet.
///
/// # Errors
/// The environment names servers that are none.
pub fn open(target: &EtcdTarget, options: &WatchOptions) -> Result<Opener, SourceError> {
    let mut dice = Dice::new(options.seed);
    let connector = Connector::new(target, &options.credentials, dice.roll())?;
    let ranges = target.prefixes().iter().map(|prefix| Range::prefix(prefix)).collect();
    Ok(Box::new(move |feed| {
        let follower = Follower::new(connector, ranges, Records::new(feed), dice);
        Box::pin(follower.run())
    }))
}

/// Watches a configuration: the keys below `etcd:///prefix/`, or the one key of `etcd:///key`. Where the path has no
/// slash in front of it the keys with one are read too. Nothing is connected yet.
///
/// # Errors
/// The text is no etcd target, or the environment names servers that are none.
pub fn config(target: &str, options: &WatchOptions) -> Result<ConfigOpener, SourceError> {
    let refused = |reason: String| SourceError::new(ErrorClass::Config, reason);
    let parsed = Target::parse(target).map_err(|error| refused(error.to_string()))?;
    let Target::Etcd(parsed) = parsed else { return Err(refused(format!("{target} is no etcd: target"))) };
    let mut dice = Dice::new(options.seed);
    let connector = Connector::new(&parsed, &options.credentials, dice.roll())?;
    let place = Place::new(&parsed.uri.path);
    Ok(Box::new(move |feed| {
        let ranges = place.ranges();
        let follower = Follower::new(connector, ranges, Settings::new(feed, place), dice);
        Box::pin(follower.run())
    }))
}
