//! What an address list is made of, and what makes two entries the same endpoint.

use core::hash::Hasher;
use siphasher::sip128::{Hasher128, SipHasher24};

/// Who an endpoint is: a keyed 128-bit fingerprint of its *unordered set of addresses* (gRFC A61).
///
/// Weight, health and whatever else may change during an endpoint's life are no part of it, so changing them
/// never costs a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct EndpointId {
    /// Low half, high half: as a C struct holds it.
    halves: [u64; 2],
}

impl EndpointId {
    /// The fingerprint of a set of addresses, in any order and with repetitions: each address is hashed
    /// with SipHash-2-4-128 (Aumasson, Bernstein 2012) under `key`, and the hashes are added.
    ///
    /// An address is any byte string that is unique to it (`127.0.0.1:80`). With a secret random key,
    /// no one who can choose addresses can make two endpoints collide. Takes time quadratic in the
    /// number of addresses, which is meant to be a handful.
    pub fn of_addresses(key: [u64; 2], addresses: &[&[u8]]) -> Self {
        let mut sum = 0_u128;
        for (i, address) in addresses.iter().enumerate() {
            if addresses.iter().take(i).any(|earlier| earlier == address) {
                continue;
            }
            let mut hasher = SipHasher24::new_with_keys(key[0], key[1]);
            hasher.write(address);
            sum = sum.wrapping_add(hasher.finish128().as_u128());
        }
        Self::from_raw(sum)
    }

    /// An identity the host computed itself: equal numbers, same endpoint.
    pub const fn from_raw(raw: u128) -> Self {
        Self { halves: [raw as u64, (raw >> 64) as u64] }
    }

    /// The number behind the identity.
    pub const fn raw(self) -> u128 {
        self.halves[0] as u128 | (self.halves[1] as u128) << 64
    }

    /// 32 bits that differ for most identities, also for those a host numbers 1, 2, 3.
    pub(crate) const fn hash32(self) -> u32 {
        let folded = self.halves[0] ^ self.halves[1].rotate_left(32);
        (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
    }
}

impl core::fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "EndpointId({:#x})", self.raw())
    }
}

/// One entry of an address list, as given to [`Controller::update`](crate::Controller::update).
///
/// The layout is C's (32 bytes), so that a C program's list is read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Endpoint {
    /// Who it is.
    pub id: EndpointId,
    /// The host's own value: an index, or a pointer that is freed on
    /// [`Action::Close`](crate::Action::Close). Pinned by the update that adds the endpoint; later updates
    /// do not change it.
    pub user: u64,
    /// Its share under `weighted_round_robin`, relative to the others'. 0 = drain: no picks under any
    /// policy, the connection stays. Where all endpoints of a set have weight 0, all count as 1.
    pub weight: u32,
    /// Its tier, 0 being the first: calls go to the first tier that has an endpoint which can take them. See
    /// [`Options::failover_timeout`](crate::Options::failover_timeout) for when a later tier is connected. Under `pick_first`
    /// it only orders the list.
    pub priority: u32,
}

impl Endpoint {
    /// An endpoint of weight 1 in the first tier whose `user` is 0.
    pub const fn new(id: EndpointId) -> Self {
        Self { id, user: 0, weight: 1, priority: 0 }
    }

    /// The same endpoint with the host's own value.
    pub const fn with_user(mut self, user: u64) -> Self {
        self.user = user;
        self
    }

    /// The same endpoint with a weight.
    pub const fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// The same endpoint in a tier.
    pub const fn with_priority(mut self, priority: u32) -> Self {
        self.priority = priority;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u64; 2] = [0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908];

    #[test]
    fn identity_is_the_unordered_set_of_addresses() {
        let id = |addresses: &[&[u8]]| EndpointId::of_addresses(KEY, addresses);
        assert_eq!(id(&[b"a:1", b"b:2"]), id(&[b"b:2", b"a:1"]));
        assert_eq!(id(&[b"a:1", b"a:1"]), id(&[b"a:1"]));
        assert_ne!(id(&[b"a:1"]), id(&[b"a:1", b"b:2"]));
        assert_ne!(id(&[b"a:1", b"b:2"]), id(&[b"a:1b", b":2"]));
        assert_ne!(id(&[b"a:1"]), EndpointId::of_addresses([1, 2], &[b"a:1"]));
    }

    #[test]
    fn hash_is_the_published_siphash() {
        // SipHash-2-4-128 of the empty string under the key 00..0f: the first of the authors' test vectors.
        let expected =
            [0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93];
        assert_eq!(EndpointId::of_addresses(KEY, &[b""]).raw().to_le_bytes(), expected);
    }

    #[test]
    fn raw_round_trips() {
        let raw = 0x0123_4567_89ab_cdef_0011_2233_4455_6677_u128;
        assert_eq!(EndpointId::from_raw(raw).raw(), raw);
    }
}
