//! What takes files of our own: the search list and the hosts file, against BIND.

use std::time::{Duration, Instant};

use evener_test_servers::{Bind, BindOptions, Scratch};
use tokio::runtime::Builder;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use super::environment::Files;
use super::open_with;
use crate::backend::Feed;
use crate::event::{ErrorClass, Event};
use crate::runtime::{DnsOptions, WatchOptions};
use crate::{Address, Target};

const LIMIT: Duration = Duration::from_secs(20);

fn files(scratch: &Scratch) -> Files {
    Files { resolv_conf: scratch.path().join("resolv.conf"), hosts: scratch.path().join("hosts") }
}

/// Runs the backend of `target` while `body` hears what it says.
fn watching(target: &str, scratch: &Scratch, body: impl AsyncFnOnce(&mut UnboundedReceiver<Event>)) {
    let Ok(Target::Dns(target)) = Target::parse(target) else { panic!("{target} is no dns target") };
    let dns = DnsOptions {
        min_interval: Duration::from_millis(100),
        max_interval: Duration::from_millis(200),
        ..DnsOptions::default()
    };
    let opener =
        open_with(&target, &WatchOptions { dns, ..WatchOptions::default() }, files(scratch)).unwrap();
    let (feed, mut events, _hint) = Feed::new();
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        tokio::select! {
            error = opener(feed) => panic!("{error}"),
            () = body(&mut events) => {}
        }
    });
}

/// Waits until there are exactly these endpoints.
async fn until(events: &mut UnboundedReceiver<Event>, expected: &[&str]) {
    let deadline = Instant::now() + LIMIT;
    let mut said = Vec::new();
    while let Ok(Some(event)) =
        timeout(deadline.saturating_duration_since(Instant::now()), events.recv()).await
    {
        if let Event::Reset { parts, .. } = &event {
            let written: Vec<String> =
                parts.iter().flat_map(|part| &part.endpoints).map(ToString::to_string).collect();
            if written == expected {
                return;
            }
        }
        said.push(format!("{event:?}"));
    }
    panic!("never {expected:?}: {said:#?}");
}

#[test]
fn the_search_list_is_read_again_when_it_changes() {
    let records = ["a.svc 1 A 127.0.0.1", "a.other 1 A 127.0.0.2"].map(str::to_owned).to_vec();
    let Some(bind) = Bind::start(&BindOptions { records, ..BindOptions::default() }) else { return };
    let scratch = Scratch::new("dns-search");
    scratch.write("resolv.conf", "nameserver 127.0.0.1\nsearch nothing.example.test svc.example.test\n");
    watching(&format!("dns://{}/a:80", bind.address()), &scratch, async |events| {
        until(events, &["127.0.0.1:80"]).await;
        scratch.write("resolv.conf", "nameserver 127.0.0.1\nsearch other.example.test svc.example.test\n");
        until(events, &["127.0.0.2:80"]).await;
        scratch.write("resolv.conf", "what is this\n");
        bind.set_a("a.other.example.test", 1, &["127.0.0.3".to_owned()]);
        until(events, &["127.0.0.3:80"]).await;
    });
    watching(&format!("dns://{}/a.svc:80", bind.address()), &scratch, async |events| {
        scratch
            .write("resolv.conf", "search example.test\noptions ndots:1 timeout:1\nnameserver 127.0.0.1\n");
        until(events, &["127.0.0.1:80"]).await;
    });
}

#[test]
fn a_search_domain_that_is_refused_is_passed_over_but_its_silence_is_not_taken_for_an_answer() {
    let records = vec!["a 1 A 127.0.0.1".to_owned()];
    let Some(bind) = Bind::start(&BindOptions { records, ..BindOptions::default() }) else { return };
    let scratch = Scratch::new("dns-refused");
    scratch.write("resolv.conf", "nameserver 127.0.0.1\nsearch refused.test example.test\n");
    watching(&format!("dns://{}/a:80", bind.address()), &scratch, async |events| {
        until(events, &["127.0.0.1:80"]).await;
        bind.update("update delete a.example.test A");
        let deadline = timeout(LIMIT, async {
            loop {
                match events.recv().await {
                    Some(Event::Failed(error)) => break assert_eq!(error.class, ErrorClass::Denied),
                    Some(Event::Confirmed { .. }) => {}
                    other => panic!("{other:?}"),
                }
            }
        });
        deadline.await.expect("a failure");
    });
}

