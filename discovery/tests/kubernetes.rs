//! `kubernetes:` against a kube-apiserver. No controller runs: the tests write the EndpointSlices.

mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use evener_discovery::credentials::{Credentials, Secret, TlsFiles};
use evener_discovery::pipeline::{Freshness, PipelineOptions};
use evener_discovery::runtime::{Runtime, WatchOptions, Woken};
use evener_discovery::{ErrorClass, Event, Target};
use evener_test_servers::{Authority, KubeApi, KubeOptions, Proxy, Scratch, eventually};
use serde_json::{Value, json};
use support::{Backend, LIMIT, written};

/// One API server for all tests that leave it alone; each has a namespace of its own.
fn shared(namespace: &str) -> Option<&'static KubeApi> {
    static API: OnceLock<Option<KubeApi>> = OnceLock::new();
    let start = || {
        let arguments = vec![format!("--client-ca-file={}", clients().ca())];
        KubeApi::with(&KubeOptions { arguments, ..KubeOptions::default() })
    };
    let api = API.get_or_init(start).as_ref()?;
    api.namespace(namespace);
    Some(api)
}

/// Who signs the certificates of that server's clients.
fn clients() -> &'static Authority {
    static CLIENTS: OnceLock<Authority> = OnceLock::new();
    CLIENTS.get_or_init(Authority::new)
}

/// One of its own, whose watches forget what is compacted.
fn forgetful() -> Option<KubeApi> {
    KubeApi::with(&KubeOptions { no_watch_cache: true, ..KubeOptions::default() })
}

fn target(api: &KubeApi, service: &str, parameters: &str) -> String {
    format!("kubernetes:///{service}?kubeconfig={}{parameters}", api.kubeconfig_path())
}

fn watch(api: &KubeApi, service: &str, parameters: &str) -> Backend {
    Backend::open(&target(api, service, parameters), &WatchOptions::default())
}

fn endpoint(ip: &str) -> Value {
    json!({"addresses": [ip], "conditions": {"ready": true, "serving": true, "terminating": false}})
}

fn slice(namespace: &str, name: &str, endpoints: &[Value]) -> Value {
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": "user"}},
        "ports": [{"name": "grpc", "port": 50051, "protocol": "TCP"}], "endpoints": endpoints})
}

fn ready(namespace: &str, name: &str, ips: &[&str]) -> Value {
    let endpoints: Vec<Value> = ips.iter().map(|ip| endpoint(ip)).collect();
    slice(namespace, name, &endpoints)
}

/// Waits until what was said adds up to these endpoints; fails on an outage.
fn until_sum(backend: &mut Backend, sum: &mut support::Sum, expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|endpoint| (*endpoint).to_owned()).collect();
    if sum.written() == expected {
        return;
    }
    backend.until(&format!("{expected:?}"), |event| {
        assert!(!matches!(event, Event::Failed(_)), "{event:?}");
        sum.take(event);
        (sum.written() == expected).then_some(())
    });
}

#[test]
fn slices_are_united_and_change_live() {
    let Some(api) = shared("live") else { return };
    api.apply_slice(&ready("live", "user-1", &["10.1.0.1", "10.1.0.2"]));
    api.apply_slice(&ready("live", "user-2", &["10.1.0.3"]));
    let other = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "other", "namespace": "live", "labels": {"kubernetes.io/service-name": "user-other"}},
        "ports": [{"port": 1}], "endpoints": [endpoint("10.1.9.9")]});
    api.apply_slice(&other);
    let mut backend = watch(api, "user.live", "");
    let mut sum = support::Sum::default();
    until_sum(&mut backend, &mut sum, &["10.1.0.1:50051", "10.1.0.2:50051", "10.1.0.3:50051"]);
    // A third slice; one endpoint moves from the first to it; one goes.
    api.apply_slice(&ready("live", "user-3", &["10.1.0.2", "10.1.0.4"]));
    until_sum(
        &mut backend,
        &mut sum,
        &["10.1.0.1:50051", "10.1.0.2:50051", "10.1.0.3:50051", "10.1.0.4:50051"],
    );
    api.apply_slice(&ready("live", "user-1", &["10.1.0.1"]));
    api.apply_slice(&ready("live", "user-2", &[]));
    until_sum(&mut backend, &mut sum, &["10.1.0.1:50051", "10.1.0.2:50051", "10.1.0.4:50051"]);
    api.delete_slice("live", "user-3");
    until_sum(&mut backend, &mut sum, &["10.1.0.1:50051"]);
    // Scaled to zero, deleted, made again.
    api.apply_slice(&ready("live", "user-1", &[]));
    until_sum(&mut backend, &mut sum, &[]);
    api.delete_slice("live", "user-1");
    api.delete_slice("live", "user-2");
    api.apply_slice(&ready("live", "user-9", &["10.1.0.7"]));
    until_sum(&mut backend, &mut sum, &["10.1.0.7:50051"]);
}

