//! When what has changed is published, and what counts as a change.

use evener_discovery::pipeline::{Changes, PipelineOptions, State};
use evener_discovery::{Condition, Endpoint, Event};

use crate::world::{World, addresses, apply, endpoint, failure, ms, part, partly, reset, seconds};

fn world() -> World {
    World::new(PipelineOptions::default())
}

#[test]
fn the_first_answer_and_a_change_after_a_quiet_time_are_published_at_once() {
    let mut world = world();
    world.until(ms(1));
    world.reset(&["1"]);
    world.until(ms(101));
    world.apply("more", &["2"]);
    let times: Vec<_> = world.published.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [ms(1), ms(101)]);
}

#[test]
fn a_burst_is_two_publications() {
    let mut world = world();
    world.reset(&["1"]);
    world.until(seconds(5));
    for n in 0..50_u32 {
        world.apply(&format!("key {n}"), &[&(n + 2).to_string()]);
        world.wait(ms(1));
    }
    world.until(seconds(6));
    let times: Vec<_> = world.published.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [ms(0), ms(5000), ms(5149)], "the first, then all others once it is quiet");
    assert_eq!(world.endpoints().len(), 51);
}

#[test]
fn changes_that_never_stop_are_published_every_second() {
    let mut world = world();
    world.reset(&["1"]);
    for n in 0..200_u32 {
        world.wait(ms(50));
        world.reset(&[&format!("1;weight={}", n + 2)]);
    }
    let times: Vec<_> = world.published.iter().map(|(at, _)| *at).collect();
    for pair in times.windows(2) {
        assert!((ms(100)..=ms(1050)).contains(&(pair[1] - pair[0])), "{times:?}");
    }
    assert!((10..=12).contains(&times.len()), "{times:?}");
    world.wait(ms(100));
    assert_eq!(world.set(), ["10.0.0.1:80;weight=201"]);
}

#[test]
fn a_check_that_fails_is_published_at_once_with_all_that_waits() {
    let mut world = world();
    world.reset(&["1", "2"]);
    world.until(ms(10));
    world.reset(&["1", "2", "3"]);
    assert_eq!(world.publications(), 1);
    world.until(ms(20));
    world.reset(&["1;condition=unhealthy", "2", "3"]);
    assert_eq!(world.set(), ["10.0.0.1:80;condition=unhealthy", "10.0.0.2:80", "10.0.0.3:80"]);

    world.until(ms(30));
    world.reset(&["1;condition=unhealthy;weight=2", "2", "3"]);
    assert_eq!(world.publications(), 2, "it was unhealthy before");
    world.until(ms(40));
    world.reset(&["1", "2", "3"]);
    assert_eq!(world.publications(), 2, "recovery waits for the window");
    world.until(ms(140));
    assert_eq!(world.set(), addresses(&[1, 2, 3]));
}

#[test]
fn what_was_announced_leaves_without_being_held() {
    for announcement in ["2;condition=draining", "2;condition=unhealthy", "2;weight=0"] {
        let mut world = world();
        world.reset(&["1", "2"]);
        world.until(seconds(1));
        world.reset(&["1", announcement]);
        world.until(seconds(2));
        world.reset(&["1"]);
        assert_eq!(world.set(), addresses(&[1]), "{announcement}");
    }
    // What counts is the last record, published or not.
    let mut world = world();
    world.reset(&["1", "2"]);
    world.until(ms(10));
    world.reset(&["1", "2;weight=0"]);
    world.reset(&["1"]);
    world.until(ms(110));
    assert_eq!(world.set(), addresses(&[1]));
    assert_eq!(world.publications(), 2);
}

#[test]
fn what_comes_and_goes_within_the_window_was_never_there() {
    let mut world = world();
    world.reset(&["1"]);
    world.until(ms(10));
    world.reset(&["1", "2"]);
    world.until(ms(20));
    world.reset(&["1"]);
    assert_eq!(world.pipeline.deadline(), None);
    world.wait(seconds(100));
    assert_eq!(world.publications(), 1);
    assert_eq!(world.status().endpoints.held, 0);
}

#[test]
fn a_last_one_that_nobody_saw_is_held_where_nothing_else_is_left() {
    let mut world = world();
    world.reset(&["1"]);
    world.until(seconds(1));
    world.reset(&["2;weight=0"]);
    world.until(ms(19_950));
    world.reset(&["2;weight=0;zone=a"]);
    assert_eq!(world.set(), ["10.0.0.1:80", "10.0.0.2:80;weight=0;zone=a"]);
    // In one window the announced one leaves, the held one is let go, and another one comes and goes.
    world.until(ms(19_960));
    world.reset(&["3"]);
    world.until(ms(20_010));
    world.reset(&[]);
    world.until(ms(50_009));
    assert_eq!(world.set(), addresses(&[3]));
    world.until(ms(50_010));
    assert_eq!(world.last().state, State::KnownEmpty);
}

