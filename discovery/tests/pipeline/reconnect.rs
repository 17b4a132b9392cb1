//! A thousand clients lose their registry at the same moment.

use std::time::{Duration, Instant};

use evener_discovery::pipeline::{Reconnect, ReconnectOptions};

use crate::world::{ms, seconds};

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// No bin of a time has more than five times its share.
fn assert_spread(times: &[Duration], from: Duration, to: Duration, bin: Duration) {
    let bins = ((to - from).as_nanos() / bin.as_nanos()) as usize;
    let mut counts = vec![0_usize; bins];
    let within: Vec<_> = times.iter().filter(|time| (from..to).contains(*time)).collect();
    for time in &within {
        counts[((**time - from).as_nanos() / bin.as_nanos()) as usize] += 1;
    }
    let most = counts.iter().max().copied().unwrap_or_default();
    assert!(most * bins <= 5 * within.len(), "{most} of {} in one of {bins} bins: {counts:?}", within.len());
}

#[test]
fn a_thousand_clients_come_back_spread() {
    const CLIENTS: u64 = 1000;
    let down = seconds(600);
    let start = Instant::now();
    let (mut first, mut attempts, mut returns) = (Vec::new(), Vec::new(), Vec::new());
    for client in 0..CLIENTS {
        let mut random = Random(client);
        let mut reconnect = Reconnect::default();
        reconnect.connected(start);
        let lost = start + seconds(3600);
        reconnect.lost(lost);
        let mut elapsed = Duration::ZERO;
        for attempt in 0.. {
            elapsed += reconnect.next(lost + elapsed, random.next());
            if attempt == 0 {
                first.push(elapsed);
            }
            if elapsed >= down {
                returns.push(elapsed);
                break;
            }
            attempts.push(elapsed);
        }
    }
    assert_eq!(returns.len() as u64, CLIENTS, "all of them come back");
    assert!(returns.iter().all(|at| *at <= down + seconds(60)), "and none later than the longest wait");
    assert_spread(&first, Duration::ZERO, seconds(5), ms(100));
    assert_spread(&attempts, Duration::ZERO, seconds(60), seconds(1));
    assert_spread(&attempts, seconds(60), down, seconds(1));
    assert_spread(&returns, down, down + seconds(60), seconds(1));
}

#[test]
fn waits_grow_within_their_bounds_and_never_end() {
    let start = Instant::now();
    let mut random = Random(7);
    let mut reconnect = Reconnect::default();
    let mut last = ms(100);
    let mut longest = Duration::ZERO;
    for _ in 0..100_000 {
        let wait = reconnect.next(start, random.next());
        assert!(wait >= ms(100) && wait <= (last * 3).min(seconds(60)), "{wait:?} after {last:?}");
        longest = longest.max(wait);
        last = wait;
    }
    assert!(longest > seconds(55), "{longest:?}");
    assert_eq!(reconnect.attempts(), 100_000);
}

#[test]
fn only_a_connection_that_lasts_starts_anew() {
    let start = Instant::now();
    let mut reconnect = Reconnect::default();
    let highest = |reconnect: &mut Reconnect, now| reconnect.next(now, u64::MAX);
    let mut waits: Vec<Duration> = Vec::new();
    for _ in 0..8 {
        // It is accepted, and dropped after 29 s.
        reconnect.connected(start);
        waits.push(highest(&mut reconnect, start + seconds(29)));
    }
    assert!(waits.is_sorted() && waits[7] > seconds(59), "{waits:?}");

    reconnect.connected(start);
    reconnect.lost(start + seconds(30));
    assert_eq!(reconnect.attempts(), 0);
    let splay = highest(&mut reconnect, start + seconds(30));
    assert!(splay > ms(4999) && splay <= seconds(5), "{splay:?}");
    let after = highest(&mut reconnect, start + seconds(30));
    assert!(after > seconds(14) && after <= seconds(15), "{after:?}: spread as widely as the first");
}

#[test]
fn a_watch_that_is_renewed_goes_on_being_the_same_healthy_time() {
    let start = Instant::now();
    let mut reconnect = Reconnect::default();
    for renewed in [0, 20, 40] {
        reconnect.connected(start + seconds(renewed));
    }
    let splay = reconnect.next(start + seconds(45), u64::MAX);
    assert!(splay > ms(4999), "{splay:?}: 45 s are a healthy time, however often it was renewed");
}

#[test]
fn a_client_that_never_was_connected_begins_with_the_shortest_waits() {
    let start = Instant::now();
    let mut reconnect = Reconnect::default();
    assert_eq!(reconnect.next(start, 0), ms(100));
    let mut reconnect =
        Reconnect::new(ReconnectOptions { base: seconds(2), cap: seconds(1), ..ReconnectOptions::default() });
    assert_eq!(reconnect.next(start, u64::MAX), seconds(2), "a range upside down is its lower end");
}