#[test]
fn a_service_without_slices_is_known_to_be_empty() {
    let Some(api) = shared("empty") else { return };
    let Event::Reset { parts, revision } = watch(api, "user.empty", "").next() else { panic!("no list") };
    assert!(parts.is_empty() && revision.is_some());
}

#[test]
fn conditions_zones_and_hints_are_kept() {
    let Some(api) = shared("conditions") else { return };
    let conditions = |ip: &str, conditions: Value| json!({"addresses": [ip], "conditions": conditions});
    let described = json!({"addresses": ["10.1.0.1"], "conditions": {}, "zone": "a", "nodeName": "n1",
        "targetRef": {"kind": "Pod", "name": "user-0"}, "hints": {"forZones": [{"name": "a"}]}});
    api.apply_slice(&slice(
        "conditions",
        "user-1",
        &[
            described,
            conditions("10.1.0.2", json!({"ready": false, "serving": true, "terminating": true})),
            conditions("10.1.0.3", json!({"ready": false, "serving": false, "terminating": true})),
            conditions("10.1.0.4", json!({"ready": false})),
        ],
    ));
    let mut backend = watch(api, "user.conditions", "");
    backend.until_reset(&[
        "10.1.0.1:50051;zone=a;meta.kubernetes.for-zones=a;meta.kubernetes.node=n1;meta.kubernetes.pod=user-0",
        "10.1.0.2:50051;condition=draining",
        "10.1.0.3:50051;condition=unhealthy",
        "10.1.0.4:50051;condition=unhealthy",
    ]);
}

#[test]
fn ports_are_each_slices_own() {
    let Some(api) = shared("ports") else { return };
    for (name, ip, web, grpc) in [("user-1", "10.1.0.1", 80, 50051), ("user-2", "10.1.0.2", 8080, 50052)] {
        let mut object = ready("ports", name, &[ip]);
        object["ports"] = json!([{"name": "web", "port": web}, {"name": "grpc", "port": grpc}]);
        api.apply_slice(&object);
    }
    let mut none = ready("ports", "user-3", &["10.1.0.3"]);
    none["ports"] = json!([]);
    api.apply_slice(&none);
    watch(api, "user.ports:web", "").until_reset(&["10.1.0.1:80", "10.1.0.2:8080"]);
    watch(api, "user.ports", "").until_reset(&["10.1.0.1:50051", "10.1.0.2:50052"]);
    watch(api, "user.ports:7", "").until_reset(&["10.1.0.1:7", "10.1.0.2:7", "10.1.0.3:7"]);
    let skipped = watch(api, "user.ports:http", "").next();
    assert!(
        matches!(&skipped, Event::Skipped { count: 3, example } if example.contains("no TCP port named \"http\"")),
        "{skipped:?}"
    );
}