#[test]
fn the_hosts_file_goes_before_dns_and_is_read_again_when_it_changes() {
    let Some(bind) =
        Bind::start(&BindOptions { records: vec!["a 1 A 127.0.0.1".to_owned()], ..BindOptions::default() })
    else {
        return;
    };
    let scratch = Scratch::new("dns-hosts");
    scratch.write("hosts", "# nothing yet\n");
    watching(&format!("dns://{}/a.example.test:80", bind.address()), &scratch, async |events| {
        until(events, &["127.0.0.1:80"]).await;
        scratch.write("hosts", "127.0.0.7 other a.example.test # first\n::1 a.example.test\n");
        until(events, &["127.0.0.7:80", "[::1]:80"]).await;
        std::fs::remove_file(files(&scratch).hosts).unwrap();
        bind.set_a("b.example.test", 1, &["127.0.0.1".to_owned()]);
        scratch.write("hosts", "127.0.0.8 b\n");
        until(events, &["127.0.0.1:80"]).await;
    });
}

/// As the C library does: the file says nothing about a family that it has no address of.
#[test]
fn a_family_that_the_hosts_file_does_not_have_is_asked_for_in_dns() {
    let records = ["a 1 A 127.0.0.1", "a 1 AAAA ::2"].map(str::to_owned).to_vec();
    let Some(bind) = Bind::start(&BindOptions { records, ..BindOptions::default() }) else { return };
    let scratch = Scratch::new("dns-hosts-family");
    for (hosts, family, expected) in [
        ("127.0.0.7 a.example.test\n", "ipv6", "[::2]:80"),
        ("::7 a.example.test\n", "ipv4", "127.0.0.1:80"),
        ("::7 a.example.test\n", "ipv6", "[::7]:80"),
    ] {
        scratch.write("hosts", hosts);
        let target = format!("dns://{}/a.example.test:80?family={family}", bind.address());
        watching(&target, &scratch, async |events| until(events, &[expected]).await);
    }
}

#[test]
fn a_server_gets_time_to_answer_whatever_the_settings_say() {
    let Some(bind) = Bind::start(&BindOptions::default()) else { return };
    let scratch = Scratch::new("dns-timeout");
    scratch.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:0 attempts:0\n");
    watching(&format!("dns://{}/svc.example.test:80", bind.address()), &scratch, async |events| {
        until(events, &["127.0.0.1:80"]).await;
    });
}

#[test]
fn a_server_may_have_a_name() {
    let Some(bind) = Bind::start(&BindOptions::default()) else { return };
    let port = bind.address().rsplit(':').next().unwrap().to_owned();
    let scratch = Scratch::new("dns-server");
    scratch.write("hosts", "127.0.0.1 ns.example.test\n");
    watching(&format!("dns://ns.example.test:{port}/svc.example.test:80"), &scratch, async |events| {
        until(events, &["127.0.0.1:80"]).await;
    });
}

#[test]
fn a_server_whose_name_is_not_found_is_no_matter_while_there_are_others() {
    let Some(bind) = Bind::start(&BindOptions::default()) else { return };
    let scratch = Scratch::new("dns-server-missing");
    scratch.write(
        "resolv.conf",
        "nameserver 127.0.0.1
options timeout:1 attempts:1
",
    );
    let (known, missing) = (bind.address(), "ns.missing.test");
    for servers in [format!("{known},{missing}"), format!("{missing},{known}")] {
        watching(&format!("dns://{servers}/svc.example.test:80"), &scratch, async |events| {
            match timeout(LIMIT, events.recv()).await {
                Ok(Some(Event::Reset { .. })) => {}
                other => panic!("{servers}: {other:?}"),
            }
        });
    }
    // Where there is no other it is waited for.
    let port = known.rsplit(':').next().unwrap();
    watching(&format!("dns://{missing}:{port}/svc.example.test:80"), &scratch, async |events| {
        match timeout(LIMIT, events.recv()).await {
            Ok(Some(Event::Failed(_))) => {}
            other => panic!("{other:?}"),
        }
        scratch.write("hosts", "127.0.0.1 ns.missing.test\n");
        until(events, &["127.0.0.1:80"]).await;
    });
}

#[test]
fn a_server_that_cannot_be_asked_is_an_error_at_once() {
    let zoned = Address::Zoned { ip: "fe80::1".parse().unwrap(), zone: "eth0".to_owned(), port: 53 };
    let files = Files::default();
    let error = super::Environment::new(vec![zoned], LIMIT, files).err().unwrap();
    assert_eq!(error.class, ErrorClass::Config);
    assert!(error.message.contains("[fe80::1%eth0]:53 cannot be a DNS server"), "{error}");
}
