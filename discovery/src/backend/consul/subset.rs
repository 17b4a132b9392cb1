//! A few of many: which instances one process uses where it is told not to use all.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::process;
use std::sync::OnceLock;

use siphasher::sip::SipHasher13;

use crate::model::{Condition, Endpoint};

/// What chooses this process's part unless it is told otherwise: the same number for as long as the process lives, another one
/// for another process. A forked child has its parent's keys and a number of its own.
pub(crate) fn of_this_process() -> u64 {
    static KEYS: OnceLock<RandomState> = OnceLock::new();
    KEYS.get_or_init(RandomState::new).hash_one(process::id())
}

/// The endpoints of a place that this process uses: the first `limit` that can take calls in an order of its own
/// (rendezvous hashing, Thaler and Ravishankar 1996), with those between them that cannot, which are so known to be
/// unhealthy rather than gone.
///
/// Each process has another order, so that all together use all. An endpoint that comes or goes changes at most one place
/// of a process's choice.
pub(crate) fn choose(endpoints: Vec<Endpoint>, limit: Option<u32>, seed: u64) -> Vec<Endpoint> {
    let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) else { return endpoints };
    let mut ranked: Vec<(u64, Endpoint)> =
        endpoints.into_iter().map(|endpoint| (rank(&endpoint, seed), endpoint)).collect();
    ranked.sort_by(|(one, a), (other, b)| one.cmp(other).then_with(|| a.addresses.cmp(&b.addresses)));
    let mut able = 0;
    let mut chosen: Vec<Endpoint> = ranked
        .into_iter()
        .map(|(_, endpoint)| endpoint)
        .take_while(|endpoint| {
            let is_wanted = able < limit;
            able += usize::from(endpoint.condition == Condition::Ready && endpoint.weight > 0);
            is_wanted
        })
        .collect();
    chosen.sort_by(|one, other| one.addresses.cmp(&other.addresses));
    chosen
}

fn rank(endpoint: &Endpoint, seed: u64) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(seed, !seed);
    for address in &endpoint.addresses {
        let bytes = address.identity();
        hasher.write_usize(bytes.len());
        hasher.write(&bytes);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn endpoints(count: u16) -> Vec<Endpoint> {
        (1..=count).map(|port| format!("10.0.0.1:{port}").parse().unwrap()).collect()
    }

    #[test]
    fn processes_differ_and_together_use_all() {
        let all = endpoints(20);
        assert_eq!(choose(all.clone(), None, 7), all);
        assert_eq!(choose(all.clone(), Some(30), 7), all);
        let mut used = BTreeSet::new();
        for seed in 0..100 {
            let chosen = choose(all.clone(), Some(5), seed);
            assert_eq!(chosen.len(), 5);
            assert_eq!(chosen, choose(all.clone(), Some(5), seed));
            used.extend(chosen.iter().map(ToString::to_string));
        }
        assert_eq!(used.len(), 20);
    }

    #[test]
    fn a_process_has_one_number() {
        assert_eq!(of_this_process(), of_this_process());
    }

    proptest! {
        #[test]
        fn one_that_goes_or_fails_changes_one_place(count in 2..40_u16, limit in 1..10_u32, seed: u64, which: prop::sample::Index) {
            let all = endpoints(count);
            let at = which.index(all.len());
            let before: BTreeSet<String> = names(&choose(all.clone(), Some(limit), seed));
            let mut fewer = all.clone();
            let gone = fewer.remove(at).to_string();
            let after = names(&choose(fewer, Some(limit), seed));
            prop_assert!(after.difference(&before).count() <= 1);
            prop_assert!(before.difference(&after).all(|name| *name == gone));

            let mut sick = all;
            sick[at].condition = Condition::Unhealthy;
            let chosen = choose(sick, Some(limit), seed);
            // A chosen one that fails is still known, as unhealthy, and another one takes its place.
            prop_assert!(chosen.iter().any(|endpoint| endpoint.condition == Condition::Unhealthy) || !before.contains(&gone));
            let able = chosen.iter().filter(|endpoint| endpoint.condition == Condition::Ready).count();
            prop_assert_eq!(able, usize::from(count - 1).min(limit as usize));
        }
    }

    fn names(endpoints: &[Endpoint]) -> BTreeSet<String> {
        endpoints.iter().map(|endpoint| endpoint.addresses[0].to_string()).collect()
    }
}
