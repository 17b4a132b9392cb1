//! A source that is down, forgets, blinks, or answers what cannot be true.

use evener_discovery::pipeline::{Cause, Freshness, PipelineOptions, StalePolicy, State};
use evener_discovery::{ErrorClass, Event, SourceError};

use crate::world::{World, address_of, addresses, apply, endpoint, ms, part, partly, reset, seconds};

fn world() -> World {
    World::new(PipelineOptions::default())
}

fn numbers(range: std::ops::RangeInclusive<u32>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

fn reset_to(world: &mut World, numbers: &[String]) {
    let texts: Vec<&str> = numbers.iter().map(String::as_str).collect();
    world.reset(&texts);
}

#[test]
fn a_registry_that_is_down_for_ten_minutes_changes_nothing_but_the_age() {
    let mut world = world();
    reset_to(&mut world, &numbers(1..=100));
    world.until(seconds(5));
    world.confirm();
    world.until(seconds(20));
    for minute in 0..10_u64 {
        for second in 0..60 {
            world.until(seconds(20 + 60 * minute + second));
            world.fail();
            let status = world.status();
            assert_eq!(status.age, Some(world.elapsed() - seconds(5)));
            assert!(matches!(status.freshness, Freshness::Stale { since, cause: Cause::Failed(_) }
                if world.now() - since == world.elapsed() - seconds(20)));
        }
    }
    assert_eq!(world.publications(), 1);
    assert_eq!(world.status().errors[&ErrorClass::Unreachable], 600);
    assert_eq!(world.pipeline.deadline(), None, "it asks for no attention either");

    world.confirm();
    let status = world.status();
    assert_eq!((status.freshness, status.age, status.reconnects), (Freshness::Fresh, Some(ms(0)), 1));
    assert_eq!(world.publications(), 1);
    assert_eq!(world.endpoints().len(), 100);
}

#[test]
fn the_last_error_is_the_one_that_is_told() {
    let mut world = world();
    assert_eq!(world.status().freshness.name(), "unknown");
    world.fail();
    world.say(Event::Failed(SourceError::new(ErrorClass::Denied, "token=secret is not allowed")));
    let status = world.status();
    let Freshness::Unknown { cause: Cause::Failed(error), .. } = status.freshness else { unreachable!() };
    assert_eq!((error.class, status.state, status.age), (ErrorClass::Denied, State::Unknown, None));
    assert!(!error.message.contains("secret"), "{error}");
    assert_eq!(status.errors.values().sum::<u64>(), 2);
    assert_eq!(world.publications(), 0);
}

#[test]
fn scaled_to_zero_is_empty_after_the_hold_and_not_before() {
    let mut world = world();
    world.reset(&["1", "2", "3"]);
    world.until(seconds(7));
    world.reset(&[]);
    world.until(seconds(20));
    world.reset(&[]);
    world.until(ms(36_999));
    assert_eq!(world.publications(), 1);
    let status = world.status();
    assert_eq!((status.state, status.endpoints.held, status.freshness), (State::Known, 3, Freshness::Fresh));
    world.until(seconds(37));
    assert_eq!((world.set().len(), world.last().state), (0, State::KnownEmpty));
    assert_eq!(world.publications(), 2);

    world.until(seconds(38));
    world.reset(&["4"]);
    assert_eq!((world.set(), world.last().state), (addresses(&[4]), State::Known));
}

#[test]
fn the_last_one_of_a_slow_end_holds_all_that_are_left() {
    let mut world = world();
    for key in ["1", "2", "3", "4"] {
        world.apply(key, &[key]);
    }
    world.until(seconds(1));
    for key in ["1", "2", "3"] {
        world.remove(key);
    }
    world.until(seconds(15));
    world.remove("4");
    world.until(ms(44_999));
    assert_eq!(world.set().len(), 4);
    world.until(seconds(45));
    assert_eq!(world.last().state, State::KnownEmpty);
    assert_eq!(world.status().publications, 3);
}

#[test]
fn an_end_that_was_announced_is_held_as_well() {
    let mut world = world();
    world.reset(&["1", "2"]);
    world.until(seconds(1));
    world.reset(&["1;condition=draining", "2;condition=draining"]);
    world.until(seconds(2));
    world.reset(&["2;condition=draining"]);
    assert_eq!(world.set(), ["10.0.0.2:80;condition=draining"]);
    world.until(seconds(3));
    world.reset(&[]);
    world.until(ms(32_999));
    assert_eq!(world.set(), ["10.0.0.2:80;condition=draining"]);
    world.until(seconds(33));
    assert_eq!(world.last().state, State::KnownEmpty);
}

#[test]
fn a_registry_that_blinks_is_not_seen_to() {
    let mut world = world();
    reset_to(&mut world, &numbers(1..=20));
    for blink in 0..20_u64 {
        world.wait(seconds(35));
        world.reset(&[]);
        world.wait(seconds(1 + blink));
        if blink % 2 == 0 {
            world.reset(&[]);
        }
        world.wait(seconds(2));
        reset_to(&mut world, &numbers(1..=20));
    }
    world.wait(seconds(100));
    assert_eq!(world.publications(), 1);
    assert_eq!(world.status().endpoints.held, 0);
}

#[test]
fn nothing_said_on_the_way_down_is_not_believed() {
    let mut world = world();
    world.reset(&["1", "2"]);
    world.until(seconds(10));
    world.reset(&[]);
    world.until(seconds(12));
    world.fail();
    world.until(seconds(600));
    assert_eq!(world.set(), addresses(&[1, 2]));
    assert_eq!(world.pipeline.deadline(), None);
    world.confirm();
    assert_eq!(world.last().state, State::KnownEmpty, "it says so again, long after");
}

#[test]
fn a_wiped_registry_that_fills_again_costs_no_endpoint_that_is_back_in_time() {
    let mut world = world();
    for n in 1..=10_u32 {
        world.apply(&format!("lease {n}"), &[&n.to_string()]);
    }
    world.until(seconds(1));
    world.reset(&[]);
    for n in 1..=10_u32 {
        world.wait(ms(1500));
        world.apply(&format!("other lease {n}"), &[&n.to_string()]);
        assert_eq!(world.set().len(), 10);
    }
    world.wait(seconds(60));
    assert_eq!(world.set().len(), 10);
    assert_eq!(world.publications(), 2, "the first and the nine others");
}

#[test]
fn a_mass_removal_is_spread_and_each_half_leaves_as_fast() {
    for (percent, waves) in
        [(50, vec![50, 40]), (34, vec![34, 34, 22]), (30, vec![30, 30, 30]), (100, vec![90])]
    {
        let mut world = World::new(PipelineOptions { max_drop_ratio: percent, ..PipelineOptions::default() });
        reset_to(&mut world, &numbers(1..=100));
        world.until(seconds(3));
        reset_to(&mut world, &numbers(1..=10));
        let mut left = Vec::new();
        for wave in 0..waves.len() as u64 {
            let before = world.set().len();
            world.until(seconds(20 + 10 * wave) - ms(1));
            assert_eq!(world.set().len(), before, "never earlier");
            world.until(seconds(20 + 10 * wave));
            left.push(before - world.set().len());
        }
        assert_eq!(left, waves);
        assert_eq!(world.set(), addresses(&(1..=10).collect::<Vec<_>>()));
        assert_eq!(world.pipeline.deadline(), None);
    }
}

#[test]
fn a_mass_removal_that_a_later_read_confirms_is_not_spread() {
    for again in [reset(&["1"]), Event::Confirmed { revision: None }] {
        let mut world = world();
        reset_to(&mut world, &numbers(1..=100));
        world.until(seconds(3));
        world.reset(&["1"]);
        world.until(seconds(13));
        world.say(again);
        world.until(seconds(20));
        assert_eq!(world.set(), addresses(&[1]));
    }
    // The same answer a moment later is no confirmation, nor is one of a part while another cannot be asked.
    for (second, again) in [(12, reset(&["1"])), (13, partly(reset(&["1"])))] {
        let mut world = world();
        reset_to(&mut world, &numbers(1..=100));
        world.until(seconds(3));
        world.reset(&["1"]);
        world.until(seconds(second));
        world.say(again);
        world.until(seconds(20));
        assert_eq!(world.set().len(), 50);
    }
}

#[test]
fn who_comes_back_while_a_mass_removal_is_spread_stays() {
    let mut world = world();
    reset_to(&mut world, &numbers(1..=10));
    world.until(seconds(1));
    world.reset(&["1"]);
    world.until(seconds(20));
    assert_eq!(world.set(), addresses(&[1, 7, 8, 9, 10]), "in order of disappearing, then of address");
    world.apply("more", &["9", "10;weight=2"]);
    world.until(seconds(31));
    assert_eq!(world.set(), ["10.0.0.1:80", "10.0.0.9:80", "10.0.0.10:80;weight=2"]);
    world.wait(seconds(100));
    assert_eq!(world.set().len(), 3);
}

fn dropping(max_stale: u64) -> World {
    let options = PipelineOptions {
        max_stale: Some(seconds(max_stale)),
        on_stale: StalePolicy::Drop,
        ..PipelineOptions::default()
    };
    options.check().unwrap();
    World::new(options)
}

#[test]
fn too_old_is_said_and_kept_unless_it_is_to_be_dropped() {
    let options = PipelineOptions { max_stale: Some(seconds(60)), ..PipelineOptions::default() };
    let mut keeping = World::new(options);
    keeping.reset(&["1"]);
    keeping.until(seconds(60));
    assert_eq!(keeping.status().freshness, Freshness::Fresh);
    keeping.until(seconds(61));
    let since = keeping.now() - seconds(1);
    assert_eq!(keeping.status().freshness, Freshness::Stale { since, cause: Cause::Silent });
    keeping.fail();
    keeping.until(seconds(10_000));
    assert_eq!(keeping.publications(), 1);
    keeping.confirm();
    assert_eq!(keeping.status().freshness, Freshness::Fresh);

    let mut quiet = dropping(60);
    quiet.reset(&["1"]);
    quiet.until(seconds(10_000));
    assert_eq!(quiet.set(), addresses(&[1]), "nothing says that it cannot be asked");
    assert_eq!(quiet.status().freshness.name(), "stale");
}

#[test]
fn what_is_dropped_for_its_age_comes_back_whole() {
    for back in [Event::Confirmed { revision: None }, reset(&["1", "2"])] {
        let mut world = dropping(60);
        world.reset(&["1", "2", "3"]);
        world.until(seconds(5));
        world.reset(&["1", "2"]);
        world.fail();
        world.until(ms(64_999));
        assert_eq!(world.set(), addresses(&[1, 2]));
        world.until(seconds(65));
        assert_eq!((world.set().len(), world.last().state), (0, State::Unknown));
        let status = world.status();
        assert_eq!((status.freshness.name(), status.age), ("unknown", Some(seconds(60))));
        world.until(seconds(600));
        world.fail();
        world.until(seconds(700));
        world.say(back);
        assert_eq!((world.set(), world.last().state), (addresses(&[1, 2]), State::Known));
        assert_eq!(world.status().freshness, Freshness::Fresh);
        world.wait(seconds(100));
        assert_eq!(world.publications(), 4, "first, removal, drop, return");
    }
}

/// One datacenter is away for long: nobody loses the servers of the other one for it.
#[test]
fn a_part_that_answers_keeps_the_whole_from_being_dropped() {
    let mut world = dropping(60);
    world.reset(&["1"]);
    world.apply("elsewhere", &["2"]);
    world.fail();
    for round in 1..20 {
        world.until(seconds(round * 50));
        world.say(partly(Event::Confirmed { revision: None }));
        assert_eq!(world.status().age, Some(seconds(0)));
    }
    assert_eq!((world.set(), world.status().freshness.name()), (addresses(&[1, 2]), "stale"));
    world.wait(seconds(60));
    assert_eq!((world.set().len(), world.last().state), (0, State::Unknown), "now nobody answers");
}

#[test]
fn what_was_held_when_all_was_dropped_does_not_come_back() {
    let mut world = dropping(5);
    world.reset(&["1", "2", "3"]);
    world.until(seconds(5));
    world.reset(&["1", "2"]);
    world.fail();
    world.until(seconds(9));
    assert_eq!(world.status().endpoints.held, 1);
    world.until(seconds(10));
    assert_eq!((world.set().len(), world.status().endpoints.held), (0, 0));
    world.until(seconds(12));
    world.confirm();
    assert_eq!(world.set(), addresses(&[1, 2]));
    assert_eq!(world.status().endpoints.held, 0);
}

#[test]
fn what_is_on_disk_is_stale_until_the_source_answers() {
    let mut world = world();
    world.until(ms(10));
    world.pipeline.restore(
        vec![endpoint("1"), endpoint("2")],
        Some("{}".to_owned()),
        seconds(3600),
        world.now(),
    );
    world.poll();
    assert_eq!((world.set(), world.last().state), (addresses(&[1, 2]), State::Known));
    assert_eq!(world.last().service_config.as_deref(), Some("{}"));
    let since = world.now();
    world.until(seconds(5));
    world.fail();
    world.until(seconds(1000));
    let status = world.status();
    assert_eq!(status.freshness, Freshness::Stale { since, cause: Cause::Snapshot });
    assert_eq!(status.age, Some(seconds(4600) - ms(10)));
    assert!(status.last_error.is_some());

    world.reset(&["2", "3"]);
    assert_eq!(world.set(), addresses(&[1, 2, 3]));
    assert_eq!(world.status().freshness, Freshness::Fresh);
    assert_eq!((world.status().age, world.status().relists), (Some(ms(0)), 0));
    world.until(seconds(1019));
    assert_eq!(world.set(), addresses(&[1, 2, 3]));
    world.until(seconds(1020));
    assert_eq!(world.set(), addresses(&[2, 3]));
}

#[test]
fn what_is_on_disk_counts_as_known_and_only_before_the_first_answer() {
    let mut empty = world();
    empty.pipeline.restore(vec![endpoint("1")], None, seconds(60), empty.now());
    empty.poll();
    empty.reset(&[]);
    empty.until(ms(29_999));
    assert_eq!(empty.set(), addresses(&[1]), "from something to nothing, as any other");
    empty.until(seconds(30));
    assert_eq!(empty.last().state, State::KnownEmpty);

    let mut late = world();
    late.reset(&[]);
    late.pipeline.restore(vec![endpoint("1")], None, seconds(60), late.now());
    late.poll();
    assert_eq!((late.publications(), late.last().state), (1, State::KnownEmpty));

    let mut none = world();
    none.pipeline.restore(Vec::new(), Some("{}".to_owned()), seconds(60), none.now());
    none.poll();
    assert_eq!((none.publications(), none.status().freshness.name()), (0, "unknown"));

    let mut parts = world();
    parts.pipeline.restore(vec![endpoint("1"), endpoint("2")], None, seconds(60), parts.now());
    parts.poll();
    parts.apply("slice", &["2;weight=3"]);
    parts.until(seconds(21));
    assert_eq!(parts.set(), [format!("{};weight=3", address_of(2))]);
}

#[test]
fn what_is_on_disk_is_dropped_at_the_age_that_it_has_there() {
    let mut world = dropping(3600);
    world.pipeline.restore(vec![endpoint("1")], None, seconds(3000), world.now());
    world.poll();
    world.until(seconds(599));
    assert_eq!(world.set(), addresses(&[1]));
    world.until(seconds(600));
    assert_eq!((world.set().len(), world.last().state), (0, State::Unknown));
}

#[test]
fn a_service_config_that_the_source_has_said_goes_before_the_one_on_disk() {
    for said in [Some("{\"new\":1}"), None] {
        let mut world = world();
        world.say(Event::ServiceConfig(said.map(str::to_owned)));
        world.fail();
        let on_disk = Some("{\"old\":1}".to_owned());
        world.pipeline.restore(vec![endpoint("1")], on_disk, seconds(60), world.now());
        world.poll();
        assert_eq!((world.set(), world.last().service_config.as_deref()), (addresses(&[1]), said));
    }
}

/// A restart while one of two datacenters is away: what belonged to it is on disk, and nowhere else.
#[test]
fn what_disk_says_of_a_part_that_cannot_be_asked_stays() {
    let on_disk = || vec![endpoint("1"), endpoint("2")];
    let answer = || partly(apply("here", &["2;weight=3", "4"]));
    for is_first in [true, false] {
        let mut world = world();
        if is_first {
            world.say(answer());
        }
        world.fail();
        world.pipeline.restore(on_disk(), None, seconds(600), world.now());
        if !is_first {
            world.say(answer());
        }
        world.until(seconds(1000));
        let known = ["10.0.0.1:80", "10.0.0.2:80;weight=3", "10.0.0.4:80"];
        assert_eq!(world.set(), known, "who was asked knows better");
        let status = world.status();
        assert_eq!((status.freshness.name(), status.last_error.is_some()), ("stale", true));
        world.say(Event::Reset { parts: vec![part("there", &["3"]), part("here", &["4"])], revision: None });
        world.until(seconds(1030));
        assert_eq!((world.set(), world.status().freshness), (addresses(&[3, 4]), Freshness::Fresh));
        world.pipeline.restore(on_disk(), None, seconds(600), world.now());
        world.wait(seconds(1));
        assert_eq!(world.set(), addresses(&[3, 4]), "the whole has been heard");
    }
}
