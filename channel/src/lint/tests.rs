//! The user's forms, and what is to be said of each.

use super::*;
use crate::config::{Attempts, ServiceConfig};

fn codes(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.code).collect()
}

fn find<'a>(findings: &'a [Finding], code: &str) -> &'a Finding {
    findings
        .iter()
        .find(|finding| finding.code == code)
        .unwrap_or_else(|| panic!("no {code} in {findings:#?}"))
}

#[test]
fn a_retry_policy_at_the_top_is_moved_completed_and_made_safe() {
    let text = include_str!("../../../testdata/service_configs/user_retry_misplaced.json");
    let findings = document(text);
    let finding = find(&findings, "retry-misplaced");
    assert_eq!(finding.severity, Severity::Error);
    let corrected = finding.corrected.as_deref().expect("a correction");
    let again = document(corrected);
    assert!(!codes(&again).contains(&"retry-misplaced"), "{again:#?}");
    assert!(
        corrected.contains("backoffMultiplier") && !corrected.contains("DEADLINE_EXCEEDED"),
        "{corrected}"
    );
    assert!(codes(&findings).contains(&"retry-codes"), "{findings:#?}");
    assert!(!codes(&again).contains(&"retry-codes"), "{again:#?}");
    // What the finding says is what its correction does, and is short.
    assert!(finding.message.contains("`backoffMultiplier` is required and was added."), "{finding}");
    assert!(finding.message.contains("DEADLINE_EXCEEDED was left out"), "{finding}");
    assert!(!finding.message.contains('{') && !finding.message.contains('"'), "{finding}");
}

#[test]
fn a_misplaced_retry_policy_is_judged_by_what_it_would_do() {
    let text = include_str!("../../../testdata/service_configs/user_retry_misplaced.json");
    let findings = document(text);
    let worst = find(&findings, "retry-multiplies");
    assert_eq!((worst.severity, worst.place.as_str()), (Severity::Warning, "retryPolicy"));
    assert!(worst.message.contains("up to 3 calls") && worst.message.contains("up to 27 calls"), "{worst}");
    assert!(worst.advice.contains("retryThrottling"), "{worst}");
    // The correction has what the advice asks for.
    let corrected = find(&findings, "retry-misplaced").corrected.clone().expect("a correction");
    assert!(corrected.contains("retryThrottling"), "{corrected}");
    let again = document(&corrected);
    assert_eq!(find(&again, "retry-multiplies").severity, Severity::Advice);
    assert!(again.iter().all(|finding| finding.severity == Severity::Advice), "{again:#?}");
}

#[test]
fn a_misplaced_retry_policy_goes_to_the_entry_for_every_method() {
    let text = r#"{"methodConfig": [{"name": [{"service": "a.B"}]}, {"name": [{}], "timeout": "1s"}], "retryThrottling":
        {"maxTokens": 7, "tokenRatio": 1}, "retryPolicy": {"maxAttempts": 3, "initialBackoff": "9s", "maxBackoff": "9s",
        "backoffMultiplier": 1, "retryableStatusCodes": [4, "aborted"]}}"#;
    let findings = document(text);
    let corrected = find(&findings, "retry-misplaced").corrected.as_deref().expect("a correction");
    let parsed = ServiceConfig::parse(corrected).expect("what is corrected is right").config;
    let method = parsed.method("/any/Any");
    let Some(Attempts::Retry(policy)) = &method.attempts else { panic!("{corrected}") };
    assert!(method.timeout.is_some() && parsed.method("/a.B/C").attempts.is_none(), "{corrected}");
    assert_eq!(policy.codes.names().collect::<Vec<_>>(), ["ABORTED"]);
    assert_eq!(parsed.retry_throttling.map(|bound| bound.max_milli_tokens), Some(7000));
    find(&findings, "retry-outlasts-timeout");
}

