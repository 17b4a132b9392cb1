use std::sync::Arc;

use crate::model::{Address, Endpoint};

/// What makes two records the same endpoint: the set of its addresses, in no order (gRFC A61). Its own order is the one
/// in which endpoints are published.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Identity(Arc<[Address]>);

impl Identity {
    /// `None` for a record without any address, which nobody can be sent to.
    pub(super) fn of(endpoint: &Endpoint) -> Option<Self> {
        Self::at(&endpoint.addresses)
    }

    /// The same, by the addresses alone.
    pub(super) fn at(addresses: &[Address]) -> Option<Self> {
        match addresses {
            [] => None,
            [address] => Some(Self(Arc::new([canonical(address)]))),
            several => {
                let mut addresses: Vec<Address> = several.iter().map(canonical).collect();
                addresses.sort_unstable();
                addresses.dedup();
                Some(Self(addresses.into()))
            }
        }
    }
}

/// Host names mean the same in any case.
fn canonical(address: &Address) -> Address {
    match address {
        Address::Name { host, port } => Address::Name { host: host.to_ascii_lowercase(), port: *port },
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(text: &str) -> Identity {
        Identity::of(&text.parse().unwrap()).unwrap()
    }

    #[test]
    fn the_set_of_addresses_is_what_counts() {
        let one = identity("10.0.0.1:80|10.0.0.2:80");
        assert_eq!(one, identity("10.0.0.2:80|10.0.0.1:80|10.0.0.2:80;weight=7;zone=a"));
        assert_ne!(one, identity("10.0.0.1:80"));
        assert_ne!(identity("10.0.0.1:80"), identity("10.0.0.1:81"));
        assert_eq!(identity("Host:80"), identity("hOST:80"));
        assert_eq!(Identity::of(&Endpoint::new(Vec::new())), None);
    }

    /// It agrees with the identity that the core keeps connections by.
    #[test]
    fn it_is_the_cores_identity() {
        let texts =
            ["a:1", "A:1", "b:1", "a:1|b:1", "b:1|a:1", "b:1|b:1|a:1", "unix:/a", "[::1]:1", "127.0.0.1:1"];
        let endpoints: Vec<Endpoint> = texts.iter().map(|text| text.parse().unwrap()).collect();
        for one in &endpoints {
            for other in &endpoints {
                let same = Identity::of(one) == Identity::of(other);
                assert_eq!(same, one.id([1, 2]) == other.id([1, 2]), "{one} {other}");
            }
        }
    }
}
