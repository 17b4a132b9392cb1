//! Writes at a steady pace, picks all the time, and when the one shows in the other.

use crate::registries::Registry;
use evener_channel::{Action, Channel, ChannelOptions, Connectivity, Driver, StartCall};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// As little as two cores can bear beside a registry, and far below what is measured.
const BETWEEN_PICKS: Duration = Duration::from_micros(300);
/// More than the list is long: in a round of picks each endpoint has its turn.
const ROUND: usize = 40;
const LIMIT: Duration = Duration::from_secs(60);
/// How many addresses a list holds. Where one write follows the other, an endpoint so outlives the longest time that a change waits for others, and
/// none is gone before it could be picked: those that come late count as well.
const KEPT: usize = 32;

/// How long each of `samples` writes, `pause` apart, took to be honoured by a pick.
pub fn latencies(registry: &dyn Registry, samples: usize, pause: Duration) -> Result<Vec<Duration>, String> {
    let hosts: Vec<String> =
        (0..samples + KEPT).map(|number| format!("10.9.{}.{}", number / 250, number % 250 + 1)).collect();
    registry.set(hosts.get(..KEPT).unwrap_or_default());
    let driver = Driver::new().map_err(|error| error.to_string())?;
    // Removals at once, or the list would grow; additions are as they are by default.
    let mut options = ChannelOptions::default();
    options.pipeline.removal_epoch = Duration::ZERO;
    let channel =
        Channel::open(&driver, &registry.target(), options, 1).map_err(|error| error.to_string())?;
    let over = AtomicBool::new(false);
    let result = thread::scope(|scope| {
        scope.spawn(|| transport(&driver, &channel, &over));
        let result = race(registry, &channel, &hosts, pause);
        over.store(true, Ordering::Release);
        result
    });
    channel.close();
    driver.shutdown();
    result
}

/// Connections are there as soon as they are wanted.
fn transport(driver: &Driver, channel: &Channel, over: &AtomicBool) {
    while !over.load(Ordering::Acquire) {
        let Some(event) = driver.next(Some(Duration::from_millis(100))) else { continue };
        match event.action {
            Action::Connect { endpoint } => {
                channel.set_state(endpoint, Connectivity::Ready, "");
            }
            Action::Close { endpoint } => {
                channel.closed(endpoint);
            }
            _ => {}
        }
    }
}

/// Writes on one thread, picks on this one.
fn race(
    registry: &dyn Registry,
    channel: &Channel,
    hosts: &[String],
    pause: Duration,
) -> Result<Vec<Duration>, String> {
    let mut seen = BTreeMap::new();
    let first = hosts.get(..KEPT).unwrap_or_default();
    look_until(channel, &mut seen, |seen| first.iter().all(|host| seen.contains_key(&target(host))))?;
    let new = hosts.get(KEPT..).unwrap_or_default();
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(registry, hosts, pause));
        look_until(channel, &mut seen, |_| writer.is_finished())?;
        let written = writer.join().map_err(|_| "the registry refused a write")?;
        // What is replaced before it is picked was not missed: only the last one must show.
        look_until(channel, &mut seen, |seen| {
            new.last().is_none_or(|host| seen.contains_key(&target(host)))
        })?;
        let latency = |(host, written): (&String, Instant)| {
            seen.get(&target(host)).map(|seen| seen.saturating_duration_since(written))
        };
        Ok(new.iter().zip(written).filter_map(latency).collect())
    })
}

/// Adds one host at a time and takes the oldest away; when each write began.
fn write(registry: &dyn Registry, hosts: &[String], pause: Duration) -> Vec<Instant> {
    let mut written = Vec::new();
    let begun = Instant::now();
    for (number, list) in hosts.windows(KEPT + 1).enumerate() {
        let due = begun + pause * u32::try_from(number).unwrap_or(u32::MAX);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        written.push(Instant::now());
        registry.set(list.get(1..).unwrap_or_default());
    }
    written
}

/// Picks until it is so, and notes when each endpoint was picked first.
fn look_until(
    channel: &Channel,
    seen: &mut BTreeMap<String, Instant>,
    done: impl Fn(&BTreeMap<String, Instant>) -> bool,
) -> Result<(), String> {
    let mut last = Instant::now();
    let mut known = seen.len();
    while !done(seen) {
        for _ in 0..ROUND {
            if let StartCall::Started(ticket) = channel.start_call("/evener.Bench/Pick", Some(true)) {
                let picked = channel.endpoint_target(ticket.endpoint());
                channel.finish_call(ticket, evener_channel::CallReport::default());
                if let Some(picked) = picked {
                    seen.entry(picked).or_insert_with(Instant::now);
                }
            }
        }
        if seen.len() > known {
            (known, last) = (seen.len(), Instant::now());
        }
        if last.elapsed() > LIMIT {
            return Err(format!("nothing new for {LIMIT:?}: {}", channel.describe()));
        }
        thread::sleep(BETWEEN_PICKS);
    }
    Ok(())
}

/// As a channel names an endpoint to its transport.
fn target(host: &str) -> String {
    format!("ipv4:{host}:{}", crate::registries::PORT)
}
