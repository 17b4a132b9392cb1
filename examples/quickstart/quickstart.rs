//! Rust: the core alone. It decides; connecting and calling are the host's.

use evener_core::{
    Action, Connectivity, Cursor, Endpoint, EndpointId, Limits, Memory, Options, Outcome, Start, words,
};

// readme: begin
const LIMITS: Limits = Limits::new(8);

fn main() {
    let mut memory = Memory::<8, { words(&LIMITS) }>::new();
    let (mut controller, balancer) = memory.split(LIMITS, Options::default()).expect("fresh memory");
    let servers = [1, 2].map(|n| Endpoint::new(EndpointId::from_raw(n)).with_user(n as u64));
    controller.update(&servers).expect("room for 8");
    while let Some(action) = controller.poll(0) {
        if let Action::Connect { handle, .. } = action {
            // The host connects, and says how it went.
            controller.set_connectivity(handle, Connectivity::Ready).expect("a live endpoint");
        }
    }
    let cursor = Cursor::new(); // one a thread
    for now in 0..4 {
        let Start::Started(ticket) = balancer.start(&cursor, now) else { panic!("both are ready") };
        println!("call {now} goes to server {}", ticket.user());
        balancer.finish(ticket, Outcome::Success, now + 1);
    }
}
// readme: end
