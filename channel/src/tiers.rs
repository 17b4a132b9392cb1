//! Which tier an endpoint is in: its priority, its condition and how near it is, as the one number that the core orders
//! endpoints by. Fixed numbers, not ranks within a list: a list that changes moves nobody else.

use evener_discovery::{Condition, Endpoint};

use crate::config::Locality;

/// Tiers that each priority of a registry is divided into: near to far among the endpoints that are ready, then the
/// same among those that are about to leave.
const TIERS: u32 = 2 * DISTANCES;
/// The own zone, the own region, anywhere.
const DISTANCES: u32 = 3;

/// Priorities from here on are one: more do not fit.
pub(crate) const LAST_PRIORITY: u32 = u32::MAX / TIERS - 1;

/// The tier of an endpoint as seen from `place`; `None` where nearness does not count.
pub(crate) fn tier(endpoint: &Endpoint, place: Option<&Locality>) -> u32 {
    let leaving = endpoint.condition == Condition::Draining;
    let distance = place.map_or(0, |place| distance(endpoint, place));
    endpoint.priority.min(LAST_PRIORITY) * TIERS + u32::from(leaving) * DISTANCES + distance
}

/// 0: the same zone, 1: the same region, 2: somewhere else, or nobody knows. Zones of the same name in two
/// regions are two zones.
fn distance(endpoint: &Endpoint, place: &Locality) -> u32 {
    let zone = place.zone.is_some() && place.zone == endpoint.zone;
    let region = match (&place.region, &endpoint.region) {
        (Some(own), Some(its)) => Some(own == its),
        _ => None,
    };
    match (zone, region) {
        (true, None | Some(true)) => 0,
        (_, Some(true)) => 1,
        _ => 2,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn endpoint(parameters: &str) -> Endpoint {
        format!("127.0.0.1:1{parameters}").parse().expect("an endpoint")
    }

    /// The endpoints with these parameters, each in an earlier tier than the next.
    fn in_order(place: Option<&Locality>, parameters: &[&str]) {
        let tiers: Vec<u32> = parameters.iter().map(|text| tier(&endpoint(text), place)).collect();
        assert!(tiers.is_sorted_by(|a, b| a < b), "{parameters:?}: {tiers:?}");
    }

    #[test]
    fn ready_ones_come_before_those_that_leave_within_each_priority() {
        in_order(
            None,
            &["", ";condition=draining", ";priority=1", ";priority=1;condition=draining", ";priority=2"],
        );
    }

    #[test]
    fn near_ones_come_first_within_each_condition() {
        let place = Locality { zone: Some("eu-1a".into()), region: Some("eu-1".into()) };
        in_order(
            Some(&place),
            &[
                ";zone=eu-1a;region=eu-1",
                ";zone=eu-1b;region=eu-1",
                ";zone=us-1a;region=us-1",
                ";zone=eu-1a;condition=draining",
                ";region=eu-1;condition=draining",
                ";condition=draining",
                ";zone=eu-1a;priority=1",
            ],
        );
        let tier = |text| tier(&endpoint(text), Some(&place));
        assert_eq!(tier(";zone=eu-1a"), 0, "a zone alone");
        assert_eq!(tier(""), 2, "nothing known of it");
        assert_eq!(tier(";zone=eu-1a;region=us-1"), 2, "another region's zone of the same name");
        assert_eq!(tier(";condition=unhealthy;zone=eu-1a"), 0, "its health is not told by the tier");
    }

    #[test]
    fn what_is_not_known_of_the_client_brings_nobody_near() {
        let tier = |text, zone: Option<&str>, region: Option<&str>| {
            let place = Locality { zone: zone.map(str::to_owned), region: region.map(str::to_owned) };
            tier(&endpoint(text), Some(&place))
        };
        assert_eq!(tier("", None, None), 2);
        assert_eq!(tier(";region=r", None, Some("r")), 1);
        assert_eq!(tier(";zone=z;region=r", Some("z"), None), 0);
        assert_eq!(tier(";zone=y;region=r", Some("z"), None), 2);
    }

    #[test]
    fn the_last_priorities_are_one() {
        let tier = |priority| tier(&endpoint(&format!(";priority={priority};condition=draining")), None);
        assert!(tier(LAST_PRIORITY - 1) < tier(LAST_PRIORITY));
        assert_eq!(tier(LAST_PRIORITY), tier(u32::MAX));
    }
}
