//! Each server starts, does what its handle says, survives what is done to it, and is gone afterwards.

use evener_test_servers::{
    Authority, Bind, BindOptions, Consul, ConsulOptions, Etcd, EtcdCluster, EtcdOptions, EtcdTls, KubeApi,
    KubeOptions, eventually,
};
use serde_json::json;
use std::net::TcpStream;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
const TOKEN: &str = "11111111-2222-3333-4444-555555555555";

#[test]
fn etcd_keeps_its_data_over_a_kill_and_loses_it_when_wiped() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.transaction(&["put /a 1".to_string(), "put /b 2".to_string(), "put /c 3".to_string()]);
    etcd.put("/b", "two words");
    etcd.delete("/c");
    assert_eq!(etcd.ctl(&["get", "--prefix", "/", "--print-value-only"]), "1\ntwo words\n");
    etcd.kill();
    assert!(!etcd.is_ready());
    etcd.restart();
    assert_eq!(etcd.ctl(&["get", "/a", "--print-value-only"]), "1\n");
    etcd.compact();
    assert!(etcd.try_ctl(&["get", "/a", "--rev", "1"]).is_err());
    etcd.wipe_and_restart();
    assert_eq!(etcd.ctl(&["get", "/a"]), "");
    let client = etcd.client();
    drop(etcd);
    assert!(TcpStream::connect(client).is_err());
}

#[test]
fn etcd_asks_for_a_certificate() {
    let authority = Authority::new();
    let (server, client) = (authority.server(&["127.0.0.1", "localhost"]), authority.client("bob"));
    let tls = EtcdTls {
        ca: authority.ca(),
        certificate: server.certificate,
        key: server.key,
        client: Some((client.certificate, client.key)),
    };
    let Some(etcd) = Etcd::with(EtcdOptions { tls: Some(tls), ..EtcdOptions::default() }) else { return };
    etcd.ctl(&["put", "/a", "1"]);
    let stranger = etcd.try_ctl(&["--cert=", "--key=", "--command-timeout=1s", "get", "/a"]);
    assert!(stranger.is_err());
}

#[test]
fn a_cluster_finds_another_leader() {
    let Some(cluster) = EtcdCluster::start() else { return };
    let first = cluster.leader().expect("a leader");
    cluster.members()[first].kill();
    eventually("another leader", LIMIT, || cluster.leader().is_some_and(|leader| leader != first));
    assert_eq!(cluster.clients().split(',').count(), 3);
}

#[test]
fn consul_keeps_data_where_it_is_told_to() {
    let Some(consul) = Consul::with(ConsulOptions { persistent: true, ..ConsulOptions::default() }) else {
        return;
    };
    consul.put("/v1/kv/a", "1");
    consul.register(&json!({"Name": "user", "ID": "user-1", "Address": "127.0.0.9", "Port": 50051}));
    assert_eq!(consul.get("/v1/health/service/user")[0]["Service"]["Port"], 50051);
    consul.deregister("user-1");
    consul.kill();
    consul.restart();
    assert_eq!(consul.get("/v1/kv/a")[0]["Value"], "MQ==");
    consul.wipe_and_restart();
    assert_eq!(consul.request("GET", "/v1/kv/a", "").unwrap().status, 404);
}

#[test]
fn consul_guards_itself_with_a_token() {
    let options = ConsulOptions { acl_token: Some(TOKEN.to_string()), ..ConsulOptions::default() };
    let Some(consul) = Consul::with(options) else { return };
    consul.put("/v1/kv/a", "1");
    assert_eq!(consul.get("/v1/acl/token/self")["AccessorID"].as_str().map(str::len), Some(36));
}

#[test]
fn consul_joins_datacenters_and_loses_an_agent() {
    let Some(first) = Consul::start() else { return };
    let east = ConsulOptions {
        datacenter: "east".to_string(),
        join_wan: vec![first.serf_wan()],
        ..ConsulOptions::default()
    };
    let Some(second) = Consul::with(east) else { return };
    eventually("both datacenters are known", LIMIT, || {
        second.get("/v1/catalog/datacenters").as_array().is_some_and(|all| all.len() == 2)
    });
    let agent = ConsulOptions {
        host: "127.0.0.2".to_string(),
        server: false,
        join: vec![first.serf_lan()],
        ..ConsulOptions::default()
    };
    let Some(agent) = Consul::with(agent) else { return };
    agent.register(&json!({"Name": "user", "Port": 50051}));
    eventually("the service of the other agent", LIMIT, || {
        first.get("/v1/health/service/user?passing").as_array().is_some_and(|all| all.len() == 1)
    });
    agent.kill();
    eventually("its death is noticed", LIMIT, || {
        first.get("/v1/health/service/user?passing").as_array().is_some_and(Vec::is_empty)
    });
}

#[test]
fn bind_is_changed_while_it_runs() {
    let Some(bind) = Bind::start(&BindOptions::default()) else { return };
    let addresses: Vec<String> = (0..1000).map(|n| format!("127.1.{}.{}", n / 250, n % 250 + 1)).collect();
    bind.set_a("many.example.test", 1, &addresses);
    bind.update("update add _grpc._tcp.svc.example.test 3 SRV 0 10 50051 svc.example.test.");
    bind.kill();
    bind.restart();
    bind.pause();
    bind.resume();
}

#[test]
fn kubernetes_takes_slices_and_forgets_versions() {
    let options = KubeOptions { no_watch_cache: true, ..KubeOptions::default() };
    let Some(api) = KubeApi::with(&options) else { return };
    let slice = |address: &str| {
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "user-1", "labels": {"kubernetes.io/service-name": "user"}},
            "addressType": "IPv4", "ports": [{"name": "grpc", "port": 50051, "protocol": "TCP"}],
            "endpoints": [{"addresses": [address], "conditions": {"ready": true}}]})
    };
    api.apply_slice(&slice("10.1.2.3"));
    api.apply_slice(&slice("10.1.2.4"));
    let path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    let list = api.request("GET", path, "").unwrap().json();
    assert_eq!(list["items"][0]["endpoints"][0]["addresses"][0], "10.1.2.4");
    let version = list["metadata"]["resourceVersion"].as_str().unwrap().to_string();
    api.apply_slice(&slice("10.1.2.5"));
    api.compact();
    let watch = format!("{path}?watch=true&resourceVersion={version}&timeoutSeconds=5");
    assert_eq!(api.request("GET", &watch, "").unwrap().json()["object"]["code"], 410);
    api.allow_nobody_to_read_slices("default");
    api.restart();
    api.delete_slice("default", "user-1");
    assert!(api.request("GET", path, "").unwrap().json()["items"].as_array().unwrap().is_empty());
    assert!(std::fs::read_to_string(api.kubeconfig_path()).unwrap().contains(&api.url()));
}