#[test]
fn the_same_answer_in_another_order_is_no_change() {
    let mut world = world();
    world.reset(&["3", "1", "2;meta.a=b;meta.c=d"]);
    assert_eq!(world.set(), ["10.0.0.1:80", "10.0.0.2:80;meta.a=b;meta.c=d", "10.0.0.3:80"]);
    world.until(seconds(1));
    world.reset(&["2;meta.c=d;meta.a=b", "3", "1", "3"]);
    world.say(Event::Reset {
        parts: vec![part("x", &["1", "2;meta.a=b;meta.c=d"]), part("y", &["3", "2"])],
        revision: None,
    });
    world.confirm();
    world.wait(seconds(100));
    assert_eq!(world.publications(), 1);
}

#[test]
fn another_record_of_an_endpoint_is_an_update_and_addresses_are_a_set() {
    let mut world = world();
    world.reset(&["10.0.0.1:80|10.0.0.2:80", "10.0.0.3:80"]);
    world.until(seconds(1));
    world.reset(&["10.0.0.2:80|10.0.0.1:80;zone=a", "10.0.0.3:80"]);
    assert_eq!(world.last().changes, Changes { updated: 1, ..Changes::default() });
    assert_eq!(world.set(), ["10.0.0.2:80|10.0.0.1:80;zone=a", "10.0.0.3:80"]);
}

#[test]
fn an_endpoint_of_several_parts_is_there_once_and_as_long_as_one_has_it() {
    let mut world = world();
    world.say(Event::Reset {
        parts: vec![part("b", &["1;weight=2"]), part("a", &["1;weight=5", "2"]), part("c", &["1;weight=9"])],
        revision: None,
    });
    assert_eq!(world.set(), ["10.0.0.1:80;weight=5", "10.0.0.2:80"], "the smallest key's record counts");
    world.until(seconds(1));
    world.apply("a", &["2"]);
    assert_eq!(world.set(), ["10.0.0.1:80;weight=2", "10.0.0.2:80"]);
    world.until(seconds(2));
    world.remove("b");
    assert_eq!(world.set(), ["10.0.0.1:80;weight=9", "10.0.0.2:80"]);
    world.until(seconds(3));
    world.remove("c");
    world.remove("never there");
    assert_eq!(world.status().endpoints.held, 1);
    world.until(seconds(20));
    assert_eq!(world.set(), addresses(&[2]));
}

#[test]
fn of_two_records_in_one_part_the_healthier_counts_in_any_order() {
    for order in
        [["1;condition=unhealthy;weight=9", "1;zone=b"], ["1;zone=b", "1;condition=unhealthy;weight=9"]]
    {
        let mut world = world();
        world.reset(&order);
        assert_eq!(world.set(), ["10.0.0.1:80;zone=b"]);
    }
}

#[test]
fn an_event_is_taken_over_as_a_whole() {
    let mut world = world();
    world.say(Event::Reset {
        parts: vec![part("a", &["1", "2"]), part("b", &["3"])],
        revision: Some("7".to_owned()),
    });
    world.until(seconds(1));
    // An endpoint that moves from one part to another is never away, whatever the order within the event.
    for (from, to) in [("a", "b"), ("b", "a")] {
        world.say(Event::Apply {
            changed: vec![part(to, &["1", "3"]), part("z", &["2"])],
            removed: vec![from.to_owned()],
            revision: Some("8".to_owned()),
        });
        assert_eq!(world.status().endpoints.held, 0);
    }
    assert_eq!(world.publications(), 1);
    assert_eq!(world.status().revision.as_deref(), Some("8"));
}

#[test]
fn reading_everything_anew_is_one_publication_of_what_differs() {
    let mut world = world();
    let parts = |names: std::ops::Range<u32>| -> Vec<_> {
        names
            .map(|n| part(&format!("key {n}"), &[&format!("{n}{}", if n >= 200 { "" } else { ";zone=a" })]))
            .collect()
    };
    world.say(Event::Reset { parts: parts(100..300), revision: Some("100".to_owned()) });
    world.fail();
    world.until(seconds(60));
    let mut now = parts(150..350);
    now[10] = part("key 160", &["160;weight=7"]);
    world.say(Event::Reset { parts: now, revision: Some("900".to_owned()) });
    assert_eq!(world.publications(), 2);
    assert_eq!(world.last().changes, Changes { added: 50, updated: 1, removed: 0 });
    assert_eq!(world.last().revision.as_deref(), Some("900"));
    assert_eq!(world.status().endpoints.held, 50);
    world.wait(seconds(20));
    assert_eq!(world.last().changes, Changes { added: 0, updated: 0, removed: 50 });
    assert_eq!(world.publications(), 3, "those that are gone leave together");
    assert_eq!((world.status().relists, world.status().reconnects), (1, 1));
}