#[test]
fn a_port_that_is_not_said_is_told_and_empties_nothing() {
    let Some(api) = shared("portless") else { return };
    let apply = |ips: &[&str], ports: Value| {
        let mut object = ready("portless", "user-1", ips);
        object["ports"] = ports;
        api.apply_slice(&object);
    };
    apply(&["10.1.0.1"], json!([{"name": "web", "port": 80}]));
    let mut backend = watch(api, "user.portless", "");
    backend.until_reset(&["10.1.0.1:80"]);
    let mut named = watch(api, "user.portless:web", "");
    named.until_reset(&["10.1.0.1:80"]);
    // Another port, and the first one renamed.
    apply(&["10.1.0.1", "10.1.0.2"], json!([{"name": "http", "port": 80}, {"name": "metrics", "port": 90}]));
    let untouched = |backend: &mut Backend, reason: &str| {
        let error = backend.until("a failure", |event| match event {
            Event::Failed(error) => Some(error),
            Event::Apply { .. } | Event::Reset { .. } => panic!("nobody has said so: {event:?}"),
            _ => None,
        });
        assert_eq!(error.class, ErrorClass::Config);
        let advice = "kubernetes:///user.portless:NAME, or by its number";
        assert!(error.message.contains(reason) && error.message.contains(advice), "{error}");
    };
    untouched(&mut backend, "has several ports, http, metrics");
    untouched(&mut named, "has no TCP port named \"web\", but http, metrics");
    let mut begun = watch(api, "user.portless", "");
    untouched(&mut begun, "has several ports, http, metrics");
    // It is said again.
    apply(&["10.1.0.1", "10.1.0.2"], json!([{"name": "web", "port": 80}]));
    begun.until_reset(&["10.1.0.1:80", "10.1.0.2:80"]);
    for backend in [&mut backend, &mut named] {
        let changed = backend.until("the change", |event| match event {
            Event::Apply { changed, .. } => Some(written(&changed)),
            _ => None,
        });
        assert_eq!(changed, ["10.1.0.1:80", "10.1.0.2:80"]);
    }
    // Where there is no endpoint a port is not missed.
    apply(&[], json!([]));
    backend.until("nothing", |event| match event {
        Event::Apply { changed, .. } => {
            assert_eq!(written(&changed), [""; 0]);
            Some(())
        }
        Event::Failed(error) => panic!("{error}"),
        _ => None,
    });
}

#[test]
fn families_are_chosen_and_names_counted() {
    let Some(api) = shared("families") else { return };
    api.apply_slice(&ready("families", "four", &["10.1.0.1"]));
    let of_type = |name: &str, kind: &str, address: &str| {
        let mut object = ready("families", name, &[address]);
        object["addressType"] = json!(kind);
        object
    };
    api.apply_slice(&of_type("six", "IPv6", "2001:db8::1"));
    watch(api, "user.families", "").until_reset(&["10.1.0.1:50051"]);
    watch(api, "user.families", "&family=ipv6").until_reset(&["[2001:db8::1]:50051"]);
    watch(api, "user.families", "&family=both").until_reset(&["10.1.0.1:50051", "[2001:db8::1]:50051"]);
    api.apply_slice(&of_type("names", "FQDN", "user.example.com"));
    let mut backend = watch(api, "user.families", "&family=both");
    assert!(matches!(backend.next(), Event::Skipped { count: 1, example } if example.contains("FQDN")));
    backend.until_reset(&["10.1.0.1:50051", "[2001:db8::1]:50051"]);
}