/// An input that gives a finding, and one beside it that does not.
#[test]
fn each_finding_is_made_where_it_holds_and_not_beside_it() {
    let cases = [
        ("cluster-ip", "user.default.svc:80", "user-0.user.default.svc:80"),
        ("one-endpoint", "static:///10.0.0.1:80", "static:///10.0.0.1:80,10.0.0.2:80"),
        ("one-registry-node", "etcd://a:2379/user", "etcd://a:2379,b:2379,c:2379/user"),
        ("one-registry-node", "etcd://a/user", "etcd:///user"),
        ("old-answers", "consul:///user?max-stale=5m", "consul:///user?max-stale=10s"),
        ("old-answers", "consul:///user?cached&max-stale=1h", "consul:///user?consistent&max-stale=1h"),
        ("parameter-ignored", "consul:///user?near=_agent", "consul:///user"),
        ("parameter-ignored", "consul:///user?insecure", "consul:///user?tls"),
        ("parameter-ignored", "consul:///user?healthy=false", "consul:///user?healthy=true"),
        ("parameter-deprecated", "consul:///user?healthy=true", "consul:///user?passing"),
        ("parameter-deprecated", "consul:///user?allow-stale", "consul:///user?stale"),
        ("parameter-deprecated", "consul:///user?require-consistent", "consul:///user?consistent"),
        ("secret-in-target", "consul:///user?token=hush", "consul:///user?dc=hush"),
    ];
    for (code, with, without) in cases {
        find(&target(with), code);
        assert!(!codes(&target(without)).contains(&code), "{code}: {without}");
    }
    let cases = [
        (
            "check-timeout",
            r#"{"service": {"name": "a", "check": {"tcp": "a:1", "interval": "1s", "timeout": "1.5s"}}}"#,
            r#"{"service": {"name": "a", "check": {"tcp": "a:1", "interval": "1s", "timeout": "900ms"}}}"#,
        ),
        (
            "keepalive-timeout",
            r#"{"channel_args": {"grpc.keepalive_time_ms": 300000, "grpc.keepalive_timeout_ms": 300000}}"#,
            r#"{"channel_args": {"grpc.keepalive_time_ms": 300000, "grpc.keepalive_timeout_ms": 20000}}"#,
        ),
        (
            "no-service-config",
            r#"{"target": "dns:///a:1"}"#,
            r#"{"target": "dns:///a:1", "service_config": {}}"#,
        ),
        ("config-suspicious", r#"{"methodconfig": []}"#, r#"{"methodConfig": []}"#),
        ("config-suspicious", r#"{"loadBalancingConfg": []}"#, r#"{"loadBalancingConfig": []}"#),
        ("config-suspicious", r#"{"somethingOfTomorrow": {}}"#, "{}"),
        (
            "definition-refused",
            r#"{"service": {"name": "a", "port": 99999}}"#,
            r#"{"service": {"name": "a", "port": 9999}}"#,
        ),
        (
            "definition-suspicious",
            r#"{"service": {"name": "a", "port": 80, "prt": 80}}"#,
            r#"{"service": {"name": "a", "port": 80, "Meta": {"prt": "80"}}}"#,
        ),
        (
            "check-timeout",
            r#"{"name": "a", "port": 1, "check": {"tcp": "a:1", "interval": "1m", "timeout": "1m30s"}}"#,
            r#"{"name": "a", "port": 1, "check": {"tcp": "a:1", "interval": "2m", "timeout": "1m30s"}}"#,
        ),
        (
            "wrong-kind",
            r#"{"target": "dns:///a:1", "service_config": {"service": {"name": "a", "port": 1}}}"#,
            r#"{"target": "dns:///a:1", "service_config": {"methodConfig": []}}"#,
        ),
        (
            "wrong-kind",
            r#"{"channel_args": {"loadBalancingConfig": []}}"#,
            r#"{"channel_args": {"grpc.service_config": "{}"}}"#,
        ),
        ("wrong-kind", r#"{"channel_args": ["grpc.keepalive_time_ms"]}"#, r#"{"channel_args": null}"#),
        ("too-many-pings", r#"{"grpc.keepalive_time_ms": 10000}"#, r#"{"grpc.keepalive_time_ms": 300000}"#),
        (
            "not-obeyed-yet",
            r#"{"connectionScaling": {"maxConnectionsPerSubchannel": 2}}"#,
            r#"{"connectionScaling": {"maxConnectionsPerSubchannel": 1}}"#,
        ),
        (
            "no-timeout",
            r#"{"methodConfig": [{"name": [{}], "timeout": null}]}"#,
            r#"{"methodConfig": [{"name": [{"service": "a.B"}], "timeout": "5s"}]}"#,
        ),
        (
            "start-order",
            r#"{"target": "consul:///a", "snapshot_dir": ""}"#,
            r#"{"target": "consul:///a", "snapshot_dir": "/var/lib/a"}"#,
        ),
        (
            "start-order",
            r#"{"target": "etcd:///a", "service_config": {}}"#,
            r#"{"target": "etcd:///a", "fallback_target": "dns:///a:1"}"#,
        ),
        (
            "start-order",
            r#"{"target": "kubernetes:///a.b:1"}"#,
            r#"{"target": "dns:///a:1", "service_config": {}}"#,
        ),
        ("misplaced", r#"{"timeout": "1s"}"#, r#"{"methodConfig": [{"name": [{}], "timeout": "1s"}]}"#),
    ];
    for (code, with, without) in cases {
        find(&document(with), code);
        assert!(!codes(&document(without)).contains(&code), "{code}: {without}");
    }
}

#[test]
fn what_another_client_wrote_is_corrected_as_a_whole() {
    let findings = target(
        "consul://agent:8500/user?healthy=true&near=_agent&insecure=true&require-consistent=1&wait=14s",
    );
    let expected = ["parameter-ignored", "parameter-ignored", "parameter-deprecated", "parameter-deprecated"];
    assert_eq!(codes(&findings), expected);
    for finding in findings {
        let corrected = finding.corrected.expect("a correction");
        assert_eq!(corrected, "consul://agent:8500/user?passing=true&consistent=true&wait=14s");
        assert!(target(&corrected).is_empty());
    }
    // A secret is told once, and by nobody.
    let findings = target("consul://me:hush@agent/user?token=hush&near=_agent&max-stale=1m");
    assert_eq!(codes(&findings), ["secret-in-target", "parameter-ignored", "old-answers"]);
    assert!(!format!("{findings:?}").contains("hush"));
}

#[test]
fn a_fallback_target_is_looked_at_as_well() {
    let findings = document(r#"{"target": "dns:///a:1", "fallback_target": "dns:///a:http2"}"#);
    assert_eq!(find(&findings, "target-refused").place, "fallback_target.port");
}

#[test]
fn the_examples_follow_the_advice() {
    let test = include_str!("../../../examples/environments/test/service_config.json");
    assert_eq!(document(test), []);
    let production = include_str!("../../../examples/environments/production/service_config.json");
    assert_eq!(codes(&document(production)), ["not-obeyed-yet", "not-obeyed-yet", "retry-multiplies"]);
    assert!(document(production).iter().all(|finding| finding.severity == Severity::Advice));
}

#[test]
fn the_worst_case_of_retries_is_worked_out() {
    let policy = r#"{"methodConfig": [{"name": [{}], "timeout": "10s", "retryPolicy": {"maxAttempts": 4,
        "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2, "retryableStatusCodes": [14]}}]THROTTLE}"#;
    let findings = document(&policy.replace("THROTTLE", ""));
    let finding = find(&findings, "retry-multiplies");
    assert_eq!(
        (finding.severity, finding.place.as_str()),
        (Severity::Warning, "methodConfig[0].retryPolicy")
    );
    assert!(
        finding.message.contains("up to 4 calls") && finding.message.contains("up to 64 calls"),
        "{finding}"
    );

    let throttle = r#", "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}"#;
    let findings = document(&policy.replace("THROTTLE", throttle));
    let finding = find(&findings, "retry-multiplies");
    assert_eq!(finding.severity, Severity::Advice);
    assert!(
        finding.message.contains("about 5 failures") && finding.message.contains("1.10 times"),
        "{finding}"
    );
}

#[test]
fn pauses_longer_than_the_timeout_are_noticed() {
    let text = r#"{"methodConfig": [{"name": [{"service": "a.B"}], "timeout": "1s", "retryPolicy": {"maxAttempts": 3,
        "initialBackoff": "0.5s", "maxBackoff": "5s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]}"#;
    // 1.2 * (0.5 + 1.0) s.
    assert!(find(&document(text), "retry-outlasts-timeout").message.contains("1.800 s"));
}

#[test]
fn a_cluster_ip_is_a_target_that_cannot_be_balanced() {
    let findings = target("user-service.default.svc.cluster.local:8080");
    let finding = find(&findings, "cluster-ip");
    assert_eq!(finding.corrected.as_deref(), Some("kubernetes:///user-service.default:8080"));
    assert!(target("dns:///user-service.example.com:8080").is_empty());
}

#[test]
fn secrets_in_a_target_are_found_and_never_repeated() {
    let findings = target("consul://agent:8500/svc?token=hush");
    find(&findings, "secret-in-target");
    assert!(!format!("{findings:?}{}", to_json(&findings)).contains("hush"));
}

#[test]
fn keepalive_below_what_servers_allow_is_named() {
    let text = r#"{"target": "etcd:///user-service", "channel_args": {"grpc.keepalive_time_ms": 10000,
        "grpc.keepalive_timeout_ms": 3000, "grpc.keepalive_permit_without_calls": true}}"#;
    let findings = document(text);
    let finding = find(&findings, "too-many-pings");
    assert_eq!(finding.place, "channel_args.grpc.keepalive_time_ms");
    assert!(finding.message.contains("too_many_pings"));
    assert!(channel_args(|name| (name == "grpc.keepalive_time_ms").then_some(300_000)).is_empty());
}

#[test]
fn the_users_consul_definition_is_fine_but_for_its_end() {
    let text = r#"{"service": {"name": "user-service", "port": 8080,
        "check": {"http": "http://localhost:8080/health", "interval": "10s", "timeout": "3s"}}}"#;
    assert_eq!(codes(&document(text)), ["never-deregistered"]);
    let text = r#"{"services": [{"Name": "a", "Port": 1}, {"port": 2, "Checks": [{"TTL": "30s"}]}]}"#;
    let findings = document(text);
    assert_eq!(codes(&findings), ["no-health-check", "no-name", "never-deregistered"]);
    assert_eq!(findings[2].place, "services[1].checks[0].deregister_critical_service_after");
}

#[test]
fn checks_beside_the_services_count() {
    let text = r#"{"services": [{"name": "a", "port": 1}, {"id": "b-1", "name": "b", "port": 2}],
        "check": {"service_id": "b-1", "tcp": "127.0.0.1:2", "interval": "1s", "timeout": "2s"}}"#;
    let findings = document(text);
    assert_eq!(codes(&findings), ["no-health-check", "check-timeout", "never-deregistered"]);
    assert_eq!(
        (findings[0].place.as_str(), findings[1].place.as_str()),
        ("services[0].check", "check.timeout")
    );

    let text = r#"{"service": {"Name": "a", "Port": 1}, "checks": [{"ServiceID": "a", "TTL": "30s",
        "DeregisterCriticalServiceAfter": "10m"}]}"#;
    assert_eq!(document(text), []);
    // That of a node, or of a service that has another id than its name.
    for id in ["", "a"] {
        let text = r#"{"service": {"name": "a", "id": "a-1"}, "check": {"service_id": "ID", "ttl": "1s"}}"#;
        assert!(codes(&document(&text.replace("ID", id))).contains(&"no-health-check"), "{id}");
    }
    let text = r#"{"service": {"name": "a", "port": 1}, "services": [{"name": "b", "port": 2}]}"#;
    assert_eq!(codes(&document(text)), ["no-health-check"; 2]);
}

