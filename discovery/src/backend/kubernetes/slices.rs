//! The slices of a Service put together: pure.

use std::collections::BTreeMap;

use crate::event::{Event, Part};
use crate::model::{Address, Condition, Endpoint};
use crate::record::endpoint_slice::{Mapped, Slice};
use crate::target::{Family, KubernetesPort};

/// What is known of a Service's slices, each one a part named by it.
///
/// An endpoint that is in several slices, as it is for a moment while it moves from one to the other, is in the part
/// that says the best of it; of equal ones in the first by name.
pub(super) struct Slices {
    wanted: Option<KubernetesPort>,
    family: Option<Family>,
    known: BTreeMap<String, Known>,
    said: BTreeMap<String, Vec<Endpoint>>,
}

struct Known {
    is_ipv6: bool,
    endpoints: Vec<Endpoint>,
}

impl Slices {
    pub(super) const fn new(wanted: Option<KubernetesPort>, family: Option<Family>) -> Self {
        Self { wanted, family, known: BTreeMap::new(), said: BTreeMap::new() }
    }

    /// These are all slices there are. What to say of it, and of what could not be used.
    pub(super) fn reset(&mut self, slices: &[Slice], revision: &str) -> Vec<Event> {
        let mut skipped = Skipped::default();
        self.known.clear();
        for slice in slices {
            self.take(slice, &mut skipped);
        }
        self.said = self.merged();
        let parts = self.said.iter().map(part).collect();
        skipped.before(Event::Reset { parts, revision: Some(revision.to_owned()) })
    }

    /// A slice is new, or another than before.
    pub(super) fn apply(&mut self, slice: &Slice, revision: &str) -> Vec<Event> {
        let mut skipped = Skipped::default();
        self.take(slice, &mut skipped);
        skipped.before(self.changes(revision))
    }

    /// A slice is gone.
    pub(super) fn delete(&mut self, name: &str, revision: &str) -> Vec<Event> {
        self.known.remove(name);
        vec![self.changes(revision)]
    }

    /// Whether these would say the same.
    pub(super) fn agree_with(&self, slices: &[Slice]) -> bool {
        let mut other = Self::new(self.wanted.clone(), self.family);
        other.reset(slices, "");
        other.said == self.said
    }

    fn take(&mut self, slice: &Slice, skipped: &mut Skipped) {
        let Mapped { endpoints, skipped: count, example } = slice.endpoints(self.wanted.as_ref());
        skipped.add(count, example);
        let known = Known { is_ipv6: slice.address_type == "IPv6", endpoints };
        self.known.insert(slice.metadata.name.clone(), known);
    }

    /// What is different from what was said last.
    fn changes(&mut self, revision: &str) -> Event {
        let now = self.merged();
        let before = std::mem::replace(&mut self.said, now);
        let changed: Vec<Part> = self
            .said
            .iter()
            .filter(|(key, endpoints)| before.get(*key) != Some(*endpoints))
            .map(part)
            .collect();
        let removed: Vec<String> = before.into_keys().filter(|key| !self.said.contains_key(key)).collect();
        let revision = Some(revision.to_owned());
        if changed.is_empty() && removed.is_empty() {
            return Event::Confirmed { revision };
        }
        Event::Apply { changed, removed, revision }
    }

    fn merged(&self) -> BTreeMap<String, Vec<Endpoint>> {
        let used = |known: &Known| self.is_used(known);
        let mut best: BTreeMap<&Address, (Condition, &String)> = BTreeMap::new();
        for (name, known) in self.known.iter().filter(|(_, known)| used(known)) {
            for endpoint in &known.endpoints {
                let Some(address) = endpoint.addresses.first() else { continue };
                let offer = (endpoint.condition, name);
                best.entry(address).and_modify(|best| *best = offer.min(*best)).or_insert(offer);
            }
        }
        let mut merged = BTreeMap::new();
        for (name, known) in self.known.iter().filter(|(_, known)| used(known)) {
            let mut own: BTreeMap<&Address, &Endpoint> = BTreeMap::new();
            for endpoint in &known.endpoints {
                let Some(address) = endpoint.addresses.first() else { continue };
                if best.get(address) == Some(&(endpoint.condition, name)) {
                    own.insert(address, endpoint);
                }
            }
            merged.insert(name.clone(), own.into_values().cloned().collect());
        }
        merged
    }

