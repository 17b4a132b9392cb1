//! What Finagle's `Stabilizer` is specified by, told anew for epochs alone: no window, no budget, no hold of an empty set.
//! Where Finagle delays additions by an epoch, here they are at once.

use evener_discovery::pipeline::{Freshness, PipelineOptions, State};

use crate::world::{World, addresses, apply, seconds};

impl World {
    /// Lets the next epoch begin: they are 10 s long.
    fn turn(&mut self) {
        let next = self.elapsed().as_secs() / 10 + 1;
        self.until(seconds(10 * next));
    }

    fn shows(&self, numbers: &[u32]) {
        assert_eq!(self.set(), addresses(numbers));
    }
}

#[test]
fn an_empty_answer_passes_and_an_unanswered_question_says_nothing() {
    let mut world = World::with_epochs_alone();
    assert_eq!(world.publications(), 0);
    assert!(matches!(world.status().freshness, Freshness::Unknown { .. }));
    world.reset(&[]);
    assert_eq!(world.last().state, State::KnownEmpty);
    world.reset(&["1"]);
    world.shows(&[1]);
    assert_eq!(world.last().state, State::Known);
}

#[test]
fn what_is_known_stays_while_the_source_fails() {
    let mut world = World::with_epochs_alone();
    world.fail();
    assert_eq!(world.publications(), 0, "there is nothing to stay");
    world.reset(&["1", "2"]);
    world.reset(&["1", "2", "3"]);
    world.shows(&[1, 2, 3]);
    for _ in 0..10 {
        world.fail();
        world.turn();
        world.shows(&[1, 2, 3]);
    }
    world.reset(&["1", "2", "3", "4"]);
    world.shows(&[1, 2, 3, 4]);
}

#[test]
fn the_first_answer_does_not_wait_for_an_epoch() {
    let mut world = World::with_epochs_alone();
    world.until(seconds(3));
    world.reset(&["1"]);
    world.shows(&[1]);
}

#[test]
fn additions_do_not_wait_for_an_epoch() {
    let mut world = World::with_epochs_alone();
    world.reset(&["1", "2"]);
    world.until(seconds(3));
    world.reset(&["1", "2", "3"]);
    world.shows(&[1, 2, 3]);
    world.turn();
    assert_eq!(world.publications(), 2);
}

#[test]
fn removals_wait_for_the_second_epoch() {
    for removed_at in [0, 1, 9] {
        let mut world = World::with_epochs_alone();
        world.reset(&["1", "2"]);
        world.until(seconds(removed_at));
        world.reset(&["1"]);
        world.shows(&[1, 2]);
        world.turn();
        world.shows(&[1, 2]);
        world.turn();
        world.shows(&[1]);
        assert_eq!(world.elapsed(), seconds(20));
    }
}

#[test]
fn one_leaves_and_another_comes() {
    let mut world = World::with_epochs_alone();
    world.reset(&["1", "2"]);
    world.reset(&["1", "3"]);
    world.shows(&[1, 2, 3]);
    world.turn();
    world.shows(&[1, 2, 3]);
    world.turn();
    world.shows(&[1, 3]);
}

#[test]
fn several_updates_each_leave_in_their_own_time() {
    let mut world = World::with_epochs_alone();
    world.reset(&["1", "2"]);
    world.reset(&["1", "3"]);
    world.turn();
    world.reset(&["1"]);
    world.shows(&[1, 2, 3]);
    world.turn();
    world.shows(&[1, 3]);
    world.turn();
    world.shows(&[1]);
}

#[test]
fn an_endpoint_that_flaps_is_not_seen_to() {
    let mut world = World::with_epochs_alone();
    world.reset(&["1", "2"]);
    for _ in 0..100 {
        world.wait(seconds(6));
        world.reset(&["1"]);
        world.wait(seconds(6));
        world.reset(&["1", "2"]);
    }
    world.wait(seconds(100));
    world.shows(&[1, 2]);
    assert_eq!(world.publications(), 1);
}

#[test]
fn an_endpoint_that_comes_back_late_starts_its_wait_anew() {
    let mut world = World::with_epochs_alone();
    world.reset(&["1", "2"]);
    world.reset(&["1"]);
    world.until(seconds(19));
    world.reset(&["1", "2"]);
    world.reset(&["1"]);
    world.until(seconds(29));
    world.shows(&[1, 2]);
    world.until(seconds(30));
    world.shows(&[1]);
}

#[test]
fn who_was_there_for_a_moment_leaves_like_the_others() {
    let mut world = World::with_epochs_alone();
    world.reset(&["1"]);
    world.reset(&["1", "2"]);
    world.reset(&["1", "3"]);
    world.shows(&[1, 2, 3]);
    world.turn();
    world.turn();
    world.shows(&[1, 3]);
    world.turn();
    world.shows(&[1, 3]);
}

