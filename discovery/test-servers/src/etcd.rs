//! One etcd server.

use crate::find::found_or_skipped;
use crate::gateway::{self, Change};
use crate::http;
use crate::ports::free_port;
use crate::process::{Process, output, started};
use crate::scratch::Scratch;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How an etcd is started.
#[derive(Clone, Debug, Default)]
pub struct EtcdOptions {
    /// TLS on the client port.
    pub tls: Option<EtcdTls>,
    /// Further arguments, such as `--auth-token-ttl=2`.
    pub arguments: Vec<String>,
}

/// Paths of PEM files, as [`crate::Authority`] makes them.
#[derive(Clone, Debug)]
pub struct EtcdTls {
    /// The authority that signed the server, and that clients trust.
    pub ca: String,
    /// The server's certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// Asks clients for a certificate of the same authority; the files are what [`Etcd::ctl`] shows.
    pub client: Option<(String, String)>,
}

/// A running etcd with a data folder of its own.
pub struct Etcd {
    process: Process,
    ctl: PathBuf,
    client: u16,
    metrics: u16,
    tls: Option<EtcdTls>,
}

/// The ports of one member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub client: u16,
    pub peer: u16,
    pub metrics: u16,
}

impl Ports {
    pub fn free() -> Self {
        Self { client: free_port(), peer: free_port(), metrics: free_port() }
    }
}

impl Etcd {
    /// A single plain server, ready. `None`: there is no etcd here, which was said.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Option<Self> {
        Self::with(EtcdOptions::default())
    }

    /// The same with options.
    ///
    /// # Panics
    /// When it does not start.
    pub fn with(options: EtcdOptions) -> Option<Self> {
        let programs = Programs::find()?;
        Some(started(|| {
            let ports = Ports::free();
            let etcd = Self::member(&programs, "m0", ports, &initial("m0", ports), &options);
            etcd.process.start(|| etcd.is_ready()).map(|()| etcd)
        }))
    }

    pub(crate) fn member(
        programs: &Programs,
        name: &str,
        ports: Ports,
        cluster: &str,
        options: &EtcdOptions,
    ) -> Self {
        let scratch = Scratch::new("etcd");
        let arguments = arguments(name, ports, cluster, options, &scratch);
        Self {
            process: Process::new(&programs.server, arguments, scratch),
            ctl: programs.ctl.clone(),
            client: ports.client,
            metrics: ports.metrics,
            tls: options.tls.clone(),
        }
    }

    pub(crate) fn start_with(&self, ready: impl FnMut() -> bool) -> Result<(), String> {
        self.process.start(ready)
    }

    /// `127.0.0.1:PORT`, where clients go.
    pub fn client(&self) -> String {
        format!("127.0.0.1:{}", self.client)
    }

    /// `etcdctl` on this server; what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        self.try_ctl(arguments).unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// `etcdctl` on this server; what it printed, or what it complained about.
    pub fn try_ctl(&self, arguments: &[&str]) -> Result<String, String> {
        output(self.ctl_command().args(arguments))
    }

    /// Writes a key, quickly; not over TLS.
    ///
    /// # Panics
    /// When it is refused.
    pub fn put(&self, key: &str, value: &str) {
        self.change(&[Change::Put(key, value)]);
    }

    /// Deletes a key, quickly; not over TLS.
    ///
    /// # Panics
    /// When it is refused.
    pub fn delete(&self, key: &str) {
        self.change(&[Change::Delete(key)]);
    }

    /// One transaction that makes all these changes, each `put KEY VALUE` or `del KEY`, as they are: nothing is quoted. Not over TLS.
    ///
    /// # Panics
    /// When it is refused.
    pub fn transaction(&self, changes: &[String]) {
        let changes: Vec<Change> = changes
            .iter()
            .map(|line| Change::parse(line).unwrap_or_else(|| panic!("no change: {line}")))
            .collect();
        self.change(&changes);
    }

    /// The store's revision.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn revision(&self) -> u64 {
        let status = self.ctl(&["endpoint", "status", "-w", "json"]);
        let status: serde_json::Value = serde_json::from_str(&status).expect("etcdctl prints JSON");
        status[0]["Status"]["header"]["revision"].as_u64().expect("a revision")
    }

    /// Forgets everything before the present revision: who asks for an older one is told that it is compacted. Writes a key of
    /// its own first, since what happened in the very last revision can still be asked for.
    pub fn compact(&self) {
        self.ctl(&["put", "evener-tests-compaction", ""]);
        self.ctl(&["compact", &self.revision().to_string()]);
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Comes back on the same ports with the same data; kills it first when it still runs.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&self) {
        self.process.restart(|| self.is_ready());
    }

    /// Comes back on the same ports, knowing nothing.
    ///
    /// # Panics
    /// When it does not start.
    pub fn wipe_and_restart(&self) {
        self.process.wipe();
        self.restart();
    }

    /// SIGSTOP: connections stay, answers stop.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// True when it has a leader and serves. (`/readyz` is not known to Debian's.)
    pub fn is_ready(&self) -> bool {
        http::get(&format!("127.0.0.1:{}", self.metrics), "/health").is_ok_and(|answer| answer.is_success())
    }

    fn change(&self, changes: &[Change]) {
        gateway::transaction(&self.client(), changes).unwrap_or_else(|reason| panic!("etcd: {reason}"));
    }

    fn ctl_command(&self) -> Command {
        let mut command = Command::new(&self.ctl);
        match &self.tls {
            None => command.args(["--endpoints", &self.client()]),
            Some(tls) => {
                command.args(["--endpoints", &format!("https://{}", self.client()), "--cacert", &tls.ca])
            }
        };
        if let Some((certificate, key)) = self.tls.as_ref().and_then(|tls| tls.client.as_ref()) {
            command.args(["--cert", certificate, "--key", key]);
        }
        command
    }
}

