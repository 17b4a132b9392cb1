//! pingora-load-balancing: round robin over healthy backends. Its `select` also looks a backend's health up and clones it.

use crate::lists::address;
use pingora_load_balancing::LoadBalancer;
use pingora_load_balancing::selection::RoundRobin;

/// A load balancer over `n` addresses.
pub fn load_balancer(n: u32) -> &'static LoadBalancer<RoundRobin> {
    let addresses: Vec<String> = (0..n).map(address).collect();
    let made = LoadBalancer::try_from_iter(addresses).expect("literal addresses are parsed at once");
    Box::leak(Box::new(made))
}

/// A select.
pub fn select(balancer: &'static LoadBalancer<RoundRobin>) -> impl FnMut() -> u64 {
    || balancer.select(b"", 256).map_or(0, |backend| backend.weight as u64)
}
