//! The slices of a Service put together: pure.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::event::{Event, Part};
use crate::model::{Address, Condition, Endpoint};
use crate::record::endpoint_slice::{Mapped, Slice};
use crate::target::{Family, KubernetesPort};

/// What is known of a Service's slices, each one a part named by it.
///
/// An endpoint that is in several slices, as it is for a moment while it moves from one to the other, is in the part
/// that says the best of it; of equal ones in the first by name.
///
/// That a slice does not say the port that is wanted is no news of its endpoints: those that are known stay where they
/// are. Where no slice says it there is nothing to say but [that](Self::without_port), and what was said stays.
pub(super) struct Slices {
    wanted: Option<KubernetesPort>,
    family: Option<Family>,
    known: BTreeMap<String, Known>,
    /// `None` until anything was said.
    said: Option<BTreeMap<String, Vec<Endpoint>>>,
}

struct Known {
    is_ipv6: bool,
    endpoints: Vec<Endpoint>,
    lacks_port: Option<String>,
}

impl Slices {
    pub(super) const fn new(wanted: Option<KubernetesPort>, family: Option<Family>) -> Self {
        Self { wanted, family, known: BTreeMap::new(), said: None }
    }

    /// These are all slices there are. What to say of it, and of what could not be used.
    pub(super) fn reset(&mut self, slices: &[Slice], revision: &str) -> Vec<Event> {
        let mut skipped = Skipped::default();
        self.known.clear();
        for slice in slices {
            self.take(slice, &mut skipped);
        }
        skipped.before(self.all(revision))
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
        self.changes(revision).into_iter().collect()
    }

    /// Why nobody can connect to the endpoints that there are: no slice that holds any says at which port.
    pub(super) fn without_port(&self) -> Option<&str> {
        let is_wanted = |known: &&Known| match self.family {
            Some(Family::Ipv4) => !known.is_ipv6,
            Some(Family::Ipv6) => known.is_ipv6,
            Some(Family::Both) | None => true,
        };
        let mut reason = None;
        for known in self.known.values().filter(is_wanted) {
            match &known.lacks_port {
                None if !known.endpoints.is_empty() => return None,
                lacks => reason = lacks.as_deref().or(reason),
            }
        }
        reason
    }

    /// Whether these would say the same.
    pub(super) fn agree_with(&self, slices: &[Slice]) -> bool {
        let mut other = Self::new(self.wanted.clone(), self.family);
        other.said.clone_from(&self.said);
        other.reset(slices, "");
        other.said == self.said && other.without_port() == self.without_port()
    }

    fn take(&mut self, slice: &Slice, skipped: &mut Skipped) {
        let ports = OnceCell::new();
        let known = |ip: IpAddr| ports.get_or_init(|| self.ports()).get(&ip).copied();
        let mapped = slice.endpoints_or_known(self.wanted.as_ref(), known);
        let Mapped { endpoints, skipped: count, example, lacks_port } = mapped;
        skipped.add(count, example);
        let known = Known { is_ipv6: slice.address_type == "IPv6", endpoints, lacks_port };
        self.known.insert(slice.metadata.name.clone(), known);
    }

    /// The ports at which addresses were said to be.
    fn ports(&self) -> BTreeMap<IpAddr, u16> {
        let said = self.said.iter().flat_map(BTreeMap::values).flatten();
        let port = |address: &Address| match address {
            Address::Ip(at) => Some((at.ip(), at.port())),
            _ => None,
        };
        said.flat_map(|endpoint| &endpoint.addresses).filter_map(port).collect()
    }

    /// All there is.
    fn all(&mut self, revision: &str) -> Option<Event> {
        if self.without_port().is_some() {
            return None;
        }
        let now = self.said.insert(self.merged());
        let parts = now.iter().map(part).collect();
        Some(Event::Reset { parts, revision: Some(revision.to_owned()) })
    }