#[test]
fn a_list_of_several_pages_is_one_answer() {
    let Some(api) = shared("pages") else { return };
    let names: Vec<String> = (0..520).map(|n| format!("10.2.{}.{}", n / 250, n % 250 + 1)).collect();
    for (number, ip) in names.iter().enumerate() {
        api.apply_slice(&ready("pages", &format!("user-{number}"), &[ip]));
    }
    let Event::Reset { parts, .. } = watch(api, "user.pages", "").next() else { panic!("no list") };
    let expected: BTreeSet<String> = names.iter().map(|ip| format!("{ip}:50051")).collect();
    assert_eq!(written(&parts).into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn a_quiet_watch_is_confirmed_and_made_anew_without_another_list() {
    let Some(api) = shared("quiet") else { return };
    api.apply_slice(&ready("quiet", "user-1", &["10.1.0.1"]));
    let mut backend = watch(api, "user.quiet", "&watch-timeout=5s");
    backend.until_reset(&["10.1.0.1:50051"]);
    let began = Instant::now();
    let mut bookmarks = 0;
    while began.elapsed() < Duration::from_secs(14) {
        match backend.within(Duration::from_secs(1)) {
            Some(Event::Confirmed { revision: Some(_) }) => bookmarks += 1,
            None => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(bookmarks >= 1, "not one bookmark over two ends of the watch");
    backend.hint();
    assert!(matches!(backend.next(), Event::Confirmed { revision: Some(_) }), "a doubt is looked into");
    api.apply_slice(&ready("quiet", "user-1", &["10.1.0.2"]));
    let changed = backend.until("the change", |event| match event {
        Event::Apply { changed, .. } => Some(written(&changed)),
        Event::Confirmed { .. } => None,
        other => panic!("{other:?}"),
    });
    assert_eq!(changed, ["10.1.0.2:50051"]);
}

#[test]
fn a_watch_goes_on_where_it_was_after_the_servers_restart() {
    let Some(api) = forgetful() else { return };
    api.apply_slice(&ready("default", "user-1", &["10.1.0.1"]));
    let mut backend = watch(&api, "user", "");
    backend.until_reset(&["10.1.0.1:50051"]);
    api.kill();
    backend.until_failed(ErrorClass::Unreachable);
    api.restart();
    backend.until("the watch again, without a list", |event| match event {
        Event::Confirmed { revision: Some(_) } => Some(()),
        Event::Failed(_) => None,
        other => panic!("{other:?}"),
    });
    api.apply_slice(&ready("default", "user-1", &["10.1.0.2"]));
    let changed = backend.until("the change", |event| match event {
        Event::Apply { changed, .. } => Some(written(&changed)),
        _ => None,
    });
    assert_eq!(changed, ["10.1.0.2:50051"]);
}

#[test]
fn what_was_compacted_while_away_is_listed_anew_once() {
    let Some(api) = forgetful() else { return };
    let proxy = Proxy::start(&api.address());
    api.apply_slice(&ready("default", "user-1", &["10.1.0.1", "10.1.0.2"]));
    let path = api.kubeconfig_path_for(&proxy.address());
    let mut backend = Backend::open(
        &format!("kubernetes:///user?kubeconfig={path}&watch-timeout=5s"),
        &WatchOptions::default(),
    );
    backend.until_reset(&["10.1.0.1:50051", "10.1.0.2:50051"]);
    proxy.cut();
    api.apply_slice(&ready("default", "user-1", &["10.1.0.2", "10.1.0.3"]));
    api.apply_slice(&ready("default", "user-2", &["10.1.0.4"]));
    api.delete_slice("default", "user-2");
    api.compact();
    proxy.sever();
    backend.until("the outage", |event| matches!(event, Event::Failed(_)).then_some(()));
    proxy.mend();
    let mut resets = 0;
    backend.until("the new list", |event| match event {
        Event::Reset { parts, .. } => {
            resets += 1;
            {
                assert_eq!(written(&parts), ["10.1.0.2:50051", "10.1.0.3:50051"]);
                Some(())
            }
        }
        Event::Failed(_) => None,
        other => panic!("{other:?}"),
    });
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(6) {
        let next = backend.within(Duration::from_secs(1));
        assert!(
            !matches!(next, Some(Event::Reset { .. } | Event::Failed(_) | Event::Apply { .. })),
            "{next:?}"
        );
    }
    assert_eq!(resets, 1);
}

#[test]
fn a_server_that_is_silent_is_noticed_and_nothing_is_lost() {
    let Some(api) = KubeApi::start() else { return };
    api.apply_slice(&ready("default", "user-1", &["10.1.0.1"]));
    let runtime = Runtime::new();
    let target = Target::parse(&target(&api, "user", "&watch-timeout=5s")).unwrap();
    let watch = runtime.watch(&target, WatchOptions::default(), Arc::new(Woken::new())).unwrap();
    eventually("the first list", LIMIT, || {
        watch.latest().is_some_and(|snapshot| snapshot.endpoints.len() == 1)
    });
    api.pause();
    let freshness = || watch.status().map(|status| status.freshness);
    eventually("staleness", LIMIT, || matches!(freshness(), Some(Freshness::Stale { .. })));
    assert_eq!(watch.latest().map(|snapshot| snapshot.endpoints.len()), Some(1));
    api.resume();
    eventually("freshness", 3 * LIMIT, || freshness() == Some(Freshness::Fresh));
    assert_eq!(watch.latest().map(|snapshot| snapshot.epoch), Some(1), "nothing was published in between");
    api.apply_slice(&ready("default", "user-1", &["10.1.0.1", "10.1.0.2"]));
    eventually("the change", LIMIT, || watch.latest().is_some_and(|snapshot| snapshot.endpoints.len() == 2));
}

#[test]
fn a_refusal_names_the_manifest_that_is_missing_and_applying_it_is_enough() {
    let Some(api) = shared("refused") else { return };
    api.apply_slice(&ready("refused", "user-1", &["10.1.0.1"]));
    let target = format!("kubernetes:///user.refused?kubeconfig={}", api.nobody_kubeconfig_path());
    let mut backend = Backend::open(&target, &WatchOptions::default());
    let error = backend.until_failed(ErrorClass::Denied);
    assert!(error.message.contains("User \"nobody\" cannot list resource"), "{error}");
    let (_, manifest) = error.message.split_once("kubectl apply -f`:\n").unwrap();
    let (role, binding) = manifest.split_once("---\n").unwrap();
    let base = "/apis/rbac.authorization.k8s.io/v1/namespaces/refused";
    api.apply_text(&format!("{base}/roles/evener-endpointslices"), role);
    api.apply_text(&format!("{base}/rolebindings/evener-endpointslices"), binding);
    backend.until_reset(&["10.1.0.1:50051"]);
}

/// Where one document of a manifest is written to the API server.
fn path_of(document: &str) -> String {
    let after = |key: &str| {
        let value = document.lines().find_map(|line| line.strip_prefix(key));
        value.unwrap_or_else(|| panic!("{key} is missing:\n{document}")).trim()
    };
    let (version, name) = (after("apiVersion:"), after("  name:"));
    let base = match version {
        "v1" => "/api/v1".to_owned(),
        version => format!("/apis/{version}"),
    };
    format!("{base}/namespaces/{}/{}s/{name}", after("  namespace:"), after("kind:").to_lowercase())
}

/// A token of a service account, as a pod is given one.
fn token_of(api: &KubeApi, namespace: &str, account: &str) -> String {
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}});
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
    let answer = api.request("POST", &path, &request.to_string()).expect("an answer");
    let answer: Value = serde_json::from_str(&answer.body).expect("JSON");
    answer["status"]["token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
}

#[test]
fn the_examples_manifest_is_enough_for_its_client_and_takes_all_of_its_rights() {
    let Some(api) = shared("shop") else { return };
    let manifest = include_str!("../../examples/kubernetes/user-service.yaml");
    let (rights, rest): (Vec<&str>, Vec<&str>) =
        manifest.split("\n---\n").partition(|document| document.starts_with("apiVersion: rbac"));
    assert_eq!((rights.len(), rest.len()), (2, 4), "a Role, its binding, and what uses it");
    for document in rest {
        api.apply_text(&path_of(document), document);
    }
    let mut user = ready("shop", "user-service-x7", &["10.1.0.1", "10.1.0.2"]);
    user["metadata"]["labels"] = json!({"kubernetes.io/service-name": "user-service"});
    user["ports"][0]["port"] = json!(8080);
    api.apply_slice(&user);
    let scratch = Scratch::new("kubernetes-shop");
    let ca = Some(PathBuf::from(scratch.write("ca.pem", &api.ca_pem())));
    let credentials = Credentials {
        token: Some(Secret::value(token_of(api, "shop", "order-service"))),
        tls: Some(TlsFiles { ca, ..TlsFiles::default() }),
        ..Credentials::default()
    };
    // As in the pod, but for where the server is and the namespace, which a pod finds mounted.
    let target = format!("kubernetes:///user-service.shop:grpc?server={}", api.url());
    let mut backend = Backend::open(&target, &WatchOptions { credentials, ..WatchOptions::default() });
    let error = backend.until_failed(ErrorClass::Denied);
    let missing = "- kind: ServiceAccount\n  name: order-service\n  namespace: shop\n";
    assert!(error.message.contains("(403)") && error.message.ends_with(missing), "{error}");
    for document in rights {
        api.apply_text(&path_of(document), document);
    }
    backend.until_reset(&["10.1.0.1:8080", "10.1.0.2:8080"]);
    user["endpoints"] = json!([endpoint("10.1.0.2")]);
    api.apply_slice(&user);
    backend.until("the change is watched", |event| match event {
        Event::Apply { .. } => Some(()),
        Event::Failed(error) => panic!("{error}"),
        _ => None,
    });
}

/// A kubeconfig whose user has these credentials.
fn kubeconfig_with(api: &KubeApi, scratch: &Scratch, name: &str, user: &Value) -> String {
    let ca = scratch.write("ca.pem", &api.ca_pem());
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": api.url(), "certificate-authority": ca}}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    });
    scratch.write(name, &text.to_string())
}

#[test]
fn a_kubeconfig_may_name_a_client_certificate() {
    let Some(api) = shared("certified") else { return };
    api.apply_slice(&ready("certified", "user-1", &["10.1.0.1"]));
    api.allow_nobody_to_read_slices("certified");
    let scratch = Scratch::new("kubernetes-certified");
    let open = |authority: &Authority, name: &str| {
        let pair = authority.client("nobody");
        let user = json!({"client-certificate": pair.certificate, "client-key": pair.key});
        let path = kubeconfig_with(api, &scratch, name, &user);
        Backend::open(&format!("kubernetes:///user.certified?kubeconfig={path}"), &WatchOptions::default())
    };
    open(clients(), "known").until_reset(&["10.1.0.1:50051"]);
    let error = open(&Authority::new(), "unknown").until_failed(ErrorClass::Denied);
    assert!(error.message.contains("does not know who asks (401)"), "{error}");
}

#[test]
fn a_token_goes_with_the_certificate_that_a_kubeconfig_holds() {
    let Some(api) = shared("inline") else { return };
    api.apply_slice(&ready("inline", "user-1", &["10.1.0.1"]));
    api.allow_nobody_to_read_slices("inline");
    let scratch = Scratch::new("kubernetes-inline");
    let pair = clients().client("nobody");
    let inline = |path: &str| json!(k8s_openapi::ByteString(std::fs::read(path).unwrap()));
    let user =
        json!({"client-certificate-data": inline(&pair.certificate), "client-key-data": inline(&pair.key)});
    let path = kubeconfig_with(api, &scratch, "inline", &user);
    // The server knows who asks by the certificate, and by that alone.
    let credentials = Credentials { token: Some(Secret::value("unknown")), ..Credentials::default() };
    let options = WatchOptions { credentials, ..WatchOptions::default() };
    let target = format!("kubernetes:///user.inline?kubeconfig={path}");
    Backend::open(&target, &options).until_reset(&["10.1.0.1:50051"]);
}

#[test]
fn a_refusal_tells_why_no_other_credentials_are_used() {
    let Some(api) = shared("troubled") else { return };
    let scratch = Scratch::new("kubernetes-troubled");
    let path = kubeconfig_with(api, &scratch, "config", &json!({"token": "unknown"}));
    let target = format!("kubernetes:///user.troubled?kubeconfig={path}");
    let mut backend = Backend::open(&target, &WatchOptions::default());
    let error = backend.until_failed(ErrorClass::Denied);
    assert!(error.message.contains("(401)") && !error.message.contains("looked up"), "{error}");
    scratch.write("config", "}");
    let why = format!("Others could not be looked up: kubeconfig {path}");
    backend.until("the reason", |event| match event {
        Event::Failed(error) => error.message.contains(&why).then_some(()),
        other => panic!("{other:?}"),
    });
}

/// The kernel's timers of this machine's connections to a port: `02` waits to ask for a sign of life.
fn timers(port: &str) -> Vec<String> {
    let port: u16 = port.rsplit_once(':').unwrap().1.parse().unwrap();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let ours =
        rows.filter(|row| row.len() > 5 && row[3] == "01" && row[2].ends_with(&format!(":{port:04X}")));
    ours.map(|row| row[5][..2].to_owned()).collect()
}

#[test]
fn connections_are_asked_for_signs_of_life() {
    let Some(api) = shared("alive") else { return };
    let proxy = Proxy::start(&api.address());
    let path = api.kubeconfig_path_for(&proxy.address());
    let target = format!("kubernetes:///user.alive?kubeconfig={path}");
    let mut backend = Backend::open(&target, &WatchOptions::default());
    assert!(matches!(backend.next(), Event::Reset { .. }));
    eventually("timers of all connections", LIMIT, || {
        let timers = timers(&proxy.address());
        !timers.is_empty() && timers.iter().all(|timer| timer == "02")
    });
}

#[test]
fn a_kubeconfig_may_name_a_program_that_fetches_a_token() {
    let Some(api) = shared("fetched") else { return };
    api.apply_slice(&ready("fetched", "user-1", &["10.1.0.1"]));
    let scratch = Scratch::new("kubernetes-fetched");
    let open = |name: &str, script: &str| {
        let program = json!({"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
            "command": "/bin/sh", "args": ["-c", script]});
        let path = kubeconfig_with(api, &scratch, name, &json!({"exec": program}));
        Backend::open(&format!("kubernetes:///user.fetched?kubeconfig={path}"), &WatchOptions::default())
    };
    let credential = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": api.admin_token()}});
    open("fetches", &format!("echo '{credential}'")).until_reset(&["10.1.0.1:50051"]);
    let error = open("fails", "echo no ticket today >&2; exit 3").until_failed(ErrorClass::Denied);
    assert!(error.message.contains("no ticket today"), "{error}");
}

#[test]
fn an_unknown_token_and_a_wrong_authority_are_told_apart() {
    let Some(api) = shared("strangers") else { return };
    let scratch = Scratch::new("kubernetes-strangers");
    let ca = PathBuf::from(scratch.write("ca.pem", &api.ca_pem()));
    let target = format!("kubernetes:///user.strangers?server={}", api.url());
    let options = |token: &str, ca: Option<PathBuf>| {
        let tls = Some(TlsFiles { ca, ..TlsFiles::default() });
        let credentials = Credentials { token: Some(Secret::value(token)), tls, ..Credentials::default() };
        WatchOptions { credentials, ..WatchOptions::default() }
    };
    let error = Backend::open(&target, &options("wrong", Some(ca.clone()))).until_failed(ErrorClass::Denied);
    assert!(
        error.message.contains("does not know who asks (401)") && !error.message.contains("wrong\""),
        "{error}"
    );
    let error =
        Backend::open(&target, &options(api.admin_token(), None)).until_failed(ErrorClass::Unreachable);
    assert!(error.message.contains("certificate"), "{error}");
    let there = format!("kubernetes:///user.strangers?server={}/nowhere", api.url());
    let error = Backend::open(&there, &options(api.admin_token(), Some(ca.clone())))
        .until_failed(ErrorClass::Protocol);
    assert!(error.message.contains("(404)") && error.message.contains("kind: RoleBinding"), "{error}");
    let mut backend = Backend::open(&target, &options(api.admin_token(), Some(ca)));
    assert!(matches!(backend.next(), Event::Reset { .. }));
}

#[test]
fn a_token_file_is_read_again_and_outlived() {
    let Some(api) = shared("tokens") else { return };
    api.apply_slice(&ready("tokens", "user-1", &["10.1.0.1"]));
    let scratch = Scratch::new("kubernetes-tokens");
    let ca = PathBuf::from(scratch.write("ca.pem", &api.ca_pem()));
    let token = PathBuf::from(scratch.write("token", &format!("{}\n", api.admin_token())));
    let credentials = Credentials {
        token: Some(Secret::File(token.clone())),
        tls: Some(TlsFiles { ca: Some(ca.clone()), ..TlsFiles::default() }),
        ..Credentials::default()
    };
    let options = WatchOptions { credentials, ..WatchOptions::default() };
    let target = format!("kubernetes:///user.tokens?server={}&watch-timeout=5s", api.url());
    let mut backend = Backend::open(&target, &options);
    backend.until_reset(&["10.1.0.1:50051"]);
    // The next request uses the new one, which is refused, and then the one after that.
    scratch.write("token", api.nobody_token());
    backend.until_failed(ErrorClass::Denied);
    scratch.write("token", api.admin_token());
    backend.until("the watch again", |event| matches!(event, Event::Confirmed { .. }).then_some(()));
    // Without the files the last ones stay in use.
    std::fs::remove_file(&token).unwrap();
    std::fs::remove_file(&ca).unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(12) {
        let next = backend.within(Duration::from_secs(1));
        assert!(matches!(next, None | Some(Event::Confirmed { .. })), "{next:?}");
    }
    api.apply_slice(&ready("tokens", "user-1", &["10.1.0.2"]));
    backend.until("the change", |event| match event {
        Event::Apply { changed, .. } => {
            assert_eq!(written(&changed), ["10.1.0.2:50051"]);
            Some(())
        }
        _ => None,
    });
}

/// A8, scenario 3.
#[test]
fn a_rolling_update_of_three_hundred_pods_never_shows_fewer_than_nine_tenths() {
    let Some(api) = shared("rolling") else { return };
    let ip = |generation: usize, pod: usize| format!("10.{}.{}.{}", generation + 1, pod / 100, pod % 100 + 1);
    let apply = |slice: usize, updated: usize| {
        let pods = slice * 100..(slice + 1) * 100;
        let ips: Vec<String> = pods.map(|pod| ip(usize::from(pod < updated), pod)).collect();
        let ips: Vec<&str> = ips.iter().map(String::as_str).collect();
        api.apply_slice(&ready("rolling", &format!("user-{slice}"), &ips));
    };
    (0..3).for_each(|slice| apply(slice, 0));
    let pipeline = PipelineOptions { removal_epoch: Duration::from_secs(1), ..PipelineOptions::default() };
    let window = pipeline.debounce;
    let woken = Arc::new(Woken::new());
    let runtime = Runtime::new();
    let target = Target::parse(&target(api, "user.rolling", "")).unwrap();
    let watch =
        runtime.watch(&target, WatchOptions { pipeline, ..WatchOptions::default() }, woken.clone()).unwrap();
    eventually("the first list", LIMIT, || {
        watch.latest().is_some_and(|snapshot| snapshot.endpoints.len() == 300)
    });
    let began = Instant::now();
    let first = watch.latest().unwrap().epoch;
    let check = || {
        let snapshot = watch.latest().unwrap();
        let addresses: BTreeSet<String> =
            snapshot.endpoints.iter().map(|endpoint| endpoint.addresses[0].to_string()).collect();
        assert_eq!(addresses.len(), snapshot.endpoints.len(), "one is there twice");
        assert!(addresses.len() >= 270, "only {} are there", addresses.len());
        addresses
    };
    for updated in (10..=300).step_by(10) {
        apply((updated - 1) / 100, updated);
        check();
    }
    let expected: BTreeSet<String> = (0..300).map(|pod| format!("{}:50051", ip(1, pod))).collect();
    eventually("the new pods alone", LIMIT, || check() == expected);
    let publications = watch.latest().unwrap().epoch - first;
    // What windows allow, and one for what each epoch of removals takes out.
    let allowed = began.elapsed().as_millis() / window.as_millis() + began.elapsed().as_millis() / 1000 + 2;
    assert!(u128::from(publications) <= allowed, "{publications} publications, {allowed} windows");
}
