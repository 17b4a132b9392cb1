//! How far picks stray from their shares, over 10⁶ of them and from fixed positions: the largest |count − T·w/W| over every
//! prefix T and every endpoint, which is the measure that pickers are compared by.
#![cfg(not(loom))]

use evener_core::{
    Balancer, ClaimedCursor, Connectivity, Controller, Cursor, Endpoint, EndpointId, Limits, Member, Options,
    Pick, PickCursor, Policy, SharedCursor, sync::AtomicU32, words,
};
use std::sync::Arc;

const PICKS: u32 = 1_000_000;

/// A balancer whose endpoints 0, 1, 2 … are READY, with these weights.
struct Ready {
    balancer: Balancer<Arc<[AtomicU32]>>,
    /// Number of the endpoint in each slot.
    of_slot: Vec<usize>,
    _controller: Controller<Arc<[AtomicU32]>, Vec<Member>>,
}

impl Ready {
    fn new(policy: Policy, weights: &[u32], schedule: u32) -> Self {
        let limits = Limits::new(weights.len() as u32).with_schedule(schedule);
        let memory: Arc<[AtomicU32]> = (0..words(&limits)).map(|_| AtomicU32::new(0)).collect();
        let members = vec![Member::EMPTY; weights.len()];
        let mut controller = Controller::claim(memory, members, limits, Options::default()).unwrap();
        controller.set_policy(policy);
        let ids = || (1_u128..).map(EndpointId::from_raw);
        let list: Vec<Endpoint> =
            ids().zip(weights).map(|(id, &weight)| Endpoint::new(id).with_weight(weight)).collect();
        controller.update(&list).unwrap();
        let mut of_slot = vec![usize::MAX; weights.len()];
        for (number, endpoint) in list.iter().enumerate() {
            let handle = controller.handle(endpoint.id).unwrap();
            controller.set_connectivity(handle, Connectivity::Ready).unwrap();
            of_slot[usize::from(handle.slot())] = number;
        }
        while controller.poll(0).is_some() {}
        Self { balancer: controller.balancer(), of_slot, _controller: controller }
    }

    fn pick(&self, cursor: &impl PickCursor) -> usize {
        match self.balancer.pick(cursor) {
            Pick::Complete(handle) => self.of_slot[usize::from(handle.slot())],
            other => panic!("{other:?} with READY endpoints"),
        }
    }

    /// The largest error over all prefixes of 10⁶ picks from step `from` on. The error of an endpoint is largest just before
    /// or just after one of its picks, so only the picked one is looked at.
    fn error(&self, weights: &[u32], from: u32) -> f64 {
        let cursor = Cursor::at(from, 1);
        let sum: u64 = weights.iter().map(|&w| u64::from(w)).sum();
        let mut counts = vec![0_u32; weights.len()];
        let mut worst = 0_f64;
        for picks in 0..PICKS {
            let number = self.pick(&cursor);
            let share = f64::from(weights[number]) / sum as f64;
            let before = f64::from(counts[number]) - f64::from(picks) * share;
            counts[number] += 1;
            let after = before + 1.0 - share;
            worst = worst.max(before.abs()).max(after.abs());
        }
        for (count, &weight) in counts.iter().zip(weights) {
            worst = worst.max((f64::from(*count) - f64::from(PICKS) * f64::from(weight) / sum as f64).abs());
        }
        worst
    }
}

/// The generator of the random weights: xorshift64* (Vigna 2016), seeded.
fn random_weights(n: usize, seed: u64) -> Vec<u32> {
    let mut state = seed;
    (0..n)
        .map(|_| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            1 + (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as u32 % 100
        })
        .collect()
}

fn one_of_1000(n: usize) -> Vec<u32> {
    (0..n).map(|i| if i == 0 { 1000 } else { 1 }).collect()
}

#[test]
fn round_robin_is_never_a_whole_pick_off() {
    for n in [1, 2, 3, 64, 1000] {
        let weights = vec![1; n];
        let ready = Ready::new(Policy::RoundRobin, &weights, 0);
        for from in [0, 1, 12_345] {
            let error = ready.error(&weights, from);
            assert!(error <= 1.0, "{n} endpoints from {from}: {error}");
        }
    }
}

#[test]
fn equal_weights_go_in_turn() {
    for n in [3, 64, 10_000] {
        let weights = vec![7; n];
        let error = Ready::new(Policy::WeightedRoundRobin, &weights, 0).error(&weights, 0);
        assert!(error <= 1.0, "{n} equal weights: {error}");
    }
}