    /// What is different from what was said last.
    fn changes(&mut self, revision: &str) -> Option<Event> {
        if self.without_port().is_some() {
            return None;
        }
        let Some(before) = self.said.take() else { return self.all(revision) };
        let now = self.said.insert(self.merged());
        let changed: Vec<Part> =
            now.iter().filter(|(key, endpoints)| before.get(*key) != Some(*endpoints)).map(part).collect();
        let removed: Vec<String> = before.into_keys().filter(|key| !now.contains_key(key)).collect();
        let revision = Some(revision.to_owned());
        if changed.is_empty() && removed.is_empty() {
            return Some(Event::Confirmed { revision });
        }
        Some(Event::Apply { changed, removed, revision })
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

    fn before(self, event: Option<Event>) -> Vec<Event> {
        let Self { count, example } = self;
        let skipped = (count > 0).then_some(Event::Skipped { count, example });
        skipped.into_iter().chain(event).collect()
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
        slices.said.iter().flat_map(BTreeMap::values).flatten().map(ToString::to_string).collect()
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

    /// A slice whose ports have these names.
    fn at_ports(name: &str, ports: &[(&str, u16)], endpoints: &[(&str, &str)]) -> Slice {
        let ports: Vec<String> =
            ports.iter().map(|(name, port)| format!(r#"{{"name":"{name}","port":{port}}}"#)).collect();
        let text = format!(r#"{{"metadata":{{}},"ports":[{}]}}"#, ports.join(","));
        Slice { ports: decode(&text).unwrap().ports, ..slice(name, "IPv4", endpoints) }
    }

    const AMBIGUOUS: [(&str, u16); 2] = [("web", 80), ("metrics", 90)];

    #[test]
    fn where_no_slice_says_the_port_there_is_nothing_to_say_and_what_was_said_stays() {
        let mut slices = Slices::new(None, None);
        slices.reset(&[at_ports("a", &[("web", 80)], &[("10.0.0.1", "ready")])], "1");
        let events =
            slices.apply(&at_ports("a", &AMBIGUOUS, &[("10.0.0.1", "ready"), ("10.0.0.2", "ready")]), "2");
        assert!(matches!(&events[..], [Event::Skipped { count: 1, .. }]), "{events:?}");
        assert!(
            slices
                .without_port()
                .is_some_and(|reason| reason.contains("slice a: has several ports, web, metrics"))
        );
        assert_eq!(all(&slices), ["10.0.0.1:80"]);
        assert!(slices.agree_with(&[at_ports(
            "a",
            &AMBIGUOUS,
            &[("10.0.0.1", "ready"), ("10.0.0.2", "ready")]
        )]));
        // Made anew under another name, listed again, and still nobody says the port.
        slices.apply(&at_ports("b", &AMBIGUOUS, &[("10.0.0.1", "ready")]), "3");
        assert_eq!(slices.delete("a", "4"), []);
        assert_eq!(slices.reset(&[at_ports("b", &AMBIGUOUS, &[("10.0.0.1", "ready")])], "5"), []);
        assert_eq!(all(&slices), ["10.0.0.1:80"]);
        // A Service without endpoints has none, whatever its ports.
        let events = slices.apply(&at_ports("b", &AMBIGUOUS, &[]), "6");
        assert!(
            matches!(&events[..], [Event::Apply { .. }]) && slices.without_port().is_none(),
            "{events:?}"
        );
        assert_eq!(all(&slices), [""; 0]);
    }

    #[test]
    fn what_is_said_first_is_everything() {
        let mut slices = Slices::new(None, None);
        assert!(matches!(
            &slices.reset(&[at_ports("a", &AMBIGUOUS, &[("10.0.0.1", "ready")])], "1")[..],
            [Event::Skipped { .. }]
        ));
        let events = slices.apply(&at_ports("a", &[("grpc", 80)], &[("10.0.0.1", "ready")]), "2");
        assert!(matches!(&events[..], [Event::Reset { parts, .. }] if parts.len() == 1), "{events:?}");
    }

    #[test]
    fn slices_that_do_not_say_the_port_keep_what_is_known_beside_those_that_do() {
        let mut slices = Slices::new(Some(KubernetesPort::Name("web".to_owned())), None);
        let ips = [("10.0.0.1", "ready"), ("10.0.0.2", "ready")];
        slices.reset(&[at_ports("a", &[("web", 80)], &ips)], "1");
        // The port is renamed pod by pod, and the slices have other names.
        slices
            .apply(&at_ports("b", &[("http", 80)], &[("10.0.0.2", "unhealthy"), ("10.0.0.3", "ready")]), "2");
        slices.apply(&at_ports("a", &[("web", 80)], &ips[..1]), "3");
        assert!(slices.without_port().is_none());
        assert_eq!(all(&slices), ["10.0.0.1:80", "10.0.0.2:80;condition=unhealthy"]);
        // Whatever is no longer there is gone, though.
        slices.apply(&at_ports("b", &[("http", 80)], &[("10.0.0.3", "ready")]), "4");
        assert_eq!(all(&slices), ["10.0.0.1:80"]);
    }

    #[test]
    fn the_other_familys_slices_do_not_speak_for_the_one_that_is_wanted() {
        let six = slice("6", "IPv6", &[("2001:db8::1", "ready")]);
        let four = at_ports("4", &AMBIGUOUS, &[("10.0.0.1", "ready")]);
        for (family, expected) in [(Some(Family::Ipv4), true), (Some(Family::Both), false), (None, false)] {
            let mut slices = Slices::new(None, family);
            slices.reset(&[six.clone(), four.clone()], "1");
            assert_eq!(slices.without_port().is_some(), expected, "{family:?}");
        }
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
                prop_assert_eq!(Some(&heard), slices.said.as_ref());
                let mut addresses: Vec<&Address> = heard.values().flatten().flat_map(|endpoint| &endpoint.addresses).collect();
                let count = addresses.len();
                addresses.sort_unstable();
                addresses.dedup();
                prop_assert_eq!(addresses.len(), count);
            }
        }
    }
}
