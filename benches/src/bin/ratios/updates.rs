//! Following an address list: update, publish, and comparing lists by hand.

use crate::group::Group;
use crate::table::unit;
use evener_benches::case::Case;
use evener_benches::fleet::Fleet;
use evener_benches::lists;
use evener_core::{Endpoint, Health, Limits, Policy};
use std::cell::RefCell;
use std::collections::HashSet;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Lists that are gone through in turn.
const LISTS: u32 = 8;

/// Everything that follows lists of `n` endpoints, one of which is replaced each time; the order is a new one every time.
pub fn group(n: u32) -> Group {
    let mut group = Group::default();
    by_hand(&mut group, n);
    group.measured("update: one replaced, shuffled", unit::SORT_AND_MERGE, update(n, Publish::Outside));
    group.measured("the same and publishing it", unit::SORT_AND_MERGE, update(n, Publish::Inside));
    group.measured("update: nothing changed", unit::SORT_AND_MERGE, no_change(n));
    group.measured("publishing `round_robin`", unit::SORT_AND_MERGE, publish(n, Policy::RoundRobin));
    group.measured(
        "publishing `weighted_round_robin`, Weyl",
        unit::SORT_AND_MERGE,
        publish(n, Policy::WeightedRoundRobin),
    );
    group
}

fn by_hand(group: &mut Group, n: u32) {
    let ids: Vec<Vec<u128>> = lists::replacing_one(n, LISTS).iter().map(|list| lists::ids(list)).collect();
    let (both, kept, hashed) = (ids.clone(), ids.clone(), ids);
    group.case(in_turn(unit::SORT_AND_MERGE, move |i, j| {
        timed(|| lists::sort_and_merge(black_box(&both[i]), black_box(&both[j])))
    }));
    let mut sorted = kept[0].clone();
    sorted.sort_unstable();
    let case = in_turn("", move |_, j| timed(|| lists::sort_new_and_merge(&mut sorted, black_box(&kept[j]))));
    group.measured("by hand: old list kept sorted, only the new one sorted", unit::SORT_AND_MERGE, case);
    let sets: Vec<HashSet<u128>> = hashed.iter().map(|ids| ids.iter().copied().collect()).collect();
    let case = in_turn("", move |i, j| timed(|| lists::hash_set_difference(&sets[i], black_box(&hashed[j]))));
    group.measured("by hand: difference of `HashSet`s", unit::SORT_AND_MERGE, case);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Publish {
    Inside,
    Outside,
}

fn update(n: u32, publish: Publish) -> Case {
    let all = lists::replacing_one(n, LISTS);
    let mut fleet = ready(n, &all[0], Policy::RoundRobin);
    in_turn("", move |_, j| {
        let list = black_box(&all[j]);
        let took = timed(|| {
            fleet.update(list);
            if publish == Publish::Inside {
                black_box(fleet.controller.poll(0));
            }
        });
        fleet.settle();
        took
    })
}

fn no_change(n: u32) -> Case {
    let list = lists::replacing_one(n, 1).remove(0);
    let mut fleet = ready(n, &list, Policy::RoundRobin);
    in_turn("", move |_, _| timed(|| fleet.update(black_box(&list))))
}

/// One endpoint's health goes back and forth; all of them get new rows each time.
fn publish(n: u32, policy: Policy) -> Case {
    let endpoints: Vec<Endpoint> = (0..n).map(|i| lists::endpoint(i).with_weight(1 + i * 37 % 100)).collect();
    let mut fleet = ready(n, &endpoints, policy);
    let handle = fleet.controller.handle(endpoints[0].id).expect("it is in the list");
    in_turn("", move |i, _| {
        let health = if i % 2 == 0 { Health::NotServing } else { Health::Serving };
        fleet.controller.set_health(handle, health).expect("it is in the list");
        timed(|| fleet.controller.poll(0))
    })
}

fn ready(n: u32, endpoints: &[Endpoint], policy: Policy) -> Fleet {
    let mut fleet = Fleet::empty(Limits::new(n + 1), policy);
    fleet.update(endpoints);
    fleet.settle();
    fleet
}

/// A case that goes through the lists: `step` is told which one is old and which is new, and answers how long it took.
fn in_turn(name: &str, step: impl FnMut(usize, usize) -> Duration + 'static) -> Case {
    let state = RefCell::new((0, step));
    Case::timed(name, move |times| {
        let mut state = state.borrow_mut();
        let (at, step) = &mut *state;
        let mut sum = Duration::ZERO;
        for _ in 0..times {
            let next = (*at + 1) % LISTS as usize;
            sum += step(*at, next);
            *at = next;
        }
        sum.as_nanos() as f64 / times as f64
    })
}

fn timed<T>(act: impl FnOnce() -> T) -> Duration {
    let begin = Instant::now();
    black_box(act());
    begin.elapsed()
}
