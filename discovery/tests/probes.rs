//! Health probes against real servers: sockets, etcd's own HTTP and gRPC health, a gRPC health service that flips.

use std::collections::{BTreeSet, VecDeque};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use evener_discovery::credentials::TlsFiles;
use evener_discovery::pipeline::PipelineOptions;
use evener_discovery::probe::{ProbeKind, ProbeOptions, Prober};
use evener_discovery::runtime::{Resolver, ResolverSink, Resolving, Runtime, Watch, WatchOptions, Woken};
use evener_discovery::target::CustomTarget;
use evener_discovery::{Address, Condition, Endpoint, ErrorClass, Target};
use evener_test_servers::{Authority, Consul, ConsulOptions, Etcd, EtcdOptions, EtcdTls, Pair, Scratch};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::transport::{Identity, Server, ServerTlsConfig};

const LIMIT: Duration = Duration::from_secs(10);

fn options(kind: ProbeKind) -> ProbeOptions {
    let (interval, timeout) = (Duration::from_millis(50), Duration::from_secs(1));
    ProbeOptions { interval, timeout, fail_open: false, ..ProbeOptions::new(kind) }
}

fn endpoints(addresses: &[String]) -> Arc<[Endpoint]> {
    addresses.iter().map(|address| address.parse().expect("an address")).collect()
}

/// Waits until exactly these endpoints, by position, fail.
async fn until(prober: &mut Prober, set: &Arc<[Endpoint]>, failing: &[usize]) {
    let reached = timeout(LIMIT, async {
        while positions(prober.failing(), set) != failing {
            prober.changed().await;
        }
    });
    assert!(reached.await.is_ok(), "{failing:?} should fail, {:?} do", positions(prober.failing(), set));
}

/// Waits until all have passed a check, which nobody must fail before.
async fn passes(prober: &mut Prober, set: &Arc<[Endpoint]>) {
    let all: Vec<usize> = (0..set.len()).collect();
    let passed = timeout(LIMIT, async {
        while positions(prober.passing(), set) != all {
            prober.changed().await;
            assert!(positions(prober.failing(), set).is_empty(), "a healthy server is out");
        }
    });
    passed.await.expect("all pass");
}

/// Where in the set these endpoints stand.
fn positions<'a>(found: impl Iterator<Item = &'a [Address]>, set: &Arc<[Endpoint]>) -> Vec<usize> {
    let found: BTreeSet<&[Address]> = found.collect();
    (0..set.len()).filter(|&at| found.contains(&*set[at].addresses)).collect()
}

/// A gRPC server with these services, once it accepts connections.
async fn serve(routes: tonic::service::Routes) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    serve_by(Server::builder(), routes).await
}

async fn serve_by(
    mut builder: Server,
    routes: tonic::service::Routes,
) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let address: SocketAddr = ([127, 0, 0, 1], evener_test_servers::free_port()).into();
    let server = builder.add_routes(routes).serve(address);
    let serving = tokio::spawn(async move { server.await.expect("serves") });
    let accepts = async {
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, accepts).await.expect("accepts connections");
    (address, serving)
}

#[tokio::test]
async fn a_port_that_closes_is_out_and_back_when_it_opens() {
    let listen = |at: SocketAddr| TcpListener::bind(at).expect("a port");
    let (stays, goes) = (listen(([127, 0, 0, 1], 0).into()), listen(([127, 0, 0, 1], 0).into()));
    let at = goes.local_addr().expect("bound");
    let set = endpoints(&[stays.local_addr().expect("bound").to_string(), at.to_string()]);
    let mut prober = Prober::new(options(ProbeKind::Tcp), 7).expect("valid");
    prober.set_endpoints(&set);
    drop(goes);
    until(&mut prober, &set, &[1]).await;
    let _back = listen(at);
    until(&mut prober, &set, &[]).await;
}

#[tokio::test]
async fn who_has_passed_a_check_is_told_apart_from_who_was_not_checked_yet() {
    let stays = TcpListener::bind("127.0.0.1:0").expect("a port");
    let set = endpoints(&[stays.local_addr().expect("bound").to_string()]);
    let mut prober = Prober::new(options(ProbeKind::Tcp), 7).expect("valid");
    prober.set_endpoints(&set);
    assert!(positions(prober.passing(), &set).is_empty());
    timeout(LIMIT, prober.changed()).await.expect("a verdict");
    assert_eq!((positions(prober.passing(), &set), positions(prober.failing(), &set)), (vec![0], vec![]));
}

