//! The four registries as the scenarios see them: a service whose addresses are set from outside, and a server that can be hurt.

use evener_test_servers::{Bind, BindOptions, Consul, ConsulOptions, Etcd, KubeApi, KubeOptions, Proxy};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Mutex;

/// Every server of a scenario listens on this port, on an address of its own.
pub const PORT: u16 = 50051;

/// A registry that runs.
pub trait Registry: Send + Sync {
    fn name(&self) -> &'static str;
    /// The channel's target; through the proxy where there is one.
    fn target(&self) -> String;
    /// Makes these hosts the service's only ones.
    fn set(&self, hosts: &[String]);
    fn kill(&self);
    fn restart(&self);
    fn pause(&self);
    fn resume(&self);
    /// What all connections to it pass; none for DNS, which is mostly UDP.
    fn proxy(&self) -> Option<&Proxy>;
    /// Forgets its history, where it has one.
    fn compact(&self) {}
}

/// The registries that are installed; what is missing has been said.
pub fn all(with_kubernetes: bool) -> Vec<Box<dyn Registry>> {
    let mut all: Vec<Box<dyn Registry>> = Vec::new();
    all.extend(EtcdNaming::start().map(|registry| Box::new(registry) as Box<dyn Registry>));
    all.extend(ConsulCatalog::start().map(|registry| Box::new(registry) as Box<dyn Registry>));
    all.extend(Names::start().map(|registry| Box::new(registry) as Box<dyn Registry>));
    if with_kubernetes {
        all.extend(Slices::start().map(|registry| Box::new(registry) as Box<dyn Registry>));
    }
    all
}

