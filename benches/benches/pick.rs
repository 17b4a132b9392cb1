//! Every policy, size, cursor and number of threads, one by one: for following a case over time. Ratios: `cargo xtask bench`.

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "the macro's main function")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use evener_benches::case::Case;
use evener_benches::fleet::{Fleet, Shape, own_cursor, picked};
use evener_benches::peers::floor::{self, Line};
use evener_core::{ClaimedCursor, Outcome, SharedCursor, Start};
use std::time::Duration;

const SIZES: [u32; 4] = [3, 64, 1024, 10_000];

fn picks(criterion: &mut Criterion) {
    for threads in [1, 2] {
        floors(criterion, threads);
        for shape in Shape::ALL {
            for n in SIZES {
                let Some(fleet) = shape.fleet(n) else { continue };
                shaped(criterion, shape, n, threads, Box::leak(Box::new(fleet)));
            }
        }
    }
}

fn floors(criterion: &mut Criterion, threads: usize) {
    measure(
        criterion,
        "floor",
        "private counter",
        64,
        Case::new("", threads, || floor::private_counter(64)),
        threads,
    );
    let counter: &'static Line = Box::leak(Box::default());
    let case = Case::new("", threads, move || floor::locked_add(counter));
    measure(criterion, "floor", "locked add", 64, case, threads);
}

fn shaped(criterion: &mut Criterion, shape: Shape, n: u32, threads: usize, fleet: &'static Fleet) {
    let balancer = fleet.balancer;
    let shared: &'static SharedCursor = Box::leak(Box::new(SharedCursor::seeded(1)));
    let own = Case::new("", threads, move || {
        let cursor = own_cursor();
        move || picked(&balancer, &**cursor)
    });
    measure(criterion, shape.name(), "own cursor", n, own, threads);
    let claimed = Case::new("", threads, move || {
        let cursor = ClaimedCursor::new(shared);
        move || picked(&balancer, &cursor)
    });
    measure(criterion, shape.name(), "claimed", n, claimed, threads);
    let stepped = Case::new("", threads, move || move || picked(&balancer, shared));
    measure(criterion, shape.name(), "shared cursor", n, stepped, threads);
    let calls = Case::new("", threads, move || {
        let cursor = own_cursor();
        move || match balancer.start(&**cursor, 0) {
            Start::Started(ticket) => u64::from(balancer.finish(ticket, Outcome::Success, 1).elapsed),
            _ => u64::MAX,
        }
    });
    measure(criterion, shape.name(), "start and finish", n, calls, threads);
}

fn measure(criterion: &mut Criterion, group: &str, what: &str, n: u32, case: Case, threads: usize) {
    let mut group = criterion.benchmark_group(group);
    group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(300));
    let id = BenchmarkId::new(format!("{what}, {threads} thread(s)"), n);
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|times| Duration::from_nanos((case.run(times) * times as f64) as u64));
    });
    group.finish();
}

criterion_group!(all, picks);
criterion_main!(all);
