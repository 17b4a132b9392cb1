//! Health probes against real servers: sockets, etcd's own HTTP and gRPC health, a gRPC health service that flips.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use evener_discovery::probe::{ProbeKind, ProbeOptions, Prober};
use evener_discovery::{Condition, Endpoint};
use evener_test_servers::Etcd;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(10);

fn options(kind: ProbeKind) -> ProbeOptions {
    let (interval, timeout) = (Duration::from_millis(50), Duration::from_secs(1));
    ProbeOptions { interval, timeout, fail_open: false, ..ProbeOptions::new(kind) }
}

fn endpoints(addresses: &[String]) -> Arc<[Endpoint]> {
    addresses.iter().map(|address| address.parse().expect("an address")).collect()
}

/// Waits until the prober holds exactly these endpoints, by position, to be unhealthy.
async fn until(prober: &mut Prober, set: &Arc<[Endpoint]>, unhealthy: &[usize]) {
    let reached = timeout(LIMIT, async {
        loop {
            let judged = prober.judge(set);
            let is_out = |&at: &usize| judged[at].condition == Condition::Unhealthy;
            if (0..set.len()).filter(is_out).eq(unhealthy.iter().copied()) {
                return;
            }
            prober.changed().await;
        }
    });
    assert!(reached.await.is_ok(), "{unhealthy:?} should be out, {} are", prober.unhealthy());
}

/// A gRPC server with these services, once it accepts connections.
async fn serve(routes: tonic::service::Routes) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let address: SocketAddr = ([127, 0, 0, 1], evener_test_servers::free_port()).into();
    let server = tonic::transport::Server::builder().add_routes(routes).serve(address);
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
async fn where_all_fail_none_is_out_unless_that_is_asked_for() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let set = endpoints(&[gone.to_string()]);
    let open = ProbeOptions { fail_open: true, fall: 1, ..options(ProbeKind::Tcp) };
    let mut prober = Prober::new(open, 7).expect("valid");
    prober.set_endpoints(&set);
    timeout(LIMIT, prober.changed()).await.expect("a verdict");
    assert_eq!(prober.unhealthy(), 1);
    assert_eq!(prober.judge(&set)[0].condition, Condition::Ready);
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
    assert_eq!(prober.unhealthy(), 1);
    assert_eq!(prober.judge(&one)[0].condition, Condition::Unhealthy);
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
        // Rise and fall have had time: what answers is not out.
        assert!(
            timeout(Duration::from_millis(500), prober.changed()).await.is_err(),
            "a healthy server was out"
        );
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
        until(&mut prober, &set, &[]).await;
        assert!(timeout(Duration::from_millis(500), prober.changed()).await.is_err(), "it was out");
    }
    serving.abort();
}
