//! What probes say goes before what the source says, at once, and takes nothing out where nothing passes.

use evener_discovery::pipeline::PipelineOptions;
use evener_discovery::{Address, Condition};

use crate::world::{World, endpoint, ms, seconds};

impl World {
    /// These fail their probes, and all others that there are have passed theirs.
    fn judge(&mut self, failing: &[&str], fail_open: bool) -> bool {
        let failing: Vec<Vec<Address>> = failing.iter().map(|text| endpoint(text).addresses).collect();
        let all = self.endpoints().iter().map(|endpoint| endpoint.addresses.clone());
        let passing: Vec<Vec<Address>> = all.filter(|addresses| !failing.contains(addresses)).collect();
        self.judge_all(&failing, &passing, fail_open)
    }

    fn judge_all(&mut self, failing: &[Vec<Address>], passing: &[Vec<Address>], fail_open: bool) -> bool {
        let [failing, passing] = [failing, passing].map(|addresses| addresses.iter().map(Vec::as_slice));
        let is_new = self.pipeline.judge(failing, passing, fail_open, self.now());
        self.poll();
        is_new
    }

    /// The numbers of those that are published as unhealthy.
    fn unhealthy(&self) -> Vec<usize> {
        let unhealthy = |at: &usize| self.endpoints()[*at].condition == Condition::Unhealthy;
        (0..self.endpoints().len()).filter(unhealthy).map(|at| at + 1).collect()
    }
}

#[test]
fn who_fails_is_out_at_once_whatever_waits_and_comes_back_as_it_was() {
    let mut world = World::new(PipelineOptions::default());
    world.reset(&["1", "2;weight=7", "3"]);
    world.wait(ms(1));
    assert!(world.judge(&["2"], true));
    assert_eq!(world.unhealthy(), [2], "within the debounce's window");
    assert_eq!(world.endpoints()[1].weight, 7);
    assert!(!world.judge(&["2"], true), "nothing new");
    let counts = world.status().endpoints;
    assert_eq!((counts.total, counts.ready, counts.unhealthy, counts.failing_probes), (3, 2, 1, 1));

    world.reset(&["1", "2;weight=9", "3"]);
    world.wait(seconds(1));
    assert_eq!(world.unhealthy(), [2], "what the source says changes nothing about that");
    assert!(world.judge(&[], true));
    assert_eq!(world.unhealthy(), Vec::<usize>::new());
    assert_eq!(world.endpoints()[1].weight, 9);
    assert_eq!(world.status().endpoints.failing_probes, 0);
}

#[test]
fn where_all_fail_none_is_out_until_one_passes() {
    let mut world = World::new(PipelineOptions::immediate());
    world.reset(&["1", "2"]);
    world.judge(&["1"], true);
    assert_eq!(world.unhealthy(), [1]);
    world.judge(&["1", "2"], true);
    assert_eq!(world.unhealthy(), Vec::<usize>::new());
    let counts = world.status().endpoints;
    assert_eq!((counts.ready, counts.failing_probes), (2, 2), "they fail all the same");
    world.judge(&["1"], true);
    assert_eq!(world.unhealthy(), [1]);
    world.judge(&["1", "2"], false);
    assert_eq!(world.unhealthy(), [1, 2], "unless that is asked for");
}

#[test]
fn whoever_is_left_alone_and_fails_is_let_pass_in_the_same_publication() {
    let mut world = World::new(PipelineOptions::immediate());
    world.reset(&["1", "2"]);
    world.judge(&["1"], true);
    let before = world.publications();
    world.reset(&["1"]);
    assert_eq!((world.set().len(), world.unhealthy()), (1, Vec::new()));
    assert_eq!(world.publications(), before + 1);
    world.reset(&["1", "3"]);
    assert_eq!(world.unhealthy(), Vec::<usize>::new(), "nothing is known of the other one yet");
    world.judge(&["1"], true);
    assert_eq!(world.unhealthy(), [1], "it has passed");
}

#[test]
fn a_server_that_has_just_come_does_not_take_all_calls_where_all_others_fail() {
    let mut world = World::new(PipelineOptions::immediate());
    let [one, two, new] = ["1", "2", "3"].map(|text| endpoint(text).addresses);
    world.reset(&["1", "2"]);
    world.judge(&["1", "2"], true);
    world.reset(&["1", "2", "3"]);
    assert_eq!(world.unhealthy(), Vec::<usize>::new());
    world.judge_all(&[one.clone(), two.clone()], &[], true);
    assert_eq!(world.unhealthy(), Vec::<usize>::new());
    assert!(world.judge_all(&[one.clone(), two.clone()], std::slice::from_ref(&new), true), "it has passed");
    assert_eq!(world.unhealthy(), [1, 2]);
    world.reset(&["1", "2", "3;condition=unhealthy"]);
    assert_eq!(world.unhealthy(), [3], "the only one that passes takes no calls, so the others do");
}

#[test]
fn an_endpoint_that_is_held_fails_as_well_and_one_that_has_left_counts_no_more() {
    let mut world = World::with_epochs_alone();
    world.reset(&["1", "2", "3"]);
    world.reset(&["1", "3"]);
    assert_eq!(world.status().endpoints.held, 1);
    world.judge(&["2"], true);
    assert_eq!(world.unhealthy(), [2]);
    world.wait(seconds(20));
    assert_eq!(world.set().len(), 2);
    assert_eq!(world.status().endpoints.failing_probes, 0);
}

#[test]
fn what_is_to_be_kept_is_what_the_source_says() {
    let mut world = World::new(PipelineOptions::immediate());
    world.reset(&["1", "2"]);
    world.judge(&["2"], false);
    assert_eq!(world.unhealthy(), [2]);
    assert!(world.pipeline.reported().iter().all(|endpoint| endpoint.condition == Condition::Ready));
    assert_eq!(world.pipeline.reported().len(), 2);
}