/// gRPC's naming record.
fn naming(host: &str, metadata: &str) -> String {
    let address = format!("{host}:{PORT}");
    format!(r#"put user/{address} {{"Op":0,"Addr":"{address}","Metadata":{metadata}}}"#)
}

/// etcd with gRPC's naming records.
pub struct EtcdNaming {
    etcd: Etcd,
    proxy: Proxy,
    present: Mutex<BTreeSet<String>>,
}

impl EtcdNaming {
    pub fn start() -> Option<Self> {
        let etcd = Etcd::start()?;
        let proxy = Proxy::start(&etcd.client());
        Some(Self { etcd, proxy, present: Mutex::default() })
    }

    /// Says of hosts that are there that they are leaving: weight 0.
    pub fn drain(&self, hosts: &[String]) {
        let changes: Vec<String> = hosts.iter().map(|host| naming(host, r#"{"weight":0}"#)).collect();
        self.etcd.transaction(&changes);
    }
}

impl Registry for EtcdNaming {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn target(&self) -> String {
        format!("etcd://{}/user", self.proxy.address())
    }

    /// One transaction.
    fn set(&self, hosts: &[String]) {
        let mut changes = Vec::new();
        replace(&self.present, hosts, |host, is_new| {
            changes.push(if is_new { naming(host, "null") } else { format!("del user/{host}:{PORT}") });
        });
        self.etcd.transaction(&changes);
    }

    fn kill(&self) {
        self.etcd.kill();
    }

    fn restart(&self) {
        self.etcd.restart();
    }

    fn pause(&self) {
        self.etcd.pause();
    }

    fn resume(&self) {
        self.etcd.resume();
    }

    fn proxy(&self) -> Option<&Proxy> {
        Some(&self.proxy)
    }

    fn compact(&self) {
        self.etcd.compact();
    }
}

/// Consul, which keeps its data over a restart.
struct ConsulCatalog {
    consul: Consul,
    proxy: Proxy,
    present: Mutex<BTreeSet<String>>,
}

impl ConsulCatalog {
    fn start() -> Option<Self> {
        let consul = Consul::with(ConsulOptions { persistent: true, ..ConsulOptions::default() })?;
        let proxy = Proxy::start(&consul.http());
        Some(Self { consul, proxy, present: Mutex::default() })
    }
}

impl Registry for ConsulCatalog {
    fn name(&self) -> &'static str {
        "Consul"
    }

    fn target(&self) -> String {
        format!("consul://{}/user", self.proxy.address())
    }

    fn set(&self, hosts: &[String]) {
        replace(&self.present, hosts, |host, is_new| {
            let id = format!("user-{host}");
            if is_new {
                self.consul.register(&json!({"Name": "user", "ID": id, "Address": host, "Port": PORT}));
            } else {
                self.consul.deregister(&id);
            }
        });
    }

    fn kill(&self) {
        self.consul.kill();
    }

    fn restart(&self) {
        self.consul.restart();
    }

    fn pause(&self) {
        self.consul.pause();
    }

    fn resume(&self) {
        self.consul.resume();
    }

    fn proxy(&self) -> Option<&Proxy> {
        Some(&self.proxy)
    }
}

/// BIND.
struct Names {
    bind: Bind,
}

impl Names {
    fn start() -> Option<Self> {
        let options = BindOptions { records: Vec::new(), ..BindOptions::default() };
        Bind::start(&options).map(|bind| Self { bind })
    }
}

impl Registry for Names {
    fn name(&self) -> &'static str {
        "DNS"
    }

    fn target(&self) -> String {
        format!("dns://{}/user.example.test:{PORT}?refresh=1s&timeout=2s", self.bind.address())
    }

    fn set(&self, hosts: &[String]) {
        self.bind.set_a("user.example.test", 1, hosts);
    }

    fn kill(&self) {
        self.bind.kill();
    }

    fn restart(&self) {
        self.bind.restart();
    }

    fn pause(&self) {
        self.bind.pause();
    }

    fn resume(&self) {
        self.bind.resume();
    }

    fn proxy(&self) -> Option<&Proxy> {
        None
    }
}

/// A Kubernetes API server. Addresses on loopback are not allowed in it.
struct Slices {
    api: KubeApi,
    proxy: Proxy,
    kubeconfig: String,
}

impl Slices {
    fn start() -> Option<Self> {
        let api = KubeApi::with(&KubeOptions { no_watch_cache: true, ..KubeOptions::default() })?;
        let proxy = Proxy::start(&api.address());
        let kubeconfig = api.kubeconfig_path_for(&proxy.address());
        Some(Self { api, proxy, kubeconfig })
    }
}

impl Registry for Slices {
    fn name(&self) -> &'static str {
        "Kubernetes"
    }

    fn target(&self) -> String {
        format!("kubernetes:///user.default:grpc?kubeconfig={}", self.kubeconfig)
    }

    /// One slice, replaced as a whole.
    fn set(&self, hosts: &[String]) {
        let endpoints: Vec<Value> = hosts
            .iter()
            .map(|host| json!({"addresses": [host], "conditions": {"ready": true, "serving": true, "terminating": false}}))
            .collect();
        self.api.apply_slice(&json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "user-1", "labels": {"kubernetes.io/service-name": "user"}},
            "addressType": "IPv4", "ports": [{"name": "grpc", "port": PORT, "protocol": "TCP"}], "endpoints": endpoints,
        }));
    }

    fn kill(&self) {
        self.api.kill();
    }

    fn restart(&self) {
        self.api.restart();
    }

    fn pause(&self) {
        self.api.pause();
    }

    fn resume(&self) {
        self.api.resume();
    }

    fn proxy(&self) -> Option<&Proxy> {
        Some(&self.proxy)
    }

    fn compact(&self) {
        self.api.compact();
    }
}

/// Tells `change` of each host that comes (true) or goes (false), and remembers.
fn replace(present: &Mutex<BTreeSet<String>>, hosts: &[String], mut change: impl FnMut(&str, bool)) {
    let mut present = present.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let wanted: BTreeSet<String> = hosts.iter().cloned().collect();
    wanted.difference(&present).for_each(|host| change(host, true));
    present.difference(&wanted).for_each(|host| change(host, false));
    *present = wanted;
}
