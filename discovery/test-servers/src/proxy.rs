//! A TCP proxy on loopback whose connections can be frozen or torn.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How often a copying thread looks up from a silent connection.
const GLANCE: Duration = Duration::from_millis(20);

/// Passes connections on to one upstream address.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    state: Mutex<State>,
    changed: Condvar,
    accepted: AtomicU64,
}

#[derive(Default)]
struct State {
    is_cut: bool,
    is_over: bool,
    /// Connections made before the last `sever` belong to an earlier generation and end.
    generation: u64,
    open: usize,
}

impl Proxy {
    /// Listens on a port of its own and passes connections on to `upstream`, `HOST:PORT`.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the proxy");
        let address = listener.local_addr().expect("the proxy's address");
        let shared = Arc::new(Shared {
            upstream: upstream.to_string(),
            state: Mutex::default(),
            changed: Condvar::new(),
            accepted: AtomicU64::new(0),
        });
        let acceptor = Arc::clone(&shared);
        thread::spawn(move || acceptor.accept(&listener));
        Self { address, shared }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Stops forwarding: connections stay open, new ones are accepted, no byte passes in either direction.
    pub fn cut(&self) {
        self.shared.change(|state| state.is_cut = true);
    }

    /// Closes every connection; new ones are served, unless it is cut.
    pub fn sever(&self) {
        self.shared.change(|state| state.generation += 1);
    }

    /// Forwards again, what was held included.
    pub fn mend(&self) {
        self.shared.change(|state| state.is_cut = false);
    }

    /// How many connections are open now.
    pub fn connections(&self) -> usize {
        self.shared.state().open
    }

    /// How many connections were accepted in all.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.change(|state| state.is_over = true);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, how: impl FnOnce(&mut State)) {
        how(&mut self.state());
        self.changed.notify_all();
    }

    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            let mut state = self.state();
            if state.is_over {
                return;
            }
            let Ok(stream) = stream else { continue };
            self.accepted.fetch_add(1, Ordering::Relaxed);
            state.open += 1;
            let generation = state.generation;
            drop(state);
            let shared = Arc::clone(&self);
            thread::spawn(move || {
                shared.serve(&stream, generation);
                let _ = stream.shutdown(Shutdown::Both);
                shared.change(|state| state.open -= 1);
            });
        }
    }

    fn serve(self: &Arc<Self>, client: &TcpStream, generation: u64) {
        if !self.may_pass(generation) {
            return;
        }
        let Ok(server) = TcpStream::connect(&self.upstream) else { return };
        let (Ok(from), Ok(to)) = (server.try_clone(), client.try_clone()) else { return };
        let shared = Arc::clone(self);
        let back = thread::spawn(move || shared.copy(from, to, generation));
        if let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) {
            self.copy(from, to, generation);
        }
        let _ = back.join();
        let _ = server.shutdown(Shutdown::Both);
    }

    /// Copies one direction until its end, and hands the end on.
    fn copy(&self, mut from: TcpStream, mut to: TcpStream, generation: u64) {
        let _ = from.set_read_timeout(Some(GLANCE));
        let _ = to.set_nodelay(true);
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = from.read(&mut buffer);
            if !self.may_pass(generation) {
                break;
            }
            match read {
                Ok(0) => {
                    let _ = to.shutdown(Shutdown::Write);
                    return;
                }
                Ok(length) if to.write_all(buffer.get(..length).unwrap_or_default()).is_ok() => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                _ => break,
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    /// Waits while it is cut; false when the connection is to end.
    fn may_pass(&self, generation: u64) -> bool {
        let mut state = self.state();
        loop {
            if state.is_over || state.generation != generation {
                return false;
            }
            if !state.is_cut {
                return true;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eventually;

    const LIMIT: Duration = Duration::from_secs(10);

    /// Answers every byte with the same byte.
    fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut byte = [0];
                    while (&stream).read_exact(&mut byte).is_ok() && (&stream).write_all(&byte).is_ok() {}
                });
            }
        });
        address
    }

    #[test]
    fn a_cut_holds_what_is_sent_and_mending_lets_it_pass() {
        let proxy = Proxy::start(&echo());
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        let mut byte = [0];
        stream.write_all(b"a").unwrap();
        stream.read_exact(&mut byte).unwrap();
        proxy.cut();
        stream.write_all(b"b").unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(stream.read(&mut byte).is_err());
        assert_eq!(proxy.connections(), 1);
        proxy.mend();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"b");
    }

    #[test]
    fn severed_connections_end_and_new_ones_are_served() {
        let proxy = Proxy::start(&echo());
        let mut old = TcpStream::connect(proxy.address()).unwrap();
        let mut byte = [0];
        old.write_all(b"a").unwrap();
        old.read_exact(&mut byte).unwrap();
        proxy.sever();
        old.set_read_timeout(Some(LIMIT)).unwrap();
        assert!(matches!(old.read(&mut byte), Ok(0) | Err(_)));
        eventually("the connection is gone", LIMIT, || proxy.connections() == 0);
        let mut new = TcpStream::connect(proxy.address()).unwrap();
        new.write_all(b"c").unwrap();
        new.read_exact(&mut byte).unwrap();
        assert_eq!((&byte, proxy.accepted()), (b"c", 2));
    }
}
