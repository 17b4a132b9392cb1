//! The user's forms, and what is to be said of each.

use super::*;

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
fn what_is_refused_says_where() {
    let cases = [
        ("{", "not-json", ""),
        (
            r#"{"methodConfig": [{"name": [{}], "timeout": "1"}]}"#,
            "config-refused",
            "methodConfig[0].timeout",
        ),
        (r#"{"target": "dns:///host:http2"}"#, "target-refused", "target.port"),
    ];
    for (text, code, place) in cases {
        let findings = document(text);
        let finding = find(&findings, code);
        assert_eq!((finding.severity, finding.place.as_str()), (Severity::Error, place), "{text}");
    }
}

#[test]
fn missing_habits_are_advice() {
    assert_eq!(codes(&document(r#"{"loadBalancingConfig": [{"round_robin": {}}]}"#)), ["no-health-check"]);
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
