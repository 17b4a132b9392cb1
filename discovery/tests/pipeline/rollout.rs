//! Three hundred pods in three slices are replaced while clients look on.

use std::collections::BTreeMap;

use evener_discovery::pipeline::PipelineOptions;
use evener_discovery::{Event, Part};

use crate::world::{World, endpoint, ms, ready, seconds};

const SLICES: usize = 3;
const PODS: u32 = 300;
const UNAVAILABLE: usize = 30;

/// EndpointSlices as the controller keeps them: pod to record, by slice.
struct Cluster {
    slices: [BTreeMap<u32, &'static str>; SLICES],
    world: World,
}

impl Cluster {
    fn new() -> Self {
        let mut slices: [BTreeMap<u32, &str>; SLICES] = Default::default();
        for pod in 0..PODS {
            slices[pod as usize % SLICES].insert(pod, "");
        }
        let mut cluster = Self { slices, world: World::new(PipelineOptions::default()) };
        let parts = (0..SLICES).map(|slice| cluster.part(slice)).collect();
        cluster.world.say(Event::Reset { parts, revision: None });
        cluster
    }

    fn part(&self, slice: usize) -> Part {
        let records = self.slices[slice].iter();
        let endpoints = records.map(|(pod, rest)| endpoint(&format!("{pod}{rest}"))).collect();
        Part { key: format!("slice-{slice}"), endpoints }
    }

    /// A slice was modified: the watch says so, and time goes on a little.
    fn modified(&mut self, slice: usize) {
        let part = self.part(slice);
        self.world.say(Event::Apply { changed: vec![part], removed: Vec::new(), revision: None });
        self.world.wait(ms(7));
    }

    /// The pods have another record now, each in its slice.
    fn mark(&mut self, pods: &[u32], record: &'static str) {
        self.each_slice(pods, |slice, pod| slice.extend([(pod, record)]));
    }

    /// The pods are gone, each from its slice.
    fn remove(&mut self, pods: &[u32]) {
        self.each_slice(pods, |slice, pod| slice.retain(|other, _| *other != pod));
    }

    fn each_slice(&mut self, pods: &[u32], change: impl Fn(&mut BTreeMap<u32, &'static str>, u32)) {
        for slice in 0..SLICES {
            let here: Vec<u32> =
                pods.iter().copied().filter(|pod| self.slices[slice].contains_key(pod)).collect();
            here.into_iter().for_each(|pod| change(&mut self.slices[slice], pod));
            self.modified(slice);
        }
    }

    fn add(&mut self, slice: usize, pods: &[u32]) {
        self.slices[slice].extend(pods.iter().map(|pod| (*pod, "")));
        self.modified(slice);
    }

    /// The controller packs its slices: pods move, and are away from one before they are in the other.
    fn repack(&mut self, from: usize, to: usize) {
        let moved: Vec<(u32, &str)> =
            self.slices[from].iter().take(5).map(|(pod, record)| (*pod, *record)).collect();
        self.slices[from].retain(|pod, _| !moved.iter().any(|(other, _)| other == pod));
        self.modified(from);
        self.slices[to].extend(moved);
        self.modified(to);
    }
}

#[test]
fn a_rolling_update_never_takes_more_than_the_cluster_does() {
    let mut cluster = Cluster::new();
    cluster.world.wait(seconds(60));
    for batch in 0..10_u32 {
        let old: Vec<u32> = (batch * 30..batch * 30 + 30).collect();
        cluster.mark(&old, ";condition=draining");
        cluster.world.wait(ms(900));
        for slice in 0..SLICES {
            // New pods go where there is room, which is not where the old ones were.
            let here = old.iter().filter(|pod| (**pod as usize + 1) % SLICES == slice);
            cluster.add(slice, &here.map(|pod| pod + 1000).collect::<Vec<_>>());
        }
        cluster.remove(&old);
        cluster.repack(batch as usize % SLICES, (batch as usize + 2) % SLICES);
        cluster.world.wait(ms(50));
    }
    cluster.world.wait(seconds(60));

    let published = &cluster.world.published;
    for (at, snapshot) in published {
        let visible = ready(&snapshot.endpoints);
        assert!(visible >= PODS as usize - UNAVAILABLE, "{visible} at {at:?}");
    }
    for pair in published.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= ms(100), "one publication in a window");
    }
    let new: Vec<_> = (1000..1000 + PODS).map(|pod| endpoint(&pod.to_string())).collect();
    assert!(cluster.world.endpoints() == new);
    assert_eq!(cluster.world.status().endpoints.held, 0);
}
