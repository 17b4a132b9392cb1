//! Tokens: what they may not read is no empty service.

use std::fs;
use std::time::Duration;

use evener_discovery::credentials::{Credentials, Secret};
use evener_discovery::runtime::WatchOptions;
use evener_discovery::{ErrorClass, Event};
use evener_test_servers::{Consul, ConsulOptions, Scratch};
use serde_json::{Value, json};

use crate::support::Backend;
use crate::{instance, plain, quick, target};

const MASTER: &str = "11111111-2222-3333-4444-555555555555";

fn guarded() -> Option<Consul> {
    Consul::with(ConsulOptions { acl_token: Some(MASTER.to_owned()), ..ConsulOptions::default() })
}

/// A token's secret and its accessor, for a policy with these rules.
fn token(consul: &Consul, name: &str, rules: &str) -> (String, String) {
    consul.put("/v1/acl/policy", &json!({"Name": name, "Rules": rules}).to_string());
    another(consul, name)
}

fn another(consul: &Consul, policy: &str) -> (String, String) {
    let body = json!({"Policies": [{"Name": policy}]}).to_string();
    let token: Value = serde_json::from_str(&consul.put("/v1/acl/token", &body)).unwrap();
    (token["SecretID"].as_str().unwrap().to_owned(), token["AccessorID"].as_str().unwrap().to_owned())
}

fn delete(consul: &Consul, accessor: &str) {
    assert!(consul.request("DELETE", &format!("/v1/acl/token/{accessor}"), "").unwrap().is_success());
}

fn open(consul: &Consul, rest: &str, token: Secret) -> Backend {
    let credentials = Credentials { token: Some(token), ..Credentials::default() };
    Backend::open(&target(consul, rest), &WatchOptions { credentials, ..quick() })
}

const READ: &str = r#"service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }"#;

fn refuse_any_set(event: &Event) {
    if let Event::Reset { parts: all, .. } | Event::Apply { changed: all, .. } = event {
        assert!(!plain(all).is_empty(), "an answer that was filtered was believed");
    }
}

#[test]
fn an_answer_that_was_filtered_is_an_error_and_not_empty() {
    let Some(consul) = guarded() else { return };
    consul.register(&instance("guarded", 1));
    let denied = |backend: &mut Backend| {
        for _ in 0..2 {
            backend.until("a refusal", |event| {
                refuse_any_set(&event);
                matches!(event, Event::Failed(error) if error.class == ErrorClass::Denied).then_some(())
            });
        }
    };
    // Without a token: 200 and an empty list, and no header that says why.
    denied(&mut Backend::open(&target(&consul, "guarded"), &quick()));
    let (keys, _) = token(&consul, "keys", r#"key_prefix "" { policy = "read" }"#);
    // With one that may read neither services nor nodes; with one that may read services and no nodes.
    denied(&mut open(&consul, "guarded", Secret::value(&keys)));
    let (half, _) = token(&consul, "half", r#"service_prefix "" { policy = "read" }"#);
    denied(&mut open(&consul, "guarded", Secret::value(&half)));
    // With one that Consul does not know: 403.
    denied(&mut open(&consul, "guarded", Secret::value("99999999-2222-3333-4444-555555555555")));
    let (good, _) = token(&consul, "good", READ);
    open(&consul, "guarded", Secret::value(&good)).until_set(&["10.0.0.1:50051"]);
    // And what is empty for whoever may read it is empty.
    open(&consul, "nothing", Secret::value(&good)).until_set(&[]);
    open(&consul, "nothing", Secret::value(MASTER)).until_set(&[]);
}

#[test]
fn a_token_file_that_changes_is_read_again_and_one_that_is_gone_is_remembered() {
    let Some(consul) = guarded() else { return };
    consul.register(&instance("rotated", 1));
    let (first, accessor) = token(&consul, "rotated", READ);
    let scratch = Scratch::new("consul-token");
    let file = scratch.write("token", &format!("{first}\n"));
    let mut backend = open(&consul, "rotated", Secret::File(file.clone().into()));
    backend.until_set(&["10.0.0.1:50051"]);
    let (second, _) = another(&consul, "rotated");
    fs::write(&file, &second).unwrap();
    // The old one goes while a question waits with it, which is so answered with an empty list.
    delete(&consul, &accessor);
    consul.register(&instance("rotated", 2));
    backend.until("the second instance", |event| {
        refuse_any_set(&event);
        match event {
            Event::Reset { parts: all, .. } | Event::Apply { changed: all, .. } => {
                (plain(&all).len() == 2).then_some(())
            }
            _ => None,
        }
    });
    fs::remove_file(&file).unwrap();
    consul.deregister("rotated-1");
    backend.until_set(&["10.0.0.2:50051"]);
}

#[test]
fn a_token_that_is_deleted_leaves_what_is_known() {
    let Some(consul) = guarded() else { return };
    consul.register(&instance("revoked", 1));
    let (secret, accessor) = token(&consul, "revoked", READ);
    let mut backend = open(&consul, "revoked?wait=1s", Secret::value(&secret));
    backend.until_set(&["10.0.0.1:50051"]);
    delete(&consul, &accessor);
    let mut refusals = 0;
    while refusals < 3 {
        let event = backend.within(Duration::from_secs(20)).expect("a refusal");
        refuse_any_set(&event);
        if let Event::Failed(error) = event {
            assert_eq!(error.class, ErrorClass::Denied, "{error}");
            assert!(error.message.contains("token") && !error.message.contains(&secret), "{error}");
            refusals += 1;
        }
    }
}