#[tokio::test]
async fn an_endpoint_that_leaves_is_checked_no_more_and_one_that_stays_keeps_its_verdict() {
    let gone = || TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").to_string();
    let (first, second) = (gone(), gone());
    let both = endpoints(&[first.clone(), second]);
    let mut prober = Prober::new(options(ProbeKind::Tcp), 7).expect("valid");
    prober.set_endpoints(&both);
    until(&mut prober, &both, &[0, 1]).await;
    let one = endpoints(&[first]);
    prober.set_endpoints(&one);
    assert_eq!(positions(prober.failing(), &one), [0]);
    assert_eq!(prober.failing().count(), 1);
}

#[tokio::test]
async fn http_and_grpc_checks_of_a_server_that_has_both() {
    let Some(etcd) = Etcd::start() else { return };
    let set = endpoints(&[etcd.client().to_owned()]);
    let kinds = [
        ProbeKind::Http { path: "/health".to_owned(), port: None },
        ProbeKind::GrpcCheck { service: String::new() },
        ProbeKind::GrpcWatch { service: String::new() },
    ];
    let mut probers: Vec<Prober> =
        kinds.into_iter().map(|kind| Prober::new(options(kind), 7).expect("valid")).collect();
    let mut wrong_path =
        Prober::new(options(ProbeKind::Http { path: "/no-such-page".to_owned(), port: None }), 7)
            .expect("valid");
    wrong_path.set_endpoints(&set);
    until(&mut wrong_path, &set, &[0]).await;
    for prober in &mut probers {
        prober.set_endpoints(&set);
        passes(prober, &set).await;
    }
    etcd.kill();
    for prober in &mut probers {
        until(prober, &set, &[0]).await;
    }
    etcd.restart();
    for prober in &mut probers {
        until(prober, &set, &[]).await;
    }
}

#[tokio::test]
async fn what_a_server_says_of_itself_counts_at_once() {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("a.B", tonic_health::ServingStatus::Serving).await;
    let (address, serving) = serve(tonic::service::Routes::new(service)).await;
    let set = endpoints(&[address.to_string()]);
    // Intervals so long that only the stream itself can bring the news in time.
    let slow = ProbeOptions {
        interval: Duration::from_secs(600),
        ..options(ProbeKind::GrpcWatch { service: "a.B".to_owned() })
    };
    let mut prober = Prober::new(slow, 7).expect("valid");
    prober.set_endpoints(&set);
    for status in [tonic_health::ServingStatus::NotServing, tonic_health::ServingStatus::Serving] {
        reporter.set_service_status("a.B", status).await;
        let out: &[usize] = if status == tonic_health::ServingStatus::Serving { &[] } else { &[0] };
        until(&mut prober, &set, out).await;
    }
    serving.abort();
}

#[tokio::test]
async fn a_grpc_server_without_the_health_service_is_healthy() {
    // No service at all: whatever is called is UNIMPLEMENTED.
    let (address, serving) = serve(tonic::service::Routes::default()).await;
    let set = endpoints(&[address.to_string()]);
    for kind in
        [ProbeKind::GrpcCheck { service: String::new() }, ProbeKind::GrpcWatch { service: String::new() }]
    {
        let mut prober = Prober::new(ProbeOptions { rise: 1, ..options(kind) }, 7).expect("valid");
        prober.set_endpoints(&set);
        passes(&mut prober, &set).await;
    }
    serving.abort();
}

