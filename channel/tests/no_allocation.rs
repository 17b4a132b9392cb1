//! The path of a call allocates nothing: checked by an allocator that counts.
#![cfg(not(loom))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use evener_channel::{Action, CallReport, Channel, ChannelOptions, Connectivity, Driver, StartCall};

/// The system's allocator, counting per thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends may allocate after its locals are gone: it is not the one that is tested.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every method hands its arguments on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is the one the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: as above; the pointer came from `alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

fn call(channel: &Channel) {
    let StartCall::Started(ticket) = channel.start_call("/demo.Greeter/Hello", None) else {
        panic!("not started");
    };
    let report = CallReport { latency: Duration::from_micros(3), ..CallReport::default() };
    assert!(channel.finish_call(ticket, report));
}

#[test]
fn starting_and_finishing_calls_allocates_nothing() {
    for policy in ["round_robin", "weighted_round_robin", "pick_random", "pick_first"] {
        let config = format!(
            r#"{{"loadBalancingConfig": [{{"{policy}": {{}}}}],
                "methodConfig": [{{"name": [{{"service": "demo.Greeter"}}], "timeout": "1s"}}]}}"#
        );
        let options = ChannelOptions { service_config: Some(config), ..ChannelOptions::default() };
        let driver = Driver::new().expect("descriptors");
        let target = "static:///127.0.0.1:1;weight=3,127.0.0.1:2;weight=2,127.0.0.1:3";
        let channel = Channel::open(&driver, target, options, 1).expect("a valid channel");
        channel.state(true);
        while let Some(event) = driver.try_next() {
            if let Action::Connect { endpoint } = event.action {
                channel.set_state(endpoint, Connectivity::Ready, "");
            }
        }
        // The first look at the config sets up this thread's place in arc-swap.
        channel.method_config("/demo.Greeter/Hello");

        assert!(allocations(|| drop(Box::new(1))) > 0, "the allocator counts");
        assert_eq!(allocations(|| (0..10_000).for_each(|_| call(&channel))), 0, "{policy}");
        let lookups = allocations(|| {
            for _ in 0..1_000 {
                assert_eq!(
                    channel.method_config("/demo.Greeter/Hello").timeout,
                    Some(Duration::from_secs(1))
                );
            }
        });
        assert_eq!(lookups, 0);
    }
}
