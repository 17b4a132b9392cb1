//! Following address lists: update, publication, and the comparison by hand. Ratios: `cargo xtask bench`.

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "the macro's main function")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use evener_benches::fleet::Fleet;
use evener_benches::lists;
use evener_core::{Health, Limits, Policy};
use std::hint::black_box;
use std::time::{Duration, Instant};

const SIZES: [u32; 4] = [3, 64, 1024, 10_000];

fn updates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("update");
    group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(500));
    for n in SIZES {
        let all = lists::replacing_one(n, 8);
        let mut fleet = Fleet::empty(Limits::new(n + 1), Policy::RoundRobin);
        let mut turn = all.iter().cycle();
        group.bench_function(BenchmarkId::new("one replaced, shuffled", n), |bencher| {
            bencher.iter_custom(|times| {
                let mut sum = Duration::ZERO;
                for list in turn.by_ref().take(times as usize) {
                    let begin = Instant::now();
                    fleet.update(black_box(list));
                    sum += begin.elapsed();
                    fleet.settle();
                }
                sum
            });
        });
        group.bench_function(BenchmarkId::new("nothing changed", n), |bencher| {
            fleet.update(&all[0]);
            fleet.settle();
            bencher.iter(|| fleet.update(black_box(&all[0])));
        });
        let (old, new) = (lists::ids(&all[0]), lists::ids(&all[1]));
        group.bench_function(BenchmarkId::new("by hand: sort and merge", n), |bencher| {
            bencher.iter(|| lists::sort_and_merge(black_box(&old), black_box(&new)));
        });
    }
    group.finish();
}

fn publications(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish");
    group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(500));
    for (name, policy) in
        [("round_robin", Policy::RoundRobin), ("weighted, Weyl", Policy::WeightedRoundRobin)]
    {
        for n in SIZES {
            let list: Vec<_> = (0..n).map(|i| lists::endpoint(i).with_weight(1 + i * 37 % 100)).collect();
            let mut fleet = Fleet::empty(Limits::new(n), policy);
            fleet.update(&list);
            fleet.settle();
            let handle = fleet.controller.handle(list[0].id).expect("it is in the list");
            let mut health = [Health::NotServing, Health::Serving].into_iter().cycle();
            group.bench_function(BenchmarkId::new(name, n), |bencher| {
                bencher.iter(|| {
                    let next = health.next().expect("a cycle does not end");
                    fleet.controller.set_health(handle, next).expect("it is in the list");
                    black_box(fleet.controller.poll(0))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(all, updates, publications);
criterion_main!(all);
