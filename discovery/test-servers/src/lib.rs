//! Real registries on loopback, for tests: etcd, Consul, a Kubernetes API server, BIND, and a TCP proxy to break connections with.
//!
//! Everything is blocking and thread-safe, so it serves `#[test]` and `#[tokio::test]` alike. A server lives as long as its value; one that is
//! kept in a `static` ends with the process, however that ends. Data is in a temporary folder that goes with it.
//!
//! ```no_run
//! use evener_test_servers::Etcd;
//!
//! #[test]
//! fn a_key_is_read() {
//!     let Some(etcd) = Etcd::start() else { return }; // said loudly; a failure where CI=true
//!     etcd.ctl(&["put", "/services/user/10.0.0.1:50051", ""]);
//!     etcd.kill();
//!     etcd.restart();
//! }
//! ```
//!
//! **Where the programs are**: the folder named by `EVENER_SERVERS`, otherwise `servers` in the target directory, where `cargo xtask servers`
//! puts them. `named` and `nsupdate` are Debian's, and so may etcd be where nobody has built one. A server that is missing skips the test with one line on standard error; with `CI=true` it
//! fails the test. A server that is there but does not start fails the test, with what it printed.
//!
//! What takes the test's machine apart (a missing port, a full disk) panics: these are tests.
#![forbid(unsafe_code)]

mod bind;
mod certificates;
mod cluster;
mod consul;
mod etcd;
mod find;
mod gateway;
mod http;
mod kubernetes;
mod ports;
mod process;
mod proxy;
mod scratch;
mod wait;

pub use bind::{Bind, BindOptions};
pub use certificates::{Authority, Pair};
pub use cluster::EtcdCluster;
pub use consul::{Consul, ConsulOptions};
pub use etcd::{Etcd, EtcdOptions, EtcdTls};
pub use find::{find, found_or_skipped};
pub use http::Response;
pub use kubernetes::{KubeApi, KubeOptions};
pub use ports::free_port;
pub use proxy::Proxy;
pub use scratch::Scratch;
pub use wait::eventually;
