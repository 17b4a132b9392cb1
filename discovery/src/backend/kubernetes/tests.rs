//! How the API server is found: what a pod has mounted, kubeconfigs, and what is missing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use evener_test_servers::{KubeApi, Scratch};
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::access::{Access, Surroundings};
use super::open_in;
use crate::backend::Feed;
use crate::credentials::Credentials;
use crate::event::{ErrorClass, Event};
use crate::runtime::WatchOptions;
use crate::target::{KubernetesTarget, Target};

const LIMIT: Duration = Duration::from_secs(30);

fn target(text: &str) -> KubernetesTarget {
    match Target::parse(text) {
        Ok(Target::Kubernetes(target)) => target,
        other => panic!("{text}: {other:?}"),
    }
}

fn nowhere() -> Surroundings {
    Surroundings { service_account: "/nowhere".into(), in_cluster: None, kubeconfigs: Vec::new(), home: None }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The server and the namespace that are found.
fn found(text: &str, surroundings: Surroundings) -> Result<(String, String), String> {
    run(async {
        let mut access = Access::new(&target(text), &Credentials::default(), surroundings);
        access.refresh().await.map_err(|error| error.message)?;
        Ok((access.server().to_owned(), access.namespace().to_owned()))
    })
}

fn kubeconfig(scratch: &Scratch, name: &str, contexts: &[(&str, &str, &str)]) -> PathBuf {
    let list =
        |each: &dyn Fn(&(&str, &str, &str)) -> String| contexts.iter().map(each).collect::<Vec<_>>().join("");
    let clusters =
        list(&|(context, server, _)| format!("- name: {context}\n  cluster: {{server: '{server}'}}\n"));
    let named = list(&|(context, _, namespace)| {
        format!("- name: {context}\n  context: {{cluster: {context}, user: u, namespace: {namespace}}}\n")
    });
    let current = contexts.first().map_or("none", |(context, ..)| context);
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {current}\nclusters:\n{clusters}contexts:\n{named}users:\n- name: u\n  user: {{token: t}}\n"
    );
    PathBuf::from(scratch.write(name, &text))
}

#[test]
fn the_way_is_found_where_clients_of_kubernetes_look() {
    let scratch = Scratch::new("kubernetes-ways");
    let first = kubeconfig(
        &scratch,
        "first",
        &[("a", "http://127.0.0.1:1", "red"), ("b", "http://127.0.0.1:2", "blue")],
    );
    let second = kubeconfig(&scratch, "second", &[("c", "http://127.0.0.1:3", "green")]);
    let way = |server: &str, namespace: &str| Ok((server.to_owned(), namespace.to_owned()));
    let several = Surroundings { kubeconfigs: vec![first.clone(), second.clone()], ..nowhere() };
    let at_home = Surroundings { home: Some(second), ..nowhere() };

    assert_eq!(found("kubernetes:///user", several.clone()), way("http://127.0.0.1:1", "red"));
    assert_eq!(found("kubernetes:///user?context=c", several.clone()), way("http://127.0.0.1:3", "green"));
    assert_eq!(
        found("kubernetes:///user.prod?context=b", several.clone()),
        way("http://127.0.0.1:2", "prod")
    );
    assert_eq!(found("kubernetes:///user", at_home.clone()), way("http://127.0.0.1:3", "green"));
    let named = format!("kubernetes:///user?kubeconfig={}", first.display());
    assert_eq!(found(&named, at_home.clone()), way("http://127.0.0.1:1", "red"));
    assert_eq!(
        found("kubernetes:///user?server=http://127.0.0.1:9", at_home),
        way("http://127.0.0.1:9", "default")
    );
    let error = found("kubernetes:///user?context=d", several).unwrap_err();
    assert!(error.contains("first") && error.contains('d'), "{error}");
}

#[test]
fn no_way_at_all_says_what_was_looked_for() {
    let error = found("kubernetes:///user", nowhere()).unwrap_err();
    assert!(error.contains("KUBERNETES_SERVICE_HOST") && error.contains("~/.kube/config"), "{error}");
    let missing = Surroundings { kubeconfigs: vec!["/nowhere/config".into()], ..nowhere() };
    assert!(found("kubernetes:///user", missing).unwrap_err().contains("/nowhere/config"));
    let unmounted = Surroundings { in_cluster: Some(("10.0.0.1".into(), "443".into())), ..nowhere() };
    assert!(found("kubernetes:///user", unmounted).unwrap_err().contains("/nowhere/ca.crt"));
}

fn mount(scratch: &Scratch, api: &KubeApi) -> Surroundings {
    scratch.write("ca.crt", &api.ca_pem());
    scratch.write("token", api.admin_token());
    scratch.write("namespace", "mounted\n");
    let (host, port) =
        api.address().split_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
    Surroundings {
        service_account: Path::new(scratch.path()).to_owned(),
        in_cluster: Some((host, port)),
        ..nowhere()
    }
}

#[test]
fn a_pod_needs_nothing_but_what_it_has_mounted() {
    let Some(api) = KubeApi::start() else { return };
    api.namespace("mounted");
    api.apply_slice(&serde_json::json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "user-1", "namespace": "mounted", "labels": {"kubernetes.io/service-name": "user"}},
        "addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [{"addresses": ["10.1.0.1"]}]}));
    let scratch = Scratch::new("kubernetes-pod");
    let surroundings = mount(&scratch, &api);
    let opener = open_in(&target("kubernetes:///user"), &WatchOptions::default(), surroundings.clone());
    let (feed, mut events, _hint) = Feed::new();
    let event = run(async {
        tokio::select! {
            error = opener(feed) => panic!("{error}"),
            event = timeout(LIMIT, events.recv()) => event.unwrap().unwrap(),
        }
    });
    let Event::Reset { parts, .. } = event else { panic!("{event:?}") };
    assert_eq!(parts[0].endpoints[0].to_string(), "10.1.0.1:80");

    // An authority that is not the server's: said, and right again as soon as the file is.
    let other = evener_test_servers::Authority::new();
    scratch.write("ca.crt", &other.ca_pem());
    let opener = open_in(&target("kubernetes:///user"), &WatchOptions::default(), surroundings);
    let (feed, mut events, _hint) = Feed::new();
    run(async {
        let heard = async {
            let Some(Event::Failed(error)) = events.recv().await else { panic!("it is believed") };
            assert_eq!(error.class, ErrorClass::Unreachable);
            scratch.write("ca.crt", &api.ca_pem());
            while !matches!(events.recv().await, Some(Event::Reset { .. })) {}
        };
        tokio::select! {
            error = opener(feed) => panic!("{error}"),
            heard = timeout(LIMIT, heard) => heard.expect("the new authority"),
        }
    });
}
