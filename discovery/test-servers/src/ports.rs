//! Ports that nobody listens on.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Below the ports that the kernel gives to outgoing connections (from 32768): one of those could take the place of a server that
/// was killed and is about to come back.
const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port on 127.0.0.1 that is free for TCP and UDP now, and is not handed out again by this process. Another process may take it
/// before it is used: whoever starts a server tries again with another then.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    free_port_on("127.0.0.1")
}

pub(crate) fn free_port_on(host: &str) -> u16 {
    let start = start();
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let Ok(port) = u16::try_from(FIRST + start.wrapping_add(step) % COUNT) else { continue };
        if TcpListener::bind((host, port)).is_ok() && UdpSocket::bind((host, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port on {host}");
}

/// Another place for each process, so that test programs that run at the same time rarely meet.
fn start() -> u32 {
    static START: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *START.get_or_init(|| {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
        std::process::id().wrapping_mul(7919) ^ (nanos >> 6)
    }) % COUNT
}
