use std::time::Duration;

use evener_core::Policy;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn parse(config: Value) -> Parsed {
    match ServiceConfig::parse(&config.to_string()) {
        Ok(parsed) => parsed,
        Err(error) => panic!("{config}: {error}"),
    }
}

/// A config with one entry of `methodConfig` for all methods.
fn of_all_methods(mut entry: Value) -> Value {
    entry["name"] = json!([{}]);
    json!({"methodConfig": [entry]})
}

/// The path of the error, without `methodConfig[0].` in front.
#[track_caller]
fn refused(config: &Value) -> String {
    match ServiceConfig::parse(&config.to_string()) {
        Ok(parsed) => panic!("{config} was taken: {parsed:?}"),
        Err(error) => error.path.strip_prefix("methodConfig[0].").unwrap_or(&error.path).to_owned(),
    }
}

fn retry(changes: Value) -> Value {
    changed(
        json!({"maxAttempts": 3, "initialBackoff": "0.1s", "maxBackoff": "5s", "backoffMultiplier": 2,
               "retryableStatusCodes": ["UNAVAILABLE"]}),
        changes,
    )
}

/// The object with some fields replaced; null takes a field out.
fn changed(mut object: Value, changes: Value) -> Value {
    for (key, value) in changes.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

#[test]
fn nothing_said_is_round_robin() {
    for text in ["{}", r#"{"loadBalancingPolicy": "", "methodConfig": null, "healthCheckConfig": {}}"#] {
        let parsed = ServiceConfig::parse(text).unwrap();
        assert_eq!(parsed.config, ServiceConfig::default());
        assert_eq!(parsed.warnings, []);
    }
    let config = ServiceConfig::default();
    assert_eq!(config.policy, Policy::RoundRobin);
    assert_eq!(*config.method("/a.B/C"), MethodConfig::default());
}

#[test]
fn the_first_policy_that_can_be_run_is_taken() {
    let shuffled = Policy::PickFirst { shuffle: true };
    for (list, expected, skipped) in [
        (json!([{"round_robin": {}}]), Policy::RoundRobin, 0),
        (json!([{"pick_random": {}}]), Policy::PickRandom, 0),
        (json!([{"pick_random_experimental": {}}]), Policy::PickRandom, 0),
        (json!([{"weighted_round_robin": {}}]), Policy::WeightedRoundRobin, 0),
        (json!([{"weighted_round_robin_experimental": {}}]), Policy::WeightedRoundRobin, 0),
        (json!([{"pick_first": {}}]), Policy::PickFirst { shuffle: false }, 0),
        (json!([{"pick_first": {"shuffleAddressList": true}}]), shuffled, 0),
        (json!([{"pick_first": {"shuffleAddressList": null}}]), Policy::PickFirst { shuffle: false }, 0),
        (json!([{"round_robin": {"unknown": 1}}, {"pick_first": {}}]), Policy::RoundRobin, 0),
        (
            json!([{"least_request_experimental": {"choiceCount": 1}}, {"pick_random": {}}]),
            Policy::PickRandom,
            1,
        ),
        (json!([{"a": {}}, {"b": {"x": 5}}, {"round_robin": {}}, {"c": {}}]), Policy::RoundRobin, 2),
        // What follows the chosen one is not looked into.
        (json!([{"round_robin": {}}, {"pick_first": {"shuffleAddressList": 5}}]), Policy::RoundRobin, 0),
    ] {
        let parsed = parse(json!({"loadBalancingConfig": list}));
        assert_eq!(parsed.config.policy, expected, "{list}");
        assert_eq!(parsed.warnings.len(), skipped, "{list}: {:?}", parsed.warnings);
    }
}

#[test]
fn a_wrong_list_of_policies_is_refused() {
    const ONE: &str = "loadBalancingConfig[0]";
    for (list, path) in [
        (json!([]), "loadBalancingConfig"),
        (json!({}), "loadBalancingConfig"),
        (json!("round_robin"), "loadBalancingConfig"),
        (json!([{"least_request_experimental": {}}, {"ring_hash": {}}]), "loadBalancingConfig"),
        (json!(["round_robin"]), ONE),
        (json!([null]), ONE),
        (json!([{}]), ONE),
        (json!([{"round_robin": {}, "pick_first": {}}]), ONE),
        (json!([{"round_robin": {}}, {}]), "loadBalancingConfig[1]"),
        (json!([{"round_robin": null}]), "loadBalancingConfig[0].round_robin"),
        (json!([{"unknown": null}, {"round_robin": {}}]), "loadBalancingConfig[0].unknown"),
        (json!([{"round_robin": {}}, {"unknown": 5}]), "loadBalancingConfig[1].unknown"),
        (json!([{"round_robin": []}]), "loadBalancingConfig[0].round_robin"),
        (
            json!([{"pick_first": {"shuffleAddressList": 1}}]),
            "loadBalancingConfig[0].pick_first.shuffleAddressList",
        ),
    ] {
        assert_eq!(refused(&json!({"loadBalancingConfig": list})), path, "{list}");
    }
}

#[test]
fn the_deprecated_name_yields_to_the_list_but_must_be_right() {
    let of = |name: &str| json!({"loadBalancingPolicy": name});
    assert_eq!(parse(of("PICK_FIRST")).config.policy, Policy::PickFirst { shuffle: false });
    assert_eq!(parse(of("pick_random")).config.policy, Policy::PickRandom);
    let both = json!({"loadBalancingPolicy": "pick_first", "loadBalancingConfig": [{"pick_random": {}}]});
    assert_eq!(parse(both).config.policy, Policy::PickRandom);

    assert_eq!(refused(&of("grpclb")), "loadBalancingPolicy");
    assert_eq!(refused(&json!({"loadBalancingPolicy": 1})), "loadBalancingPolicy");
    let both = json!({"loadBalancingPolicy": "grpclb", "loadBalancingConfig": [{"round_robin": {}}]});
    assert_eq!(refused(&both), "loadBalancingPolicy");
}

#[test]
fn load_reports_are_read_with_defaults_and_limits() {
    let of = |fields: Value| json!({"loadBalancingConfig": [{"weighted_round_robin": fields}]});
    let reports = |fields: Value| parse(of(fields)).config.load_reports;

    assert_eq!(reports(json!({})), None);
    assert_eq!(reports(json!({"blackoutPeriod": "10s"})), Some(LoadReports::default()));
    let expected = LoadReports {
        weight_update_period: Duration::from_millis(100),
        error_utilization_penalty: 0.0,
        utilization_metrics: vec!["cpu_utilization".to_owned()],
        ..LoadReports::default()
    };
    let fields = json!({"weightUpdatePeriod": "0.01s", "errorUtilizationPenalty": "0",
                        "metricNamesForComputingUtilization": ["cpu_utilization"]});
    assert_eq!(reports(fields), Some(expected));
    let warnings = parse(of(json!({"blackoutPeriod": "1s", "weightUpdatePeriod": "2s"}))).warnings;
    assert!(
        warnings[0].text.contains("blackoutPeriod, weightUpdatePeriod, are not obeyed yet"),
        "{warnings:?}"
    );

    for (key, value) in [
        ("enableOobLoadReport", json!("true")),
        ("oobReportingPeriod", json!("-1s")),
        ("blackoutPeriod", json!(10)),
        ("weightExpirationPeriod", json!("3m")),
        ("weightUpdatePeriod", json!({})),
        ("errorUtilizationPenalty", json!(-0.1)),
        ("metricNamesForComputingUtilization", json!("cpu_utilization")),
    ] {
        let path = format!("loadBalancingConfig[0].weighted_round_robin.{key}");
        assert_eq!(refused(&of(json!({key: value}))), path);
    }
}

#[test]
fn the_most_specific_name_wins_and_entries_are_never_mixed() {
    let config = parse(json!({"methodConfig": [
        {"name": [{}], "timeout": "1s", "waitForReady": true},
        {"name": [{"service": "a.A"}, {"service": "b.B", "method": null}], "timeout": "2s"},
        {"name": [{"service": "a.A", "method": "M"}], "waitForReady": false},
        {"timeout": "9s"},
        {"name": [], "timeout": "9s"},
    ]}));
    assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
    for (path, timeout, wait_for_ready) in [
        ("/a.A/M", None, Some(false)),
        ("/a.A/N", Some(2), None),
        ("/a.A/", Some(2), None),
        ("/b.B/M", Some(2), None),
        ("/a.AA/M", Some(1), Some(true)),
        ("/a/A/M", Some(1), Some(true)),
        ("a.A/M", Some(1), Some(true)),
        ("/a.A", Some(1), Some(true)),
        ("/", Some(1), Some(true)),
        ("", Some(1), Some(true)),
    ] {
        let method = config.config.method(path);
        assert_eq!(method.timeout, timeout.map(Duration::from_secs), "{path}");
        assert_eq!(method.wait_for_ready, wait_for_ready, "{path}");
    }
}

#[test]
fn names_are_checked() {
    let of = |names: Value| json!({"methodConfig": [{"name": names}]});
    for (names, path) in [
        (json!({}), "name"),
        (json!(["a.A"]), "name[0]"),
        (json!([{"service": 1}]), "name[0].service"),
        (json!([{"service": "a.A", "method": 1}]), "name[0].method"),
        (json!([{"method": "M"}]), "name[0].service"),
        (json!([{"service": "", "method": "M"}]), "name[0].service"),
        (json!([{"service": "a.A"}, {"service": "a.A", "method": ""}]), "name[1]"),
        (json!([{}, {"service": null}]), "name[1]"),
    ] {
        assert_eq!(refused(&of(names.clone())), path, "{names}");
    }
    let elsewhere =
        json!({"methodConfig": [{"name": [{"service": "a.A"}]}, {"name": [{}, {"service": "a.A"}]}]});
    assert_eq!(refused(&elsewhere), "methodConfig[1].name[1]");
    assert_eq!(refused(&json!({"methodConfig": {}})), "methodConfig");
    assert_eq!(refused(&json!({"methodConfig": [1]})), "methodConfig[0]");

    let warnings = parse(of(json!([{"service": "/a.A/"}]))).warnings;
    assert_eq!(warnings[0].path, "methodConfig[0].name[0]");
}

#[test]
fn limits_are_whole_numbers_written_either_way() {
    let of =
        |value: Value| of_all_methods(json!({"maxRequestMessageBytes": value, "maxResponseMessageBytes": 7}));
    for (value, expected) in [
        (json!(0), Some(0)),
        (json!("0"), Some(0)),
        (json!(4.0), Some(4)),
        (json!("9223372036854775807"), Some(i64::MAX as u64)),
        (json!(null), None),
    ] {
        let parsed = parse(of(value.clone()));
        assert_eq!(parsed.config.method("/a/b").max_request_bytes, expected, "{value}");
        assert_eq!(parsed.config.method("/a/b").max_response_bytes, Some(7));
    }
    for value in [json!(-1), json!("-1"), json!(1.5), json!("4k"), json!(true), json!("9223372036854775808")]
    {
        assert_eq!(refused(&of(value)), "maxRequestMessageBytes");
    }
    for (entry, path) in [
        (json!({"timeout": "1"}), "timeout"),
        (json!({"timeout": 1}), "timeout"),
        (json!({"timeout": "-1s"}), "timeout"),
        (json!({"waitForReady": "true"}), "waitForReady"),
    ] {
        assert_eq!(refused(&of_all_methods(entry)), path);
    }
}

#[test]
fn retry_policies_are_checked_field_by_field() {
    let of = |changes: Value| of_all_methods(json!({"retryPolicy": retry(changes)}));
    for (changes, path) in [
        (json!({"maxAttempts": null}), "maxAttempts"),
        (json!({"maxAttempts": 1}), "maxAttempts"),
        (json!({"maxAttempts": -3}), "maxAttempts"),
        (json!({"maxAttempts": 2.5}), "maxAttempts"),
        (json!({"initialBackoff": null}), "initialBackoff"),
        (json!({"initialBackoff": "0s"}), "initialBackoff"),
        (json!({"initialBackoff": "100ms"}), "initialBackoff"),
        (json!({"maxBackoff": null}), "maxBackoff"),
        (json!({"maxBackoff": "0.0s"}), "maxBackoff"),
        (json!({"backoffMultiplier": null}), "backoffMultiplier"),
        (json!({"backoffMultiplier": 0}), "backoffMultiplier"),
        (json!({"backoffMultiplier": -1}), "backoffMultiplier"),
        (json!({"backoffMultiplier": "NaN"}), "backoffMultiplier"),
        (json!({"retryableStatusCodes": null}), "retryableStatusCodes"),
        (json!({"retryableStatusCodes": []}), "retryableStatusCodes"),
        (json!({"retryableStatusCodes": "UNAVAILABLE"}), "retryableStatusCodes"),
        (json!({"retryableStatusCodes": ["UNAVAILABLE", "NOPE"]}), "retryableStatusCodes[1]"),
        (json!({"retryableStatusCodes": [17]}), "retryableStatusCodes[0]"),
        (json!({"retryableStatusCodes": [-1]}), "retryableStatusCodes[0]"),
        (json!({"perAttemptRecvTimeout": "0s"}), "perAttemptRecvTimeout"),
    ] {
        assert_eq!(refused(&of(changes.clone())), format!("retryPolicy.{path}"), "{changes}");
    }

    let parsed = parse(of(json!({"maxAttempts": 9, "backoffMultiplier": "1.5",
                                 "retryableStatusCodes": [14, "aborted", "ABORTED", 0, "DEADLINE_EXCEEDED"]})));
    let method = parsed.config.method("/a/b");
    let Some(Attempts::Retry(policy)) = &method.attempts else { panic!("{method:?}") };
    assert_eq!(policy.max_attempts, 5);
    assert_eq!(policy.multiplier, 1.5);
    assert_eq!(
        policy.codes.names().collect::<Vec<_>>(),
        ["OK", "DEADLINE_EXCEEDED", "ABORTED", "UNAVAILABLE"]
    );
    assert!(policy.codes.contains(14) && !policy.codes.contains(13) && !policy.codes.contains(u32::MAX));
    let text = parsed.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for part in
        ["maxAttempts: It is lowered to 5", "OK is not a failure", "multiply", "Retries are not made yet"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }

    let timed = parse(of(json!({"perAttemptRecvTimeout": "1s", "retryableStatusCodes": null})));
    let Some(Attempts::Retry(policy)) = &timed.config.method("/a/b").attempts else { panic!() };
    assert!(policy.codes.is_empty());
}

#[test]
fn hedging_excludes_retrying() {
    let of = |hedging: Value| of_all_methods(json!({"hedgingPolicy": hedging}));
    let attempts = |value: Value| parse(value).config.method("/a/b").attempts.clone();

    let expected =
        HedgingPolicy { max_attempts: 2, delay: Duration::ZERO, non_fatal_codes: StatusCodes::EMPTY };
    assert_eq!(attempts(of(json!({"maxAttempts": 2}))), Some(Attempts::Hedging(expected)));
    assert_eq!(refused(&of(json!({}))), "hedgingPolicy.maxAttempts");
    assert_eq!(refused(&of(json!({"maxAttempts": 2, "hedgingDelay": "x"}))), "hedgingPolicy.hedgingDelay");
    let codes = json!({"maxAttempts": 2, "nonFatalStatusCodes": [99]});
    assert_eq!(refused(&of(codes)), "hedgingPolicy.nonFatalStatusCodes[0]");

    let both = json!({"hedgingPolicy": {"maxAttempts": 2}, "retryPolicy": retry(json!({}))});
    assert_eq!(refused(&of_all_methods(both)), "hedgingPolicy");
    let one = json!({"hedgingPolicy": null, "retryPolicy": retry(json!({}))});
    assert!(matches!(attempts(of_all_methods(one)), Some(Attempts::Retry(_))));
}

#[test]
fn tokens_are_counted_in_thousandths() {
    let of =
        |tokens: Value, ratio: Value| json!({"retryThrottling": {"maxTokens": tokens, "tokenRatio": ratio}});
    for (tokens, ratio, expected) in [
        (json!(10), json!(0.1), (10_000, 100)),
        (json!("1000"), json!("1"), (1_000_000, 1000)),
        (json!(1), json!(0.001), (1000, 1)),
        (json!(0.5), json!(0.57), (500, 570)),
        (json!(10), json!(0.1239), (10_000, 123)),
        (json!(10), json!(1e300), (10_000, u32::MAX)),
    ] {
        let throttling = parse(of(tokens.clone(), ratio.clone())).config.retry_throttling.unwrap();
        assert_eq!((throttling.max_milli_tokens, throttling.milli_token_ratio), expected, "{tokens} {ratio}");
    }
    for (tokens, ratio, key) in [
        (json!(0), json!(1), "maxTokens"),
        (json!(-1), json!(1), "maxTokens"),
        (json!(1000.5), json!(1), "maxTokens"),
        (json!(1001), json!(1), "maxTokens"),
        (json!(null), json!(1), "maxTokens"),
        (json!([]), json!(1), "maxTokens"),
        (json!(10), json!(0), "tokenRatio"),
        (json!(10), json!(0.0001), "tokenRatio"),
        (json!(10), json!(-1), "tokenRatio"),
        (json!(10), json!(null), "tokenRatio"),
    ] {
        assert_eq!(refused(&of(tokens, ratio)), format!("retryThrottling.{key}"));
    }
}

#[test]
fn health_and_scaling_are_read_and_answered() {
    let parsed = parse(json!({"healthCheckConfig": {"serviceName": ""},
                              "connectionScaling": {"maxConnectionsPerSubchannel": 2}}));
    assert_eq!(parsed.config.health_check, Some(HealthCheck { service_name: String::new() }));
    assert_eq!(parsed.config.asked_health(), parsed.config.health_check.as_ref());
    assert_eq!(parsed.config.connection_scaling.unwrap().max_connections_per_subchannel, 2);
    assert_eq!(parsed.warnings.len(), 1, "{:?}", parsed.warnings);

    // gRFC A17 leaves it to policies of many connections.
    let first = parse(
        json!({"loadBalancingConfig": [{"pick_first": {}}], "healthCheckConfig": {"serviceName": "a"}}),
    );
    assert!(first.config.health_check.is_some() && first.config.asked_health().is_none());
    assert_eq!(first.warnings[0].path, "healthCheckConfig");

    let plain = parse(json!({"connectionScaling": {}}));
    assert_eq!(plain.config.connection_scaling.unwrap().max_connections_per_subchannel, 1);
    assert_eq!(plain.warnings, []);

    assert_eq!(refused(&json!({"healthCheckConfig": {"serviceName": 1}})), "healthCheckConfig.serviceName");
    assert_eq!(refused(&json!({"healthCheckConfig": "user.UserService"})), "healthCheckConfig");
    for number in [json!(0), json!(-1), json!(4_294_967_296_u64)] {
        let config = json!({"connectionScaling": {"maxConnectionsPerSubchannel": number}});
        assert_eq!(refused(&config), "connectionScaling.maxConnectionsPerSubchannel");
    }
}

#[test]
fn what_is_no_config_is_refused_as_a_whole() {
    for text in ["", "{", "[]", "null", "\"x\"", "5", "{} x", r#"{"methodConfig": [], "methodConfig": []}"#] {
        let error = ServiceConfig::parse(text).unwrap_err();
        assert_eq!(error.path, "", "{text}");
        assert!(error.to_string().starts_with("invalid service config: the document "), "{error}");
    }
}

#[test]
fn a_misplaced_retry_policy_is_answered_with_the_right_text() {
    let config = json!({"retryPolicy": {"maxAttempts": 3, "initialBackoff": "0.1s", "maxBackoff": "5",
                                        "retryableStatusCodes": ["UNAVAILABLE", "DEADLINE_EXCEEDED"]}});
    let warnings = parse(config).warnings;
    assert!(warnings[0].text.contains("multiply"), "{warnings:?}");
    let text = &warnings[1].text;
    assert!(text.contains("`backoffMultiplier` is required and was added."), "{text}");
    assert!(text.contains("`maxBackoff` is not valid and was replaced."), "{text}");

    // What it prints is a config that is taken.
    let start = text.find("\"methodConfig\"").unwrap();
    let end = text.find("]. `").unwrap();
    let corrected = parse(serde_json::from_str(&format!("{{{}]}}", &text[start..end])).unwrap());
    let Some(Attempts::Retry(policy)) = &corrected.config.method("/a/b").attempts else { panic!() };
    assert_eq!(policy.initial_backoff, Duration::from_millis(100));
    assert_eq!(policy.max_backoff, Duration::from_secs(5));
    // It does not say in one line what it warns of in the next one.
    assert_eq!(policy.codes.names().collect::<Vec<_>>(), ["UNAVAILABLE"]);
    assert_eq!(corrected.warnings.len(), 1, "{:?}", corrected.warnings);
    assert!(text.contains("DEADLINE_EXCEEDED was left out"), "{text}");

    // Beyond mending, and still no reason to refuse: gRPC ignores it.
    assert_eq!(parse(json!({"retryPolicy": 5})).warnings.len(), 1);
}

#[test]
fn misspelled_and_misplaced_fields_are_pointed_out() {
    for (config, path) in [
        (json!({"load_balancing_config": []}), "load_balancing_config"),
        (json!({"methodconfig": []}), "methodconfig"),
        (json!({"timeout": "1s"}), "timeout"),
        (json!({"hedgingPolicy": {}}), "hedgingPolicy"),
        (of_all_methods(json!({"wait_for_ready": true})), "methodConfig[0].wait_for_ready"),
        (json!({"healthCheckConfig": {"service_name": "a"}}), "healthCheckConfig.service_name"),
    ] {
        let warnings = parse(config.clone()).warnings;
        assert_eq!(warnings.iter().map(|w| w.path.as_str()).collect::<Vec<_>>(), [path], "{config}");
    }
    assert_eq!(parse(json!({"somethingOfTomorrow": {}, "x": null})).warnings, []);
}

/// JSON that uses the schema's own names, so that the parser is reached and not only the reader.
fn documents() -> impl Strategy<Value = Value> {
    let names = parse::FIELDS.into_iter().chain(method::FIELDS).chain([
        "round_robin",
        "pick_first",
        "weighted_round_robin",
        "shuffleAddressList",
        "service",
        "method",
        "maxAttempts",
        "initialBackoff",
        "maxBackoff",
        "backoffMultiplier",
        "retryableStatusCodes",
        "maxTokens",
        "tokenRatio",
        "serviceName",
        "blackoutPeriod",
        "maxConnectionsPerSubchannel",
    ]);
    let names: Vec<String> = names.map(str::to_owned).collect();
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "-?[0-9]{1,14}(\\.[0-9]{1,10})?s".prop_map(Value::from),
        prop::sample::select(vec!["", "a.A", "UNAVAILABLE", "3", "1e9", "round_robin"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 4, move |inner| {
        let entries = prop::collection::btree_map(prop::sample::select(names.clone()), inner.clone(), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            entries.prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_document_panics(document in documents(), path in ".*") {
        if let Ok(parsed) = ServiceConfig::parse(&document.to_string()) {
            let _ = parsed.config.method(&path);
        }
    }

    #[test]
    fn no_text_panics(text in ".*", shaped in "[\\[\\]{}:,\"a-z0-9.\\- ]{0,60}") {
        let _ = (ServiceConfig::parse(&text), ServiceConfig::parse(&shaped));
    }
}