/// From the beginning of the schedule no prefix is a whole pick off. From anywhere else a prefix is the difference of two such
/// ones, so it is less than two off; and the bound is Tijdeman's, 1 − 1 / (2n − 2) for each of the two.
#[test]
fn the_exact_schedule_keeps_its_bound() {
    let sets = [
        vec![3, 2, 1],
        vec![5, 1, 1],
        vec![1, 1000],
        random_weights(64, 1),
        one_of_1000(64),
        vec![300, 200, 100],
        (1..=20).collect(),
    ];
    for weights in sets {
        let ready = Ready::new(Policy::WeightedRoundRobin, &weights, 4096);
        let bound = 1.0 - 1.0 / (2.0 * weights.len() as f64 - 2.0);
        let length: u32 = weights.iter().sum();
        for (from, bound) in [(0, bound), (7 * length, bound), (1, 2.0 * bound), (length / 2, 2.0 * bound)] {
            let error = ready.error(&weights, from);
            assert!(error <= bound + 1e-6, "{weights:?} from {from}: {error} > {bound}");
        }
    }
}

/// Every weight set that such pickers are compared by; without a schedule, so that the Weyl sequence serves.
#[test]
fn weyl_strays_by_five_at_most() {
    let sets = [
        vec![3, 2, 1],
        vec![5, 1, 1],
        random_weights(64, 1),
        one_of_1000(64),
        random_weights(1024, 2),
        one_of_1000(1024),
        // All but equal: what equal weights would make of the sequence, were they not taken in turn.
        nearly_equal(3),
        nearly_equal(64),
        nearly_equal(10_000),
    ];
    for weights in sets {
        let ready = Ready::new(Policy::WeightedRoundRobin, &weights, 0);
        let error = ready.error(&weights, 0);
        assert!(error <= 5.0, "{} weights, the first {}: {error}", weights.len(), weights[0]);
    }
}

/// The sequence is the same wherever a cursor begins, so a prefix from elsewhere is the difference of two prefixes.
#[test]
fn weyl_from_anywhere_strays_by_twice_that_at_most() {
    for weights in [vec![3, 2, 1], vec![5, 1, 1], random_weights(64, 1), one_of_1000(64)] {
        let ready = Ready::new(Policy::WeightedRoundRobin, &weights, 0);
        for from in [1, 4_181, 123_456_789, 2_147_483_647] {
            let error = ready.error(&weights, from);
            assert!(error <= 10.0, "{} weights from {from}: {error}", weights.len());
        }
    }
}

fn nearly_equal(n: usize) -> Vec<u32> {
    (0..n).map(|i| if i == 0 { 1001 } else { 1000 }).collect()
}

#[test]
fn random_picks_are_as_even_as_chance_makes_them() {
    let ready = Ready::new(Policy::PickRandom, &[1; 10], 0);
    let cursor = Cursor::seeded(1);
    let mut counts = [0_u32; 10];
    (0..PICKS).for_each(|_| counts[ready.pick(&cursor)] += 1);
    // 10⁵ ± 300 is one standard deviation; five of them never happen by chance, and the seed is fixed.
    assert!(counts.iter().all(|count| count.abs_diff(100_000) < 1_500), "{counts:?}");
}

/// Two threads on one shared cursor: over both, every endpoint is picked exactly as often as the others.
#[test]
fn a_shared_cursor_is_exact_over_threads() {
    let ready = Ready::new(Policy::RoundRobin, &[1; 8], 0);
    let cursor = SharedCursor::seeded(3);
    let counts = over_threads(|_| (0..PICKS / 2).map(|_| ready.pick(&cursor)).collect());
    assert!(counts.iter().all(|&count| count == PICKS / 8), "{counts:?}");
}

/// Cursors of their own: each thread is within one pick for itself, so two are within two.
#[test]
fn own_cursors_are_even_over_threads() {
    let ready = Ready::new(Policy::RoundRobin, &[1; 8], 0);
    let counts = over_threads(|seed| {
        let cursor = Cursor::seeded(seed);
        (0..PICKS / 2).map(|_| ready.pick(&cursor)).collect()
    });
    assert!(counts.iter().all(|count| count.abs_diff(PICKS / 8) <= 2), "{counts:?}");
}

/// Claimed cursors: what is claimed and not used is missing, at most 64 steps for each thread.
#[test]
fn claimed_cursors_are_even_over_threads() {
    let ready = Ready::new(Policy::RoundRobin, &[1; 8], 0);
    let shared = SharedCursor::seeded(3);
    let counts = over_threads(|_| {
        let cursor = ClaimedCursor::new(&shared);
        (0..PICKS / 2).map(|_| ready.pick(&cursor)).collect()
    });
    assert!(counts.iter().all(|count| count.abs_diff(PICKS / 8) <= 2 * 64 / 8), "{counts:?}");
}

fn over_threads(picks: impl Fn(u64) -> Vec<usize> + Sync) -> [u32; 8] {
    let mut counts = [0; 8];
    let all: Vec<Vec<usize>> = std::thread::scope(|scope| {
        let threads: Vec<_> = [1, 2]
            .map(|seed| {
                scope.spawn({
                    let picks = &picks;
                    move || picks(seed)
                })
            })
            .into();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    all.iter().flatten().for_each(|&number| counts[number] += 1);
    counts
}
