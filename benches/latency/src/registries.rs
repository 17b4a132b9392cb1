//! The registries, each with a service whose hosts can be replaced quickly.

use evener_test_servers::{Bind, BindOptions, Consul, Etcd, KubeApi};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The port of every endpoint; nobody connects to it.
pub const PORT: u16 = 50051;

/// A registry that runs.
pub trait Registry: Sync {
    /// For the table.
    fn name(&self) -> &'static str;
    /// Whether it tells of changes; otherwise it is asked again and again.
    fn is_watched(&self) -> bool {
        true
    }
    /// From one write to the next where each is alone: longer than any window.
    fn quiet(&self) -> Duration {
        Duration::from_millis(350)
    }
    /// The channel's target.
    fn target(&self) -> String;
    /// Makes these hosts the service's only ones.
    fn set(&self, hosts: &[String]);
}

/// Those that are installed; what is missing has been said.
pub fn all() -> Vec<Box<dyn Registry>> {
    let etcd = Etcd::start().map(|etcd| Box::new(Filled::new(etcd)) as Box<dyn Registry>);
    let consul = Consul::start().map(|consul| Box::new(Filled::new(consul)) as Box<dyn Registry>);
    let kubernetes = KubeApi::start().map(|api| {
        let kubeconfig = api.kubeconfig_path();
        Box::new(Slices { api, kubeconfig }) as Box<dyn Registry>
    });
    let bind = Bind::start(&BindOptions { records: Vec::new(), ..BindOptions::default() });
    let bind = bind.map(|bind| Box::new(bind) as Box<dyn Registry>);
    [etcd, consul, kubernetes, bind].into_iter().flatten().collect()
}

/// A registry with a record for each host, and those that are there.
struct Filled<S> {
    server: S,
    present: Mutex<BTreeSet<String>>,
}

impl<S> Filled<S> {
    fn new(server: S) -> Self {
        Self { server, present: Mutex::default() }
    }

    /// What comes and what goes.
    fn replace(&self, hosts: &[String]) -> (Vec<String>, Vec<String>) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted: BTreeSet<String> = hosts.iter().cloned().collect();
        let (added, removed) = (&wanted - &present, &*present - &wanted);
        *present = wanted;
        (added.into_iter().collect(), removed.into_iter().collect())
    }
}

impl Registry for Filled<Etcd> {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn target(&self) -> String {
        format!("etcd://{}/user", self.server.client())
    }

    fn set(&self, hosts: &[String]) {
        let (added, removed) = self.replace(hosts);
        let put = |host: &String| {
            format!(r#"put user/{host}:{PORT} {{"Op":0,"Addr":"{host}:{PORT}","Metadata":null}}"#)
        };
        let delete = |host: &String| format!("del user/{host}:{PORT}");
        let changes: Vec<String> = added.iter().map(put).chain(removed.iter().map(delete)).collect();
        self.server.transaction(&changes);
    }
}

impl Registry for Filled<Consul> {
    fn name(&self) -> &'static str {
        "Consul"
    }

    /// A host that comes and one that goes are two changes here, and over time evener asks an agent twice a second.
    fn quiet(&self) -> Duration {
        Duration::from_millis(1100)
    }

    fn target(&self) -> String {
        format!("consul://{}/user", self.server.http())
    }

    fn set(&self, hosts: &[String]) {
        let (added, removed) = self.replace(hosts);
        for host in added {
            let id = format!("user-{host}");
            self.server.register(&json!({"Name": "user", "ID": id, "Address": host, "Port": PORT}));
        }
        removed.iter().for_each(|host| self.server.deregister(&format!("user-{host}")));
    }
}

struct Slices {
    api: KubeApi,
    kubeconfig: String,
}

impl Registry for Slices {
    fn name(&self) -> &'static str {
        "Kubernetes"
    }

    fn target(&self) -> String {
        format!("kubernetes:///user.default:grpc?kubeconfig={}", self.kubeconfig)
    }

    fn set(&self, hosts: &[String]) {
        let endpoint = |host: &String| json!({"addresses": [host], "conditions": {"ready": true}});
        let endpoints: Vec<Value> = hosts.iter().map(endpoint).collect();
        self.api.apply_slice(&json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "user-1", "labels": {"kubernetes.io/service-name": "user"}},
            "addressType": "IPv4", "ports": [{"name": "grpc", "port": PORT, "protocol": "TCP"}], "endpoints": endpoints,
        }));
    }
}

impl Registry for Bind {
    fn name(&self) -> &'static str {
        "DNS, asked every second"
    }

    fn is_watched(&self) -> bool {
        false
    }

    fn target(&self) -> String {
        format!("dns://{}/user.example.test:{PORT}?refresh=1s", self.address())
    }

    fn set(&self, hosts: &[String]) {
        self.set_a("user.example.test", 1, hosts);
    }
}