#[tokio::test]
async fn certificates_that_are_rotated_are_used_from_then_on() {
    let (authority, other) = (Authority::new(), Authority::new());
    let Pair { certificate, key } = authority.server(&["127.0.0.1"]);
    let client = authority.client("prober");
    let asked = Some((client.certificate.clone(), client.key.clone()));
    let tls = EtcdTls { ca: authority.ca(), certificate, key, client: asked };
    let Some(etcd) = Etcd::with(EtcdOptions { tls: Some(tls), ..EtcdOptions::default() }) else { return };
    let set = endpoints(&[etcd.client()]);
    let scratch = Scratch::new("rotated");
    let use_of = |authority: &Authority, pair: &Pair| {
        let content = |path: &str| std::fs::read_to_string(path).expect("a file");
        let files = [("ca", authority.ca()), ("cert", pair.certificate.clone()), ("key", pair.key.clone())];
        for (name, path) in files {
            scratch.write(name, &content(&path));
        }
    };
    let file = |name: &str| Some(scratch.file(name).into());
    let tls = TlsFiles { ca: file("ca"), cert: file("cert"), key: file("key"), server_name: None };
    let kinds = [
        ProbeKind::Http { path: "/health".to_owned(), port: None },
        ProbeKind::GrpcCheck { service: String::new() },
        ProbeKind::GrpcWatch { service: String::new() },
    ];
    for kind in kinds {
        use_of(&other, &client);
        let mut prober =
            Prober::new(ProbeOptions { tls: Some(tls.clone()), ..options(kind) }, 7).expect("valid");
        prober.set_endpoints(&set);
        until(&mut prober, &set, &[0]).await;
        use_of(&authority, &client);
        until(&mut prober, &set, &[]).await;
    }
    // The client's own certificate is read again as well.
    use_of(&authority, &other.client("stranger"));
    let http = ProbeKind::Http { path: "/health".to_owned(), port: None };
    let mut prober = Prober::new(ProbeOptions { tls: Some(tls), ..options(http) }, 7).expect("valid");
    prober.set_endpoints(&set);
    until(&mut prober, &set, &[0]).await;
    use_of(&authority, &client);
    until(&mut prober, &set, &[]).await;
}

#[tokio::test]
async fn a_server_name_is_what_certificates_are_checked_against() {
    let authority = Authority::new();
    let server = authority.server(&["server.dc1.consul"]);
    let port = evener_test_servers::free_port();
    let extra = serde_json::json!({
        "ports": {"https": port},
        "tls": {"defaults": {"cert_file": server.certificate, "key_file": server.key}},
    });
    let Some(_consul) = Consul::with(ConsulOptions { extra, ..ConsulOptions::default() }) else { return };
    let set = endpoints(&[format!("127.0.0.1:{port}"), format!("localhost:{port}")]);
    let prober = |server_name: Option<&str>| {
        let files = TlsFiles { ca: Some(authority.ca().into()), ..TlsFiles::default() };
        let tls = Some(TlsFiles { server_name: server_name.map(str::to_owned), ..files });
        let kind = ProbeKind::Http { path: "/v1/status/leader".to_owned(), port: None };
        Prober::new(ProbeOptions { tls, ..self::options(kind) }, 7)
    };
    for (name, unhealthy) in [(None, &[0, 1][..]), (Some("other.dc1.consul"), &[0, 1])] {
        let mut prober = prober(name).expect("valid");
        prober.set_endpoints(&set);
        until(&mut prober, &set, unhealthy).await;
    }
    let mut named = prober(Some("server.dc1.consul")).expect("valid");
    named.set_endpoints(&set);
    passes(&mut named, &set).await;
    // A name that is an address would be connected to.
    let error = prober(Some("127.0.0.2")).expect_err("it is no name");
    assert!(error.to_string().contains("127.0.0.2"), "{error}");
}

/// Which server's certificate the test below is to use, in a process whose system trusts the authority behind it.
const CERTIFICATE: &str = "EVENER_TEST_CERTIFICATE";

