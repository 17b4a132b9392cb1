//! One BIND name server whose zone is changed while it runs.

use crate::find::found_or_skipped;
use crate::ports::free_port;
use crate::process::{Process, run, started};
use crate::scratch::Scratch;
use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The zone that is served and may be changed.
const ZONE: &str = "example.test";
/// The zone whose file is missing: every question about it is answered SERVFAIL.
const BROKEN_ZONE: &str = "broken.test";

/// What the zone `example.test` holds at the start.
#[derive(Clone, Debug)]
pub struct BindOptions {
    /// Lines of a zone file: `svc 1 A 127.0.0.1`, `_grpc._tcp.svc 1 SRV 0 10 50051 a`, `_grpc_config.svc 1 TXT "grpc_config=[]"`.
    pub records: Vec<String>,
    /// For how many seconds a "no such name" may be remembered (the SOA's minimum and its TTL).
    pub negative_ttl: u32,
    /// The largest answer over UDP, bytes; a longer one is truncated and asked for over TCP.
    pub max_udp: u16,
    /// Whether records that were not asked for come along: the addresses of an SRV record's hosts, as far as they fit.
    pub additional: bool,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self {
            records: vec!["svc 1 A 127.0.0.1".to_string()],
            negative_ttl: 1,
            max_udp: 1232,
            additional: false,
        }
    }
}

/// A running name server: authoritative for `example.test` and `broken.test` (which answers SERVFAIL), REFUSED for the rest.
pub struct Bind {
    process: Process,
    nsupdate: PathBuf,
    port: u16,
}

impl Bind {
    /// A server with these records, ready. `None`: there is no BIND here, which was said.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(options: &BindOptions) -> Option<Self> {
        let named = found_or_skipped("named")?;
        let nsupdate = found_or_skipped("nsupdate")?;
        Some(started(|| {
            let bind = Self::new(&named, &nsupdate, options);
            bind.process.start(|| bind.is_ready()).map(|()| bind)
        }))
    }

    fn new(named: &Path, nsupdate: &Path, options: &BindOptions) -> Self {
        let scratch = Scratch::new("bind");
        let port = free_port();
        scratch.write("zone.db", &zone(options));
        let file = scratch.write("named.conf", &configuration(&scratch, port, options));
        let arguments = ["-g", "-n", "2", "-c", &file].map(str::to_string).to_vec();
        Self { process: Process::new(named, arguments, scratch), nsupdate: nsupdate.to_path_buf(), port }
    }

    /// `127.0.0.1:PORT`, UDP and TCP.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Changes the zone: each line as nsupdate takes it, names in full, all in one step.
    /// `update add svc.example.test 3 A 127.0.0.2`, `update delete svc.example.test A`.
    ///
    /// # Panics
    /// When it is refused.
    pub fn update(&self, lines: &str) {
        let text = format!("server 127.0.0.1 {}\nzone {ZONE}\n{}\nsend\n", self.port, lines.trim());
        let file = self.process.scratch().write("update.txt", &text);
        run(&self.nsupdate, [file]).unwrap_or_else(|reason| panic!("{reason}"));
    }

    /// Replaces all A records of `name` (in full) by these addresses, in one step.
    ///
    /// # Panics
    /// When it is refused.
    pub fn set_a(&self, name: &str, ttl: u32, addresses: &[String]) {
        let mut lines = format!("update delete {name} A\n");
        for address in addresses {
            let _ = writeln!(lines, "update add {name} {ttl} A {address}");
        }
        self.update(&lines);
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Comes back on the same port with what the zone held; kills it first when it still runs.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&self) {
        self.process.restart(|| self.is_ready());
    }

    /// SIGSTOP: no question is answered, over TCP or UDP.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// True when a question is answered, over UDP.
    fn is_ready(&self) -> bool {
        let Ok(socket) = UdpSocket::bind("127.0.0.1:0") else { return false };
        let asked = socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .and_then(|()| socket.send_to(&question(ZONE), ("127.0.0.1", self.port)));
        let mut answer = [0; 512];
        // The answer's fourth byte ends in the response code; 0 is "no error".
        asked.is_ok() && socket.recv(&mut answer).is_ok_and(|length| length > 12 && answer[3] & 0x0f == 0)
    }
}

/// Asks for the SOA of `zone`.
fn question(zone: &str) -> Vec<u8> {
    let mut message = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in zone.split('.') {
        message.push(u8::try_from(label.len()).unwrap_or(63));
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 6, 0, 1]);
    message
}

fn zone(options: &BindOptions) -> String {
    let ttl = options.negative_ttl;
    format!(
        "$TTL 60\n@ {ttl} SOA ns hostmaster 1 3600 600 86400 {ttl}\n@ 60 NS ns\nns 60 A 127.0.0.1\n{}\n",
        options.records.join("\n")
    )
}

fn configuration(scratch: &Scratch, port: u16, options: &BindOptions) -> String {
    let folder = scratch.path().display();
    let (max_udp, minimal) = (options.max_udp, if options.additional { "no" } else { "yes" });
    format!(
        "options {{ directory \"{folder}\"; managed-keys-directory \"{folder}\"; pid-file \"named.pid\"; session-keyfile \"session.key\";\n\
           listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; notify no;\n\
           allow-query {{ any; }}; max-records-per-type 0; max-udp-size {max_udp}; empty-zones-enable no; minimal-responses {minimal}; }};\n\
         controls {{ }};\n\
         zone \"{ZONE}\" {{ type master; file \"zone.db\"; allow-update {{ any; }}; }};\n\
         zone \"{BROKEN_ZONE}\" {{ type master; file \"missing.db\"; }};\n"
    )
}