#[test]
fn a_service_config_comes_with_the_endpoints_and_changes_with_the_window() {
    let mut world = world();
    let config = |text: &str| Event::ServiceConfig(Some(text.to_owned()));
    world.say(config("{}"));
    assert_eq!(world.publications(), 0, "alone it is of no use");
    assert_eq!(world.pipeline.deadline(), None);
    world.reset(&["1"]);
    assert_eq!(world.last().service_config.as_deref(), Some("{}"));
    world.until(ms(10));
    world.say(config("{ }"));
    world.say(config("{}"));
    assert_eq!(world.pipeline.deadline(), None, "it is as it was");
    world.say(config("{ }"));
    world.until(ms(110));
    assert_eq!(world.last().service_config.as_deref(), Some("{ }"));
    assert_eq!(world.last().changes, Changes::default());
    world.until(seconds(1));
    world.say(Event::ServiceConfig(None));
    assert_eq!(world.last().service_config, None);
    assert_eq!(world.publications(), 3);
}

#[test]
fn records_nobody_can_be_sent_to_are_counted() {
    let mut world = world();
    let none = Endpoint::new(Vec::new());
    let endpoints = vec![none.clone(), endpoint("1"), none];
    world.say(Event::Reset {
        parts: vec![evener_discovery::Part { key: "a".to_owned(), endpoints }],
        revision: None,
    });
    assert_eq!(world.set(), addresses(&[1]));
    assert_eq!(world.status().skipped, 2);
    world.say(Event::Skipped { count: 3, example: "key x: not JSON".to_owned() });
    assert_eq!(world.status().skipped, 5);
    assert_eq!(world.status().skipped_example.as_deref(), Some("key x: not JSON"));
    assert_eq!(world.publications(), 1);
}

#[test]
fn events_that_are_there_together_are_one_publication() {
    let mut world = world();
    let now = world.now();
    world.pipeline.handle(reset(&["1"]), now);
    world.pipeline.handle(apply("x", &["2"]), now);
    world.pipeline.handle(failure(), now);
    world.poll();
    assert_eq!(world.set(), addresses(&[1, 2]));
    assert_eq!(world.publications(), 1);
}

#[test]
fn a_clock_that_goes_back_does_no_harm() {
    let mut world = world();
    world.until(seconds(100));
    world.reset(&["1", "2"]);
    let early = world.now() - seconds(90);
    world.pipeline.handle(reset(&["1"]), early);
    assert_eq!(world.pipeline.poll(early), None);
    assert!(world.pipeline.deadline().is_some_and(|deadline| deadline > world.now()));
    assert_eq!(world.status().age, Some(ms(0)));
    world.wait(seconds(20));
    assert_eq!(world.set(), addresses(&[1]));
}

#[test]
fn the_status_counts_by_condition_and_reads_as_json() {
    let mut world = world();
    world.reset(&["1", "2;condition=draining", "3;condition=unhealthy", "4"]);
    world.until(seconds(1));
    world.reset(&["1", "2;condition=draining", "3;condition=unhealthy"]);
    world.fail();
    world.until(ms(3500));
    let status = world.status();
    assert_eq!(status.state, State::Known);
    let json = status.to_json(world.now());
    assert_eq!(
        json["endpoints"],
        serde_json::json!({"total": 4, "ready": 2, "draining": 1, "unhealthy": 1, "held": 1, "failing_probes": 0})
    );
    assert_eq!(json["updates_total"], serde_json::json!({"reset": 2, "apply": 0, "confirmed": 0}));
    assert_eq!(json["errors_total"], serde_json::json!({"unreachable": 1}));
    assert_eq!((&json["state"], &json["freshness"]), (&"known".into(), &"stale".into()));
    assert_eq!((&json["cause"], &json["reason"]), (&"unreachable".into(), &"connection refused".into()));
    assert_eq!((json["age_seconds"].as_f64(), json["since_seconds"].as_f64()), (Some(2.5), Some(2.5)));
    assert_eq!(json["publications_total"], 1);
    assert_eq!(world.endpoints()[1].condition, Condition::Draining);
}

/// One datacenter is away while another one changes.
#[test]
fn what_one_part_says_is_neither_a_recovery_nor_a_failure_of_another() {
    let mut world = world();
    world.reset(&["1"]);
    world.until(seconds(1));
    world.fail();
    for second in 2..5 {
        world.until(seconds(second));
        world.say(partly(apply("here", &[&second.to_string()])));
    }
    world.until(seconds(6));
    assert_eq!(world.set(), addresses(&[1, 2, 3, 4]), "the older ones are held");
    let json = world.status().to_json(world.now());
    assert_eq!(json["updates_total"], serde_json::json!({"reset": 1, "apply": 3, "confirmed": 0}));
    assert_eq!(json["errors_total"], serde_json::json!({"unreachable": 1}));
    assert_eq!((&json["reconnects_total"], &json["since_seconds"]), (&0.into(), &5.0.into()));
    assert_eq!((&json["freshness"], &json["last_error"]), (&"stale".into(), &"connection refused".into()));
    world.confirm();
    let json = world.status().to_json(world.now());
    assert_eq!((&json["reconnects_total"], &json["freshness"]), (&1.into(), &"fresh".into()));
}