#[test]
fn without_an_authority_the_systems_are_trusted() {
    let authority = Authority::new();
    let Pair { certificate, key } = authority.server(&["127.0.0.1"]);
    let output = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "where_the_system_trusts_the_server", "--ignored"])
        .env("SSL_CERT_FILE", authority.ca())
        .env_remove("SSL_CERT_DIR")
        .env(CERTIFICATE, format!("{certificate},{key}"))
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "the test before this one runs it, in a process of its own"]
async fn where_the_system_trusts_the_server() {
    let files = std::env::var(CERTIFICATE).expect("set by the other test");
    let (certificate, key) = files.split_once(',').expect("two files");
    let read = |path: &str| std::fs::read(path).expect("a file");
    let identity = Identity::from_pem(read(certificate), read(key));
    let builder = Server::builder().tls_config(ServerTlsConfig::new().identity(identity)).expect("valid");
    let (reporter, service) = tonic_health::server::health_reporter();
    let (address, serving) = serve_by(builder, tonic::service::Routes::new(service)).await;
    let set = endpoints(&[address.to_string()]);
    for kind in [
        ProbeKind::GrpcCheck { service: "a.B".to_owned() },
        ProbeKind::GrpcWatch { service: "a.B".to_owned() },
    ] {
        let options = ProbeOptions { tls: Some(TlsFiles::default()), ..options(kind) };
        let mut prober = Prober::new(options, 7).expect("valid");
        prober.set_endpoints(&set);
        reporter.set_service_status("a.B", tonic_health::ServingStatus::NotServing).await;
        until(&mut prober, &set, &[0]).await;
        // It takes an answer of the server's to be back.
        reporter.set_service_status("a.B", tonic_health::ServingStatus::Serving).await;
        until(&mut prober, &set, &[]).await;
    }
    serving.abort();
}

#[tokio::test]
async fn what_a_kind_of_check_cannot_ask_is_not_checked() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").to_string();
    let (file, name, zoned) = ("unix:/no/such/socket", "unix-abstract:no-such-socket", "[fe80::1%no0]:1");
    let set = endpoints(&[file, name, zoned, &gone].map(str::to_owned));
    let service = String::new;
    for (kind, unhealthy) in [
        (ProbeKind::Tcp, &[0, 1, 2, 3][..]),
        (ProbeKind::Http { path: "/".to_owned(), port: None }, &[3]),
        (ProbeKind::GrpcCheck { service: service() }, &[0, 3]),
        (ProbeKind::GrpcWatch { service: service() }, &[0, 3]),
    ] {
        let mut prober = Prober::new(options(kind.clone()), 7).expect("valid");
        prober.set_endpoints(&set);
        until(&mut prober, &set, unhealthy).await;
        assert!(timeout(Duration::from_millis(300), prober.changed()).await.is_err(), "{kind:?}");
    }
}

#[tokio::test]
async fn no_more_checks_run_at_a_time_than_allowed() {
    let (found, mut connections) = mpsc::unbounded_channel();
    let mut addresses = Vec::new();
    for _ in 0..6 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        addresses.push(listener.local_addr().expect("bound").to_string());
        let found = found.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let _ = found.send(connection);
            }
        });
    }
    let silent = ProbeOptions {
        concurrency: 2,
        timeout: Duration::from_secs(600),
        ..options(ProbeKind::Http { path: "/".to_owned(), port: None })
    };
    let mut prober = Prober::new(silent, 7).expect("valid");
    prober.set_endpoints(&endpoints(&addresses));
    let mut held = VecDeque::new();
    for _ in 0..8 {
        held.push_back(timeout(LIMIT, connections.recv()).await.expect("a check"));
        if held.len() < 2 {
            continue;
        }
        // All are due. A third would come now.
        assert!(timeout(Duration::from_millis(200), connections.recv()).await.is_err(), "a third check runs");
        held.pop_front();
    }
}

#[tokio::test]
async fn checks_come_at_irregular_times() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let set = endpoints(&[listener.local_addr().expect("bound").to_string()]);
    let interval = Duration::from_millis(300);
    let spread = ProbeOptions { interval, jitter_percent: 100, ..options(ProbeKind::Tcp) };
    let mut prober = Prober::new(spread, 7).expect("valid");
    prober.set_endpoints(&set);
    // Without jitter none comes sooner than the interval, however slow the machine is.
    let sooner = async {
        let _ = listener.accept().await;
        loop {
            let before = Instant::now();
            let _ = listener.accept().await;
            if before.elapsed() < interval / 2 {
                return;
            }
        }
    };
    timeout(2 * LIMIT, sooner).await.expect("a check after less than half of the interval");
}

// ---- through a watch ----

/// A watch whose endpoints are probed.
struct Probed {
    watch: Watch,
    woken: Arc<Woken>,
    _runtime: Runtime,
}

impl Probed {
    fn with(runtime: Runtime, target: &str, options: WatchOptions) -> Self {
        let woken = Arc::new(Woken::new());
        let target = runtime.parse(target).expect("a target");
        let watch = runtime.watch(&target, options, Arc::clone(&woken) as _).expect("valid");
        Self { watch, woken, _runtime: runtime }
    }