#[test]
fn failures_do_not_disturb_what_is_on_its_way() {
    let mut world = World::with_epochs_alone();
    world.reset(&["1"]);
    world.reset(&["2"]);
    world.shows(&[1, 2]);
    world.fail();
    world.turn();
    world.shows(&[1, 2]);
    world.turn();
    world.shows(&[2]);

    world.reset(&["3"]);
    world.fail();
    world.shows(&[2, 3]);
    world.turn();
    world.turn();
    world.shows(&[3]);
    world.reset(&["1", "2", "3"]);
    world.shows(&[1, 2, 3]);
}

#[test]
fn epochs_go_on_while_the_source_fails() {
    let mut world = World::with_epochs_alone();
    world.reset(&["1", "2"]);
    world.turn();
    world.reset(&["1"]);
    world.fail();
    world.turn();
    world.shows(&[1, 2]);
    world.turn();
    world.shows(&[1]);
    world.reset(&["1", "3"]);
    world.shows(&[1, 3]);
}

#[test]
fn an_empty_answer_outlives_failures_and_ends_with_the_first_endpoint() {
    let mut world = World::with_epochs_alone();
    world.reset(&[]);
    world.fail();
    for _ in 0..5 {
        world.turn();
        assert_eq!(world.last().state, State::KnownEmpty);
    }
    assert_eq!(world.publications(), 1);
    world.reset(&["1"]);
    world.shows(&[1]);
}

#[test]
fn updates_between_failures_count() {
    let mut world = World::with_epochs_alone();
    world.reset(&["1", "2"]);
    world.turn();
    world.fail();
    world.turn();
    world.shows(&[1, 2]);
    world.reset(&["3"]);
    world.fail();
    world.shows(&[1, 2, 3]);
    world.turn();
    world.turn();
    world.shows(&[3]);
    world.reset(&["2"]);
    world.shows(&[2, 3]);
    world.turn();
    world.turn();
    world.shows(&[2]);
}

#[test]
fn weights_pass_while_a_removal_waits() {
    let mut world = World::with_epochs_alone();
    world.reset(&["1;weight=1", "2", "3"]);
    world.reset(&["1;weight=2", "2"]);
    assert_eq!(world.set(), ["10.0.0.1:80;weight=2", "10.0.0.2:80", "10.0.0.3:80"]);
    world.turn();
    world.turn();
    assert_eq!(world.set(), ["10.0.0.1:80;weight=2", "10.0.0.2:80"]);
    world.reset(&["1;weight=2", "2;weight=2"]);
    assert_eq!(world.set(), ["10.0.0.1:80;weight=2", "10.0.0.2:80;weight=2"]);
    assert_eq!(world.last().changes.updated, 1);
}

#[test]
fn an_instance_that_restarts_elsewhere_is_there_twice_until_the_old_place_leaves() {
    let mut world = World::with_epochs_alone();
    for instance in ["1", "2", "3", "4"] {
        world.apply(instance, &[instance]);
    }
    world.apply("4", &["5"]);
    world.shows(&[1, 2, 3, 4, 5]);
    world.turn();
    world.turn();
    world.shows(&[1, 2, 3, 5]);
}

#[test]
fn one_restart_in_each_epoch() {
    let mut world = World::with_epochs_alone();
    for instance in ["1", "2", "3", "4"] {
        world.apply(instance, &[instance]);
    }
    for n in 1..=4_u32 {
        world.say(apply(&n.to_string(), &[&(n + 4).to_string()]));
        let in_use = world.endpoints().len();
        assert!((5..=6).contains(&in_use), "at most those of two epochs are held: {in_use}");
        world.turn();
    }
    world.turn();
    world.shows(&[5, 6, 7, 8]);
}

#[test]
fn several_restarts_in_one_epoch() {
    let mut world = World::with_epochs_alone();
    for instance in ["1", "2", "3", "4"] {
        world.apply(instance, &[instance]);
    }
    for n in 1..=4_u32 {
        world.say(apply(&n.to_string(), &[&(n + 4).to_string()]));
    }
    world.shows(&[1, 2, 3, 4, 5, 6, 7, 8]);
    world.turn();
    world.turn();
    world.shows(&[5, 6, 7, 8]);
    assert_eq!(world.last().changes.removed, 4, "they leave together");
}

#[test]
fn without_epochs_removals_are_at_once() {
    let mut world = World::new(PipelineOptions::immediate());
    world.reset(&["1", "2"]);
    world.reset(&["1"]);
    world.shows(&[1]);
    world.wait(seconds(1000));
    world.shows(&[1]);
    world.reset(&[]);
    assert_eq!(world.last().state, State::KnownEmpty);
    assert_eq!(world.pipeline.deadline(), None);
}

#[test]
fn without_epochs_additions_are_at_once() {
    let mut world = World::new(PipelineOptions::immediate());
    world.reset(&["1"]);
    world.reset(&["1", "2"]);
    world.shows(&[1, 2]);
}

#[test]
fn without_epochs_failures_change_nothing() {
    let mut world = World::new(PipelineOptions::immediate());
    world.reset(&["1", "2"]);
    world.fail();
    world.wait(seconds(1000));
    world.shows(&[1, 2]);
}