/// Where etcd's two programs are.
pub(crate) struct Programs {
    server: PathBuf,
    ctl: PathBuf,
}

impl Programs {
    pub fn find() -> Option<Self> {
        Some(Self { server: found_or_skipped("etcd")?, ctl: found_or_skipped("etcdctl")? })
    }
}

/// A member's part of `--initial-cluster`.
pub(crate) fn initial(name: &str, ports: Ports) -> String {
    format!("{name}=http://127.0.0.1:{}", ports.peer)
}

fn arguments(
    name: &str,
    ports: Ports,
    cluster: &str,
    options: &EtcdOptions,
    scratch: &Scratch,
) -> Vec<String> {
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let client = format!("{scheme}://127.0.0.1:{}", ports.client);
    let peer = format!("http://127.0.0.1:{}", ports.peer);
    let mut arguments: Vec<String> = [
        ("--name", name),
        ("--data-dir", &scratch.path().join("data").display().to_string()),
        ("--listen-client-urls", &client),
        ("--advertise-client-urls", &client),
        ("--listen-peer-urls", &peer),
        ("--initial-advertise-peer-urls", &peer),
        ("--initial-cluster", cluster),
        ("--listen-metrics-urls", &format!("http://127.0.0.1:{}", ports.metrics)),
        ("--logger", "zap"),
        ("--log-level", "error"),
    ]
    .iter()
    .map(|(name, value)| format!("{name}={value}"))
    .collect();
    arguments.extend(["--unsafe-no-fsync", "--max-txn-ops=10000"].map(str::to_string));
    if let Some(tls) = &options.tls {
        arguments.push(format!("--cert-file={}", absolute(&tls.certificate)));
        arguments.push(format!("--key-file={}", absolute(&tls.key)));
        if tls.client.is_some() {
            arguments.extend([
                "--client-cert-auth".to_string(),
                format!("--trusted-ca-file={}", absolute(&tls.ca)),
            ]);
        }
    }
    arguments.extend(options.arguments.iter().cloned());
    arguments
}

/// The server runs in a folder of its own.
fn absolute(path: &str) -> String {
    std::path::absolute(Path::new(path)).map_or_else(|_| path.to_string(), |path| path.display().to_string())
}
