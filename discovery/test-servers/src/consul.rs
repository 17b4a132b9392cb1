//! One Consul agent.

use crate::find::found_or_skipped;
use crate::http::{self, Request, Response};
use crate::ports::free_port_on;
use crate::process::{Process, started};
use crate::scratch::Scratch;
use serde_json::{Value, json};
use std::path::Path;

/// How a Consul agent is started.
#[derive(Clone, Debug)]
pub struct ConsulOptions {
    /// The datacenter's name.
    pub datacenter: String,
    /// Switches ACLs on, denying by default; this UUID is the token that may do everything.
    pub acl_token: Option<String>,
    /// Keeps its data over a restart. Otherwise a restarted agent knows nothing.
    pub persistent: bool,
    /// The address it binds to and serves on: another of 127.0.0.0/8 for a second agent of the same datacenter.
    pub host: String,
    /// False: a client agent, which needs [`Self::join`].
    pub server: bool,
    /// Agents of the same datacenter, [`Consul::serf_lan`] of each.
    pub join: Vec<String>,
    /// Servers of other datacenters, [`Consul::serf_wan`] of each.
    pub join_wan: Vec<String>,
    /// Laid over the configuration, an object: `{"log_level": "DEBUG"}`.
    pub extra: Value,
}

impl Default for ConsulOptions {
    fn default() -> Self {
        Self {
            datacenter: "dc1".to_string(),
            acl_token: None,
            persistent: false,
            host: "127.0.0.1".to_string(),
            server: true,
            join: Vec::new(),
            join_wan: Vec::new(),
            extra: Value::Null,
        }
    }
}

/// A running Consul agent.
pub struct Consul {
    process: Process,
    ports: Ports,
    options: ConsulOptions,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    http: u16,
    dns: u16,
    server: u16,
    serf_lan: u16,
    serf_wan: u16,
}

impl Consul {
    /// A single server without ACLs, ready. `None`: there is no Consul here, which was said.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Option<Self> {
        Self::with(ConsulOptions::default())
    }

    /// The same with options.
    ///
    /// # Panics
    /// When it does not start.
    pub fn with(options: ConsulOptions) -> Option<Self> {
        let program = found_or_skipped("consul")?;
        Some(started(|| {
            let consul = Self::new(&program, &options);
            consul.process.start(|| consul.is_ready()).map(|()| consul)
        }))
    }

    fn new(program: &Path, options: &ConsulOptions) -> Self {
        let port = || free_port_on(&options.host);
        let ports = Ports { http: port(), dns: port(), server: port(), serf_lan: port(), serf_wan: port() };
        let scratch = Scratch::new("consul");
        let file = scratch.write("agent.json", &configuration(options, ports).to_string());
        let mut arguments = vec!["agent".to_string(), "-config-file".to_string(), file];
        if options.persistent || !options.server {
            arguments.extend(["-data-dir".to_string(), scratch.file("data")]);
        } else {
            arguments.push("-dev".to_string());
        }
        Self { process: Process::new(program, arguments, scratch), ports, options: options.clone() }
    }

    /// `127.0.0.1:PORT` of the HTTP API.
    pub fn http(&self) -> String {
        self.address(self.ports.http)
    }

    /// `127.0.0.1:PORT` of the DNS interface.
    pub fn dns(&self) -> String {
        self.address(self.ports.dns)
    }

    /// Where agents of the same datacenter join.
    pub fn serf_lan(&self) -> String {
        self.address(self.ports.serf_lan)
    }

    /// Where servers of other datacenters join.
    pub fn serf_wan(&self) -> String {
        self.address(self.ports.serf_wan)
    }

    /// A request to the HTTP API, with the all-powerful token when ACLs are on. An error: no answer.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Result<Response, String> {
        let headers: Vec<String> =
            self.options.acl_token.iter().map(|token| format!("X-Consul-Token: {token}")).collect();
        http::send(&self.http(), &Request { method, path, headers: &headers, body })
    }

    /// `GET path`, as JSON.
    ///
    /// # Panics
    /// When the answer is no success.
    pub fn get(&self, path: &str) -> Value {
        self.expect("GET", path, "").json()
    }

    /// `PUT path` with a body; the answer's body.
    ///
    /// # Panics
    /// When the answer is no success.
    pub fn put(&self, path: &str, body: &str) -> String {
        self.expect("PUT", path, body).body
    }

    /// Registers a service with the agent; `definition` as `/v1/agent/service/register` takes it.
    ///
    /// # Panics
    /// When it is refused.
    pub fn register(&self, definition: &Value) {
        self.put("/v1/agent/service/register", &definition.to_string());
    }

    /// Removes the service with this id from the agent.
    ///
    /// # Panics
    /// When it is refused.
    pub fn deregister(&self, id: &str) {
        self.put(&format!("/v1/agent/service/deregister/{id}"), "");
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// SIGTERM, after which it leaves its datacenter.
    pub fn stop(&self) {
        self.process.terminate();
    }

    /// Comes back on the same ports, with its data where it is persistent; kills it first when it still runs.
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

    /// True when there is a leader and the catalog knows this agent.
    fn is_ready(&self) -> bool {
        let leader = self.request("GET", "/v1/status/leader", "");
        if !leader.is_ok_and(|answer| answer.is_success() && answer.body.len() > 4) {
            return false;
        }
        let nodes = self.request("GET", "/v1/catalog/nodes", "");
        nodes.is_ok_and(|answer| answer.body.contains(&format!("\"{}\"", self.options.host)))
    }

    fn expect(&self, method: &str, path: &str, body: &str) -> Response {
        let answer =
            self.request(method, path, body).unwrap_or_else(|reason| panic!("{method} {path}: {reason}"));
        assert!(answer.is_success(), "{method} {path}: {} {}", answer.status, answer.body);
        answer
    }

    fn address(&self, port: u16) -> String {
        format!("{}:{port}", self.options.host)
    }
}

fn configuration(options: &ConsulOptions, ports: Ports) -> Value {
    let mut all = json!({
        "node_name": format!("node-{}", ports.http),
        "datacenter": options.datacenter,
        "primary_datacenter": options.datacenter,
        "server": options.server,
        "bind_addr": options.host,
        "client_addr": options.host,
        "ports": {
            "http": ports.http, "dns": ports.dns, "server": ports.server, "serf_lan": ports.serf_lan,
            "serf_wan": if options.server { i32::from(ports.serf_wan) } else { -1 }, "grpc": -1, "grpc_tls": -1,
        },
        "retry_join": options.join,
        "retry_interval": "1s",
        "disable_update_check": true,
        "enable_script_checks": true,
        "log_level": "ERROR",
        "leave_on_terminate": true,
        // Without it a wait is lengthened at random, and writes become known a little later.
        "performance": {"raft_multiplier": 1},
    });
    if options.server {
        merge(
            &mut all,
            &json!({"bootstrap": true, "retry_join_wan": options.join_wan, "retry_interval_wan": "1s"}),
        );
    }
    if let Some(token) = &options.acl_token {
        let tokens = json!({"initial_management": token, "agent": token});
        merge(&mut all, &json!({"acl": {"enabled": true, "default_policy": "deny", "tokens": tokens}}));
    }
    merge(&mut all, &options.extra);
    all
}

/// Objects are merged, everything else is replaced.
fn merge(into: &mut Value, over: &Value) {
    let (Some(into), Some(over)) = (into.as_object_mut(), over.as_object()) else { return };
    for (name, value) in over {
        match into.get_mut(name) {
            Some(old) if old.is_object() && value.is_object() => merge(old, value),
            _ => {
                into.insert(name.clone(), value.clone());
            }
        }
    }
}
