//! Round robin as it is usually written by hand. An endpoint is a `u64`, which stands for a slot and a generation.

use super::floor::Line;
use arc_swap::{ArcSwap, Cache};
use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, RwLock};

/// Endpoints behind an `ArcSwap`.
pub type Swapped = Arc<ArcSwap<Vec<u64>>>;

/// `n` endpoints behind an `ArcSwap`.
pub fn swapped(n: u32) -> Swapped {
    Arc::new(ArcSwap::from_pointee(endpoints(n)))
}

fn endpoints(n: u32) -> Vec<u64> {
    (0..u64::from(n)).collect()
}

/// `ArcSwap` with a `Cache` and a counter for each thread: the best of the hand-rolled forms.
pub fn arc_swap_cache(list: &Swapped) -> impl FnMut() -> u64 + use<> {
    let mut cache = Cache::new(Arc::clone(list));
    let counter = Cell::new(0_usize);
    move || {
        let list = cache.load();
        at(list, next(&counter))
    }
}

/// `ArcSwap::load` with a counter for each thread.
pub fn arc_swap_load(list: &Swapped) -> impl FnMut() -> u64 + use<> {
    let list = Arc::clone(list);
    let counter = Cell::new(0_usize);
    move || at(&list.load(), next(&counter))
}

/// `ArcSwap::load` with one counter for all threads: what is written most often.
pub fn arc_swap_load_shared(list: &Swapped, counter: &'static Line) -> impl FnMut() -> u64 + use<> {
    let list = Arc::clone(list);
    move || at(&list.load(), counter.0.fetch_add(1, Relaxed) as usize)
}

/// A read-write lock around the list, and one counter for all threads.
pub fn read_write_lock(list: &Arc<RwLock<Vec<u64>>>, counter: &'static Line) -> impl FnMut() -> u64 + use<> {
    let list = Arc::clone(list);
    move || list.read().map_or(0, |list| at(&list, counter.0.fetch_add(1, Relaxed) as usize))
}

/// A mutex around list and counter.
pub fn mutex(list: &Arc<Mutex<(Vec<u64>, usize)>>) -> impl FnMut() -> u64 + use<> {
    let list = Arc::clone(list);
    move || {
        list.lock().map_or(0, |mut list| {
            list.1 = list.1.wrapping_add(1);
            at(&list.0, list.1)
        })
    }
}

/// What [`read_write_lock`] needs.
pub fn behind_read_write_lock(n: u32) -> Arc<RwLock<Vec<u64>>> {
    Arc::new(RwLock::new(endpoints(n)))
}

/// What [`mutex`] needs.
pub fn behind_mutex(n: u32) -> Arc<Mutex<(Vec<u64>, usize)>> {
    Arc::new(Mutex::new((endpoints(n), 0)))
}

fn next(counter: &Cell<usize>) -> usize {
    let count = counter.get();
    counter.set(count.wrapping_add(1));
    count
}

fn at(list: &[u64], count: usize) -> u64 {
    list.get(count % list.len().max(1)).copied().unwrap_or(0)
}