    /// Slices hold addresses of one family each. Unless the target chooses, those of IPv4 are used if there are any:
    /// with both, each pod of a Service with two families would count twice.
    fn is_used(&self, known: &Known) -> bool {
        let has_ipv4 = || self.known.values().any(|known| !known.is_ipv6 && !known.endpoints.is_empty());
        match self.family {
            Some(Family::Both) => true,
            Some(Family::Ipv4) => !known.is_ipv6,
            Some(Family::Ipv6) => known.is_ipv6,
            None => known.is_ipv6 != has_ipv4(),
        }
    }
}

fn part((key, endpoints): (&String, &Vec<Endpoint>)) -> Part {
    Part { key: key.clone(), endpoints: endpoints.clone() }
}

/// What could not be used, summed up.
#[derive(Default)]
struct Skipped {
    count: u64,
    example: String,
}

impl Skipped {
    fn add(&mut self, count: u64, example: String) {
        if count > 0 {
            self.count += count;
            self.example = example;
        }
    }

    fn before(self, event: Event) -> Vec<Event> {
        let Self { count, example } = self;
        if count == 0 { vec![event] } else { vec![Event::Skipped { count, example }, event] }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::endpoint_slice::decode;

    fn slice(name: &str, kind: &str, endpoints: &[(&str, &str)]) -> Slice {
        let conditions = |state: &str| match state {
            "ready" => r#"{"ready":true}"#,
            "draining" => r#"{"ready":false,"serving":true,"terminating":true}"#,
            _ => r#"{"ready":false}"#,
        };
        let endpoints: Vec<String> = endpoints
            .iter()
            .map(|(ip, state)| format!(r#"{{"addresses":["{ip}"],"conditions":{}}}"#, conditions(state)))
            .collect();
        let text = format!(
            r#"{{"metadata":{{"name":"{name}"}},"addressType":"{kind}","ports":[{{"port":80}}],"endpoints":[{}]}}"#,
            endpoints.join(",")
        );
        decode(&text).unwrap()
    }

    fn all(slices: &Slices) -> Vec<String> {
        slices.said.values().flatten().map(ToString::to_string).collect()
    }

    #[test]
    fn slices_are_united_and_what_is_in_two_is_there_once() {
        let mut slices = Slices::new(None, None);
        let first = slice("s-1", "IPv4", &[("10.0.0.1", "ready"), ("10.0.0.2", "ready")]);
        let events = slices.reset(&[first, slice("s-2", "IPv4", &[])], "5");
        assert!(
            matches!(&events[..], [Event::Reset { parts, revision }] if parts.len() == 2 && revision.as_deref() == Some("5"))
        );
        // 10.0.0.2 moves: it is in both, then in the second alone; nobody sees it leave.
        let Event::Confirmed { .. } = &slices.apply(&slice("s-2", "IPv4", &[("10.0.0.2", "ready")]), "6")[0]
        else {
            panic!("nothing has changed")
        };
        let events = slices.apply(&slice("s-1", "IPv4", &[("10.0.0.1", "ready")]), "7");
        let [Event::Apply { changed, removed, .. }] = &events[..] else { panic!("{events:?}") };
        assert_eq!((changed.len(), removed.len()), (2, 0));
        assert_eq!(all(&slices), ["10.0.0.1:80", "10.0.0.2:80"]);
        let events = slices.delete("s-1", "8");
        assert!(
            matches!(&events[..], [Event::Apply { changed, removed, .. }] if changed.is_empty() && removed == &["s-1"])
        );
        assert_eq!(all(&slices), ["10.0.0.2:80"]);
    }

    #[test]
    fn the_best_that_is_said_of_an_endpoint_counts() {
        let mut slices = Slices::new(None, None);
        slices.reset(
            &[
                slice("a", "IPv4", &[("10.0.0.1", "unhealthy"), ("10.0.0.2", "draining")]),
                slice(
                    "b",
                    "IPv4",
                    &[("10.0.0.1", "ready"), ("10.0.0.2", "unhealthy"), ("10.0.0.1", "ready")],
                ),
            ],
            "1",
        );
        assert_eq!(all(&slices), ["10.0.0.2:80;condition=draining", "10.0.0.1:80"]);
    }

    #[test]
    fn families_are_chosen() {
        let both =
            [slice("4", "IPv4", &[("10.0.0.1", "ready")]), slice("6", "IPv6", &[("2001:db8::1", "ready")])];
        let (four, six) = ("10.0.0.1:80", "[2001:db8::1]:80");
        for (family, expected) in [
            (None, &[four][..]),
            (Some(Family::Ipv4), &[four]),
            (Some(Family::Ipv6), &[six]),
            (Some(Family::Both), &[four, six]),
        ] {
            let mut slices = Slices::new(None, family);
            slices.reset(&both, "1");
            assert_eq!(all(&slices), expected, "{family:?}");
        }
        let mut slices = Slices::new(None, None);
        slices.reset(&[slice("4", "IPv4", &[]), both[1].clone()], "1");
        assert_eq!(all(&slices), [six]);
    }

    #[test]
    fn what_cannot_be_used_is_told_first() {
        let mut slices = Slices::new(None, None);
        let events =
            slices.reset(&[slice("names", "FQDN", &[("a.example", "ready"), ("b.example", "ready")])], "1");
        assert!(matches!(&events[..], [Event::Skipped { count: 2, .. }, Event::Reset { .. }]), "{events:?}");
    }

    proptest! {
        /// However slices come and go, what was said adds up to what there is, each endpoint once.
        #[test]
        fn changes_add_up(steps in prop::collection::vec((0_u8..4, prop::collection::vec((0_u8..5, 0_u8..3), 0..4)), 1..20)) {
            let states = ["ready", "draining", "unhealthy"];
            let mut slices = Slices::new(None, None);
            slices.reset(&[], "0");
            let mut heard: BTreeMap<String, Vec<Endpoint>> = BTreeMap::new();
            let mut current: BTreeMap<String, Slice> = BTreeMap::new();
            for (name, endpoints) in steps {
                let name = format!("s{name}");
                let endpoints: Vec<(String, &str)> =
                    endpoints.iter().map(|(ip, state)| (format!("10.0.0.{ip}"), states[usize::from(*state)])).collect();
                let borrowed: Vec<(&str, &str)> = endpoints.iter().map(|(ip, state)| (ip.as_str(), *state)).collect();
                let events = if endpoints.len() == 3 {
                    current.remove(&name);
                    slices.delete(&name, "1")
                } else {
                    let slice = slice(&name, "IPv4", &borrowed);
                    current.insert(name, slice.clone());
                    slices.apply(&slice, "1")
                };
                for event in events {
                    if let Event::Apply { changed, removed, .. } = event {
                        removed.iter().for_each(|key| { heard.remove(key); });
                        heard.extend(changed.into_iter().map(|part| (part.key, part.endpoints)));
                    }
                }
                let now: Vec<Slice> = current.values().cloned().collect();
                prop_assert!(slices.agree_with(&now));
                prop_assert_eq!(&heard, &slices.said);
                let mut addresses: Vec<&Address> = heard.values().flatten().flat_map(|endpoint| &endpoint.addresses).collect();
                let count = addresses.len();
                addresses.sort_unstable();
                addresses.dedup();
                prop_assert_eq!(addresses.len(), count);
            }
        }
    }
}