    fn of(addresses: &[String], probe: ProbeOptions) -> Self {
        Self::with(Runtime::new(), &format!("static:///{}", addresses.join(",")), probed(probe))
    }

    /// Waits until so many endpoints are published, and of them exactly these as unhealthy.
    fn until(&self, total: usize, unhealthy: &[&str]) {
        self.until_is(&format!("{unhealthy:?} of {total} out"), || {
            let Some(latest) = self.watch.latest() else { return false };
            let is_out = |endpoint: &&Endpoint| endpoint.condition == Condition::Unhealthy;
            let out: BTreeSet<String> = latest.endpoints.iter().filter(is_out).map(address_of).collect();
            latest.endpoints.len() == total && out.iter().eq(unhealthy.iter().collect::<BTreeSet<_>>())
        });
    }

    fn until_is(&self, what: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + LIMIT;
        loop {
            let seen = self.woken.count();
            if condition() {
                return;
            }
            assert!(Instant::now() < end, "{what}: {:?}", self.watch.status());
            self.woken.wait_after(seen, end.saturating_duration_since(Instant::now()));
        }
    }

    fn failing_probes(&self) -> usize {
        self.watch.status().expect("a status").endpoints.failing_probes
    }
}

fn probed(probe: ProbeOptions) -> WatchOptions {
    WatchOptions { probe: Some(probe), linger: Duration::ZERO, ..WatchOptions::default() }
}

fn address_of(endpoint: &Endpoint) -> String {
    endpoint.addresses[0].to_string()
}

fn listen(at: SocketAddr) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(at).expect("a port");
    let at = listener.local_addr().expect("bound");
    (listener, at)
}

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

#[test]
fn a_watch_publishes_what_its_probes_find() {
    let ((_stays, first), (goes, second)) = (listen(any_port()), listen(any_port()));
    let (first, at) = (first.to_string(), second.to_string());
    let watched = Probed::of(&[first, at.clone()], options(ProbeKind::Tcp));
    watched.until(2, &[]);
    drop(goes);
    watched.until(2, &[&at]);
    assert_eq!(watched.failing_probes(), 1);
    let json = watched.watch.status().expect("a status").to_json(Instant::now());
    assert_eq!(
        (&json["endpoints"]["unhealthy"], &json["endpoints"]["failing_probes"]),
        (&1.into(), &1.into())
    );
    let _back = listen(second);
    watched.until(2, &[]);
    assert_eq!(watched.failing_probes(), 0);
}

#[test]
fn a_watch_probes_over_http_and_grpc_and_where_all_fail_none_is_out() {
    let Some(etcd) = Etcd::start() else { return };
    let etcd_at = etcd.client().trim_start_matches("http://").to_owned();
    // It accepts connections and says nothing.
    let (_silent, silent) = listen(any_port());
    let silent = silent.to_string();
    let kinds = [
        ProbeKind::Http { path: "/health".to_owned(), port: None },
        ProbeKind::GrpcCheck { service: String::new() },
    ];
    let quick = |kind| ProbeOptions { timeout: Duration::from_millis(300), ..options(kind) };
    let watches = kinds.map(|kind| {
        let open = ProbeOptions { fail_open: true, ..quick(kind.clone()) };
        let both = [etcd_at.clone(), silent.clone()];
        (Probed::of(&both, quick(kind)), Probed::of(&both, open))
    });
    for (strict, open) in &watches {
        strict.until(2, &[&silent]);
        open.until(2, &[&silent]);
    }
    etcd.kill();
    for (strict, open) in &watches {
        strict.until(2, &[&etcd_at, &silent]);
        open.until(2, &[]);
        assert_eq!(open.failing_probes(), 2);
    }
    etcd.restart();
    for (strict, open) in &watches {
        strict.until(2, &[&silent]);
        open.until(2, &[&silent]);
    }
}

