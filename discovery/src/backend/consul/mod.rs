//! Consul: a service's instances by blocking queries on its health, and keys as live configuration.
//!
//! A small client of its own on a general HTTP library: no timer and no connection is shared with anything else.

mod acl;
pub(crate) mod api;
mod blocking;
mod config;
mod gather;
mod place;
mod poller;
pub(crate) mod settings;
mod subset;

use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Notify, mpsc};

pub use config::config;

use super::{Feed, Opener, Running};
use crate::event::{ErrorClass, SourceError};
use crate::runtime::{Dice, WatchOptions};
use crate::target::ConsulTarget;
use api::Api;
use gather::{Gather, Report};
use place::PlaceWatch;
use settings::Settings;

/// The instances of a service. Nothing is connected yet.
///
/// Each place of the target has a watch of its own, with an index of its own; their order makes the tiers.
///
/// # Errors
/// The target or an option is wrong ([`ErrorClass::Config`]).
pub fn open(target: &ConsulTarget, options: &WatchOptions) -> Result<Opener, SourceError> {
    if target.service.ends_with('/') {
        let text = format!(
            "invalid target: path: `{}` is a prefix of keys; a service has no / at its end",
            target.service
        );
        return Err(refused(&text));
    }
    let settings = Settings::new(target, &options.credentials, &environment)?;
    let mut dice = Dice::new(options.seed);
    // Two watches of one service in one process use the same part of it.
    let part = options.seed.unwrap_or_else(subset::of_this_process);
    let target = target.clone();
    Ok(Box::new(move |feed| {
        let api = Arc::new(Api::new(settings));
        let hints: Vec<Arc<Notify>> = target.places.iter().map(|_| Arc::new(Notify::new())).collect();
        let place = |(number, hint): (usize, &Arc<Notify>)| {
            let dice = Dice::new(Some(dice.roll()));
            PlaceWatch::new(&api, &target, number, Arc::clone(hint), dice, part)
        };
        let watches: Vec<PlaceWatch> = hints.iter().enumerate().map(place).collect();
        run(feed, Gather::new(&target.places), watches, hints)
    }))
}

fn run(feed: Feed, mut gather: Gather, watches: Vec<PlaceWatch>, hints: Vec<Arc<Notify>>) -> Running {
    Box::pin(async move {
        let (sender, mut reports) = mpsc::unbounded_channel::<(usize, Report)>();
        let watch = |(number, watch): (usize, PlaceWatch)| {
            let sender = sender.clone();
            // The receiver outlives every watch.
            watch.run(move |report| drop(sender.send((number, report))))
        };
        let mut running: FuturesUnordered<_> = watches.into_iter().enumerate().map(watch).collect();
        loop {
            tokio::select! {
                Some((number, report)) = reports.recv() => {
                    gather.report(number, report).into_iter().for_each(|event| feed.send(event));
                }
                Some(error) = running.next() => return error,
                () = feed.hinted() => hints.iter().for_each(|hint| hint.notify_one()),
            }
        }
    })
}

/// The environment of this process.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn refused(text: &str) -> SourceError {
    SourceError::new(ErrorClass::Config, text)
}
