//! What a pipeline keeps and does is bounded by what it is told, however long it is told.

use evener_discovery::Event;
use evener_discovery::pipeline::PipelineOptions;

use crate::world::{World, ms, part, seconds};

const ENDPOINTS: u32 = 10_000;

fn full() -> World {
    let mut world = World::new(PipelineOptions::default());
    let parts = (0..ENDPOINTS).map(|n| part(&format!("key {n}"), &[&n.to_string()])).collect();
    world.say(Event::Reset { parts, revision: None });
    world
}

#[test]
fn ten_thousand_endpoints_that_are_all_replaced_leave_nothing_behind() {
    let mut world = full();
    let mut most = 0;
    for round in 1..=3_u32 {
        for n in 0..ENDPOINTS {
            // A thousand a second.
            world.apply(&format!("key {n}"), &[&(round * 100_000 + n).to_string()]);
            world.wait(ms(1));
            most = most.max(world.status().endpoints.held);
        }
    }
    // Two epochs' worth at a thousand a second, and what the last window has not published yet.
    assert!((10_000..=21_000).contains(&most), "{most}");
    world.wait(seconds(60));
    let status = world.status();
    assert_eq!((status.endpoints.total, status.endpoints.held), (ENDPOINTS as usize, 0));
    assert_eq!(world.pipeline.deadline(), None);
    assert!(status.publications <= 40, "{}", status.publications);
}

#[test]
fn endpoints_that_nobody_saw_are_not_held() {
    let mut world = World::new(PipelineOptions::default());
    world.apply("fixed", &["1"]);
    for n in 0..ENDPOINTS {
        // Less than a window apart, so that most come and go between two publications.
        world.apply("passing", &[&(n + 2).to_string()]);
        world.wait(ms(2));
        assert!(world.status().endpoints.held <= 25, "no more than were published in two epochs");
    }
    world.remove("passing");
    world.wait(seconds(60));
    assert_eq!(world.set().len(), 1);
}

#[test]
fn an_empty_set_that_is_interrupted_for_moments_does_not_gather_the_past() {
    let mut world = World::new(PipelineOptions::default());
    for n in 1..=500_u32 {
        world.reset(&[&n.to_string()]);
        world.wait(ms(200));
        world.reset(&[]);
        world.wait(ms(28_800));
        let held = world.status().endpoints.held;
        assert!(held <= 3, "{held} after {n}");
    }
    world.wait(seconds(60));
    assert_eq!((world.set().len(), world.status().endpoints.held), (0, 0));
}

#[test]
fn one_record_of_ten_thousand_changes_ten_thousand_times() {
    let mut world = full();
    world.wait(seconds(1));
    for n in 0..ENDPOINTS {
        world.apply(&format!("key {n}"), &[&format!("{n};weight={}", n + 2)]);
        // Fifty in a window of quiet, so that publications are those of the longest delay.
        world.wait(ms(2));
    }
    world.wait(seconds(1));
    assert!(world.endpoints().iter().zip(2..).all(|(endpoint, weight)| endpoint.weight == weight));
    assert!(world.publications() <= 24, "{}", world.publications());
}