#[test]
fn what_is_refused_says_where() {
    let cases = [
        ("{", "not-json", ""),
        (
            r#"{"methodConfig": [{"name": [{}], "timeout": "1"}]}"#,
            "config-refused",
            "methodConfig[0].timeout",
        ),
        (r#"{"target": "dns:///host:http2"}"#, "target-refused", "target.port"),
        (r#"{"service": {"port": 80}}"#, "no-name", "service.name"),
        (r#"{"loadBalancingConfg": [{"round_robin": {}}]}"#, "config-suspicious", "loadBalancingConfg"),
    ];
    for (text, code, place) in cases {
        let findings = document(text);
        let finding = find(&findings, code);
        assert_eq!((finding.severity, finding.place.as_str()), (Severity::Error, place), "{text}");
    }
}

/// There is one rule of what a definition is: the one that registers it.
#[test]
fn a_definition_is_refused_where_registering_refuses_it() {
    let cases = [
        (r#"{"service": {"name": "x", "port": 99999}}"#, "service.port"),
        (r#"{"Service": {"Name": "x", "Port": 99999}}"#, "Service.Port"),
        (r#"{"name": "x", "port": 99999}"#, "port"),
        (r#"{"service": {"name": "x", "prt": 80}}"#, "service.port"),
        (r#"{"service": {"name": "x"}}"#, "service.port"),
        (r#"{"services": [{"name": "x", "port": 80}, {"name": "y", "port": 0}]}"#, "services[1].port"),
        (r#"{"name": "x"}"#, "port"),
        (r#"{"service": {"name": "x", "port": 80, "check": []}}"#, "service.check"),
        (
            r#"{"service": {"name": "x", "port": 80, "check": {"http": "http://localhost", "interval": "10"}}}"#,
            "service.check.interval",
        ),
        (r#"{"service": {"name": "x", "port": 80, "meta": {"a": 1}}}"#, "service.meta.a"),
        (r#"{"service": {"name": 5, "port": 80}}"#, "service.name"),
        (r#"{"service": 1}"#, "service"),
        (r#"{"services": {}}"#, "services"),
        (r#"{"services": [1]}"#, "services[0]"),
        (r#"{"services": []}"#, ""),
    ];
    for (text, place) in cases {
        let findings = document(text);
        assert_eq!(
            (findings[0].code, findings[0].severity),
            ("definition-refused", Severity::Error),
            "{text}"
        );
        assert_eq!(findings[0].place, place, "{text}: {findings:#?}");
        assert!(!codes(&findings).contains(&"no-name"), "{text}: {findings:#?}");
        // What is refused is not to be written a second time.
        let corrected = findings.iter().filter_map(|finding| finding.corrected.as_deref());
        assert!(corrected.into_iter().all(|text| !text.contains("99999")), "{findings:#?}");
    }
    let warned = document(r#"{"datacenter": "a", "service": {"name": "x", "port": 80, "chekc": {}}}"#);
    let places = warned.iter().map(|finding| (finding.code, finding.place.as_str()));
    let expected = [
        ("definition-suspicious", "service.chekc"),
        ("definition-suspicious", "datacenter"),
        ("no-health-check", "service.check"),
    ];
    assert_eq!(places.collect::<Vec<_>>(), expected);
    assert!(warned[0].message.contains("is unknown, and handed on as it is"), "{}", warned[0]);
}

#[test]
fn a_document_is_what_its_keys_say() {
    const DEFINITIONS: [&str; 4] = [
        r#"{"name": "x", "port": 80}"#,
        r#"{"NAME": "x", "Port": 80}"#,
        r#"{"service": {"name": "x", "port": 80}}"#,
        r#"{"Services": [{"Name": "x", "Port": 80}]}"#,
    ];
    for text in DEFINITIONS {
        assert_eq!(codes(&document(text)), ["no-health-check"], "{text}");
        assert_eq!(codes(&service_config(text)), ["wrong-kind"], "{text}");
        assert_eq!(codes(&channel_args_document(text)), ["wrong-kind"], "{text}");
    }
    let finding = &service_config(DEFINITIONS[0])[0];
    assert_eq!((finding.severity, finding.place.as_str()), (Severity::Error, ""));
    assert!(finding.message.contains("a Consul service definition, not a service config"), "{finding}");
    assert_eq!(codes(&service_config(r#"{"target": "dns:///a:1"}"#)), ["wrong-kind"]);
    let args = r#"{"grpc.keepalive_time_ms": 10000, "mine": 1}"#;
    assert_eq!(document(args), channel_args_document(args));
    assert_eq!(codes(&service_config(args)), ["wrong-kind"]);
    // A name of another kind is an entry of methodConfig in the wrong place.
    for text in [r#"{"name": [{}], "timeout": "1s"}"#, r#"{"name": "a", "methodConfig": []}"#] {
        assert_eq!(find(&document(text), "misplaced").place, "name", "{text}");
    }
    assert_eq!(channel_args_document("{}"), []);
}

#[test]
fn a_misspelt_key_is_told_with_what_was_meant() {
    let findings = document(r#"{"loadBalancingConfg": [{"pick_first": {}}], "methodConfig": []}"#);
    let finding = find(&findings, "config-suspicious");
    assert!(finding.message.contains("`loadBalancingConfig`, not `loadBalancingConfg`"), "{finding}");
    let corrected = document(finding.corrected.as_deref().expect("a correction"));
    assert_eq!(codes(&corrected), ["no-timeout", "no-health-check"]);
    // Told once, and corrected only where that is surely better.
    for (text, severity) in [
        (r#"{"healthCheckConfg": {"serviceName": 1}}"#, Severity::Error),
        (r#"{"methodConfig": [], "methodConfigs": []}"#, Severity::Error),
        (r#"{"method_config": []}"#, Severity::Error),
        (r#"{"lbPolicy": "round_robin"}"#, Severity::Warning),
    ] {
        let findings = document(text);
        let told: Vec<_> = findings.iter().filter(|finding| finding.code == "config-suspicious").collect();
        assert_eq!((told.len(), told[0].severity), (1, severity), "{text}: {findings:#?}");
        assert_eq!(told[0].corrected, None, "{text}");
    }
}

#[test]
fn missing_habits_are_advice() {
    let round_robin = include_str!("../../../testdata/service_configs/user_round_robin.json");
    assert_eq!(codes(&document(round_robin)), ["no-timeout", "no-health-check"]);
    let waits = r#"{"healthCheckConfig": {"serviceName": ""}, "methodConfig": [{"name": [{}], "waitForReady": true}]}"#;
    assert!(codes(&document(waits)).contains(&"waits-for-ever"));
}

mod arbitrary {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_panics(text in ".*", shaped in "[{}\\[\\]\":,a-zA-Z0-9.]{0,60}") {
            for text in [text, shaped] {
                let _ = super::document(&text);
                let _ = super::target(&text);
            }
        }
    }
}
