//! Picks and calls: own, shared and claimed cursors, every shape, and the peers.

use crate::Others;
use crate::group::Group;
use crate::table::unit;
use evener_benches::case::Case;
use evener_benches::fleet::{Fleet, Shape, Words, own_cursor, picked};
use evener_benches::peers::floor::{self, Line};
use evener_benches::peers::{hand, pingora, tower};
use evener_benches::worker::Worker;
use evener_core::{Balancer, ClaimedCursor, Outcome, SharedCursor, Start};

/// How the callers' positions are kept.
#[derive(Clone, Copy)]
enum Kept {
    Own,
    Claimed,
    Shared,
}

/// Everything that picks among `n` endpoints on so many threads.
pub fn group(n: u32, threads: usize, others: &Others) -> Group {
    let mut group = Group::default();
    group.case(Case::new(unit::FLOOR, threads, move || floor::private_counter(n)));
    let counter: &'static Line = Box::leak(Box::default());
    group.case(Case::new(unit::LOCKED_ADD, threads, move || floor::locked_add(counter)));
    own_cursors(&mut group, n, threads);
    shared_cursors(&mut group, n, threads);
    calls(&mut group, n, threads);
    hand_rolled(&mut group, n, threads);
    libraries(&mut group, n, threads);
    other_languages(&mut group, n, threads, others);
    group
}

fn own_cursors(group: &mut Group, n: u32, threads: usize) {
    let rows = [
        ("`round_robin`", Shape::Cycle),
        ("`pick_first`", Shape::First),
        ("`pick_random`", Shape::Random),
        ("`weighted_round_robin` 3:2:1, exact schedule", Shape::MildExact),
        ("`weighted_round_robin` 1 to 100, Weyl", Shape::MildWeyl),
        ("`weighted_round_robin` 1000:1:1.., Weyl", Shape::SteepWeyl),
    ];
    for (label, shape) in rows {
        let Some(case) = pick_case(shape, Kept::Own, n, threads) else { continue };
        group.measured(label, unit::FLOOR, case);
    }
    // The same case, under the name that other languages' rows refer to.
    if let Some(case) = pick_case(Shape::Cycle, Kept::Own, n, threads) {
        group.case(case.named(unit::RUST_PICK));
    }
}

fn shared_cursors(group: &mut Group, n: u32, threads: usize) {
    let rows = [
        ("`round_robin`, shared cursor, claimed 64 at a time", Shape::Cycle, Kept::Claimed),
        ("`round_robin`, shared cursor", Shape::Cycle, Kept::Shared),
        ("`weighted_round_robin` 1 to 100, claimed", Shape::MildWeyl, Kept::Claimed),
        ("`weighted_round_robin` 1 to 100, shared cursor", Shape::MildWeyl, Kept::Shared),
    ];
    for (label, shape, kept) in rows {
        let Some(case) = pick_case(shape, kept, n, threads) else { continue };
        group.measured(label, unit::LOCKED_ADD, case);
    }
}

fn pick_case(shape: Shape, kept: Kept, n: u32, threads: usize) -> Option<Case> {
    // The controller stays, so that the balancer is not one whose controller has gone.
    let fleet: &'static Fleet = Box::leak(Box::new(shape.fleet(n)?));
    let balancer: Balancer<Words> = fleet.balancer;
    let shared: &'static SharedCursor = Box::leak(Box::new(SharedCursor::seeded(1)));
    let name = shape.name();
    Some(match kept {
        Kept::Own => Case::new(name, threads, move || {
            let cursor = own_cursor();
            move || picked(&balancer, &**cursor)
        }),
        Kept::Claimed => Case::new(name, threads, move || {
            let cursor = ClaimedCursor::new(shared);
            move || picked(&balancer, &cursor)
        }),
        Kept::Shared => Case::new(name, threads, move || move || picked(&balancer, shared)),
    })
}

fn calls(group: &mut Group, n: u32, threads: usize) {
    let Some(fleet) = Shape::Cycle.fleet(n) else { return };
    let balancer: Balancer<Words> = Box::leak(Box::new(fleet)).balancer;
    let case = Case::new("", threads, move || {
        let cursor = own_cursor();
        move || match balancer.start(&**cursor, 0) {
            Start::Started(ticket) => u64::from(balancer.finish(ticket, Outcome::Success, 1).elapsed),
            _ => u64::MAX,
        }
    });
    group.measured("`start` + `finish`, own cursor", unit::LOCKED_ADD, case);
}

fn hand_rolled(group: &mut Group, n: u32, threads: usize) {
    let list = hand::swapped(n);
    let counter: &'static Line = Box::leak(Box::default());
    let cached = list.clone();
    let case = Case::new("", threads, move || hand::arc_swap_cache(&cached));
    group.measured("arc-swap `Cache`, a counter per thread", unit::FLOOR, case);
    let loaded = list.clone();
    let case = Case::new("", threads, move || hand::arc_swap_load(&loaded));
    group.measured("arc-swap `load()`, a counter per thread", unit::FLOOR, case);
    let case = Case::new("", threads, move || hand::arc_swap_load_shared(&list, counter));
    group.measured("arc-swap `load()`, a shared counter", unit::FLOOR, case);
    let locked = hand::behind_read_write_lock(n);
    let case = Case::new("", threads, move || hand::read_write_lock(&locked, counter));
    group.measured("`RwLock<Vec>`, a shared counter", unit::FLOOR, case);
    let locked = hand::behind_mutex(n);
    let case = Case::new("", threads, move || hand::mutex(&locked));
    group.measured("`Mutex<(Vec, counter)>`", unit::FLOOR, case);
}

fn libraries(group: &mut Group, n: u32, threads: usize) {
    let balancer = pingora::load_balancer(n);
    let case = Case::new("", threads, move || pingora::select(balancer));
    group.measured("pingora-load-balancing round robin `select`", unit::FLOOR, case);
    let case = Case::new("", threads, move || tower::pending_requests(n));
    group.measured("tower p2c, pending requests, a balancer per thread", unit::FLOOR, case);
}

fn other_languages(group: &mut Group, n: u32, threads: usize, others: &Others) {
    if let Some(cpp) = &others.cpp {
        let case = |what: &str| Worker::case(cpp, &format!("{what}:{n}:{threads}"));
        group.measured("C ABI: `evener_pick`, static library", unit::RUST_PICK, case("evener_pick"));
        group.measured("C++ `shared_mutex`, a shared counter", unit::RUST_PICK, case("shared_mutex"));
        group.measured("C++ `mutex` around list and counter", unit::RUST_PICK, case("mutex"));
    }
    let Some(python) = others.python.as_ref().filter(|_| threads == 1) else { return };
    let case = |what: &str| Worker::case(python, &format!("{what}:{n}"));
    group.case(case("no_op").named(unit::PYTHON_NO_OP));
    group.measured("Python `evener.Balancer.pick`", unit::PYTHON_NO_OP, case("evener_pick"));
    group.measured("Python `next(cycle)` under a lock", unit::PYTHON_NO_OP, case("lock_cycle"));
    group.measured("Python `next(cycle)` without one", unit::PYTHON_NO_OP, case("bare_cycle"));
    group.measured("Python `random.choice`", unit::PYTHON_NO_OP, case("random_choice"));
}