#[tokio::test]
async fn what_a_server_says_of_itself_is_published_at_once() {
    let (reporter, service) = tonic_health::server::health_reporter();
    let (address, serving) = serve(tonic::service::Routes::new(service)).await;
    let at = address.to_string();
    // Neither the next check nor an epoch comes within the test.
    let slow = ProbeOptions {
        interval: Duration::from_secs(600),
        ..options(ProbeKind::GrpcWatch { service: "a.B".to_owned() })
    };
    reporter.set_service_status("a.B", tonic_health::ServingStatus::Serving).await;
    let watched = Arc::new(Probed::of(std::slice::from_ref(&at), slow));
    for status in [tonic_health::ServingStatus::NotServing, tonic_health::ServingStatus::Serving] {
        reporter.set_service_status("a.B", status).await;
        let (watched, at) = (Arc::clone(&watched), at.clone());
        let out = usize::from(status == tonic_health::ServingStatus::NotServing);
        // Elsewhere: the server is on this thread.
        let published = tokio::task::spawn_blocking(move || watched.until(1, &[at.as_str()][..out]));
        published.await.expect("published");
    }
    serving.abort();
}

/// A resolver whose sinks the test holds.
#[derive(Default)]
struct Scripted(Mutex<Vec<ResolverSink>>);

impl Resolver for Scripted {
    fn start(&self, _: &CustomTarget, sink: ResolverSink) -> Result<Box<dyn Resolving>, String> {
        self.0.lock().expect("no panic").push(sink);
        Ok(Box::new(()))
    }
}

impl Scripted {
    fn sink(&self, started: usize) -> ResolverSink {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(sink) = self.0.lock().expect("no panic").get(started) {
                return sink.clone();
            }
            assert!(Instant::now() < end, "it was not started");
            std::thread::yield_now();
        }
    }
}

#[test]
fn the_set_changes_below_its_probes_and_what_is_on_disk_is_without_them() {
    let ((_stays, first), (goes, second)) = (listen(any_port()), listen(any_port()));
    drop(goes);
    let [first, second] = [first, second].map(|at| at.to_string());
    let (runtime, resolver) = (Runtime::new(), Arc::new(Scripted::default()));
    runtime.register_scheme("lab", Arc::clone(&resolver) as Arc<dyn Resolver>).expect("a scheme");
    let scratch = Scratch::new("probes");
    let snapshot_dir = Some(scratch.path().to_path_buf());
    let pipeline = PipelineOptions::immediate();
    let tcp = || ProbeOptions { fall: 1, ..options(ProbeKind::Tcp) };
    let with = |probe| WatchOptions {
        pipeline: pipeline.clone(),
        snapshot_dir: snapshot_dir.clone(),
        ..probed(probe)
    };
    let watched = Probed::with(runtime.clone(), "lab:///user-service", with(tcp()));
    let sink = resolver.sink(0);
    let list = |ports: &[&String]| -> Vec<Endpoint> {
        ports.iter().map(|address| address.parse().expect("an address")).collect()
    };
    sink.push(list(&[&first]));
    watched.until(1, &[]);
    sink.push(list(&[&first, &second]));
    watched.until(2, &[&second]);
    sink.push(list(&[&first]));
    watched.until(1, &[]);
    // One that comes back is as good as new until it is checked again.
    sink.push(list(&[&first, &second]));
    watched.until(2, &[&second]);

    // The file is written at most every two seconds: until it holds both.
    let saved = || -> String {
        let files = std::fs::read_dir(scratch.path()).expect("it is there").flatten();
        files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect()
    };
    let end = Instant::now() + LIMIT;
    while !saved().contains(&second) {
        assert!(Instant::now() < end, "not saved: {}", saved());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!saved().to_lowercase().contains("unhealthy"), "{}", saved());
}

#[test]
fn probes_that_cannot_be_made_are_refused() {
    let target = Target::parse("static:///127.0.0.1:1").expect("a target");
    let refused = |probe, word| {
        let error = Runtime::new().watch(&target, probed(probe), Arc::new(Woken::new())).expect_err(word);
        assert_eq!(error.class, ErrorClass::Config);
        assert!(error.message.contains(word), "{}", error.message);
    };
    refused(ProbeOptions { rise: 0, ..options(ProbeKind::Tcp) }, "rise");
    let tls = TlsFiles { ca: Some("/no/such/file".into()), ..TlsFiles::default() };
    let https = ProbeKind::Http { path: "/".to_owned(), port: None };
    refused(ProbeOptions { tls: Some(tls), ..options(https) }, "/no/such/file");
}
