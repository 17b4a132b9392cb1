//! How the API server is found: what a pod has mounted, kubeconfigs, and what is missing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use evener_test_servers::{KubeApi, Scratch};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
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

#[test]
fn a_certificate_without_its_key_is_refused() {
    let tls = crate::credentials::TlsFiles { cert: Some("/cert".into()), ..Default::default() };
    let credentials = Credentials { tls: Some(tls), ..Credentials::default() };
    let options = WatchOptions { credentials, ..WatchOptions::default() };
    let Err(error) = super::open(&target("kubernetes:///user"), &options) else { panic!("it is ignored") };
    assert!(error.class == ErrorClass::Config && error.message.contains("cert_file and key_file"), "{error}");
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

/// A way by a kubeconfig whose user has a shell fetch the credentials.
fn fetched_by(scratch: &Scratch, script: &str, patience: Duration) -> Access {
    let exec = serde_json::json!({"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
        "command": "sh", "args": ["-c", script]});
    let text = serde_json::json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "c", "user": {"exec": exec}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]});
    let path = scratch.write("kubeconfig", &text.to_string());
    let target = target(&format!("kubernetes:///user?kubeconfig={path}"));
    Access::new(&target, &Credentials::default(), nowhere()).with_patience(patience)
}

/// What has been written, line by line.
fn lines(path: &str) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The programs whose numbers are in a file. They end with this.
struct Hanging(String);

impl Hanging {
    fn end(&self) {
        for number in lines(&self.0).iter().filter_map(|line| line.parse().ok()) {
            let _ = kill(Pid::from_raw(number), Signal::SIGKILL);
        }
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn a_program_that_hangs_is_told_and_no_other_one_is_started() {
    let scratch = Scratch::new("kubernetes-hangs");
    let (started, mended) = (scratch.file("started"), scratch.file("mended"));
    let script = format!(
        "if [ -e {mended} ]; then echo '{{\"status\":{{\"token\":\"t\"}}}}'; else echo $$ >> {started}; exec sleep 600; fi"
    );
    let mut access = fetched_by(&scratch, &script, Duration::from_millis(200));
    let hanging = Hanging(started.clone());
    run(async {
        let end = Instant::now() + LIMIT;
        // Once when it has certainly been started, and once more.
        while lines(&started).is_empty() {
            assert!(Instant::now() < end, "it was not started");
            let _ = access.refresh().await;
        }
        let error = access.refresh().await.expect_err("it hangs");
        assert_eq!(error.class, ErrorClass::Timeout);
        assert!(error.message.contains("the program `sh` of the kubeconfig has not answered"), "{error}");
        assert_eq!(lines(&started).len(), 1, "it was started again while it hangs");
        // What it comes to after all counts, and then it is asked again.
        scratch.write("mended", "");
        hanging.end();
        let mut said = Vec::new();
        while let Err(error) = access.refresh().await {
            assert!(Instant::now() < end, "{said:?}");
            said.push(error.message);
        }
        assert!(said.iter().any(|message| message.contains("`sh` of the kubeconfig failed")), "{said:?}");
    });
    assert_eq!(lines(&started).len(), 1);
}

#[test]
fn credentials_are_fetched_again_when_they_are_about_to_end() {
    for (end, expected) in [
        (r#","expirationTimestamp":"1970-01-01T00:00:00Z""#, 2),
        (r#","expirationTimestamp":"2999-01-01T00:00:00Z""#, 1),
        ("", 1),
    ] {
        let scratch = Scratch::new("kubernetes-ends");
        let runs = scratch.file("runs");
        let script = format!("echo run >> {runs}; echo '{{\"status\":{{\"token\":\"t\"{end}}}}}'");
        let mut access = fetched_by(&scratch, &script, LIMIT);
        run(async {
            access.refresh().await.unwrap();
            access.refresh().await.unwrap();
        });
        assert_eq!(lines(&runs).len(), expected, "{end}");
    }
}

#[test]
fn credentials_that_have_ended_are_not_asked_with_and_those_that_have_not_are() {
    let soon = (std::time::SystemTime::now() + Duration::from_secs(30)).duration_since(std::time::UNIX_EPOCH);
    let soon = serde_json::to_value(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
        k8s_openapi::jiff::Timestamp::from_second(i64::try_from(soon.unwrap().as_secs()).unwrap()).unwrap(),
    ));
    for (ends, is_of_use) in
        [(soon.unwrap().to_string(), true), ("\"1970-01-01T00:00:00Z\"".to_owned(), false)]
    {
        let scratch = Scratch::new("kubernetes-ended");
        let answer =
            scratch.write("answer", &format!(r#"{{"status":{{"token":"t","expirationTimestamp":{ends}}}}}"#));
        let mut access = fetched_by(&scratch, &format!("cat {answer}"), LIMIT);
        run(async {
            access.refresh().await.unwrap();
            std::fs::remove_file(&answer).unwrap();
            assert_eq!(access.refresh().await.is_ok(), is_of_use, "{ends}");
            // Once the server has refused them they are of no use either.
            access.distrust();
            let error = access.refresh().await.expect_err("they were refused");
            assert!(error.class == ErrorClass::Denied && error.message.contains("`sh`"), "{error}");
        });
    }
}
