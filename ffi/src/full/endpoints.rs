//! Lists of endpoints as the application writes them.

use core::ffi::c_char;

use evener_discovery::model::{Address, Endpoint};
use evener_discovery::static_list::NamedLists;

use super::text::text;
use crate::evener_status::{self, *};

/// One endpoint, by its addresses.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_address_endpoint {
    /// `host:port`, `[v6]:port` or `unix:path`; several addresses of the same endpoint with commas between.
    pub addresses: *const c_char,
    /// Bytes in `addresses`.
    pub addresses_len: usize,
    /// Its zone; null for none.
    pub zone: *const c_char,
    /// Bytes in `zone`.
    pub zone_len: usize,
    /// Share of the picks under weighted_round_robin; 0 = no picks under any policy, but it stays connected.
    pub weight: u32,
    /// Zero.
    pub reserved: u32,
}

/// A list of endpoints that `static:///NAME` names.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_named_list {
    /// The name.
    pub name: *const c_char,
    /// Bytes in `name`.
    pub name_len: usize,
    /// The list.
    pub endpoints: *const evener_address_endpoint,
    /// How many.
    pub endpoints_len: usize,
}

/// Why a list was refused: the status, and for people which entry is wrong.
pub(super) type Refusal = (evener_status, String);

/// The endpoints of a list that the caller gave.
pub(super) fn parse(list: &[evener_address_endpoint]) -> Result<Vec<Endpoint>, Refusal> {
    let number = |at: usize, (status, why): Refusal| (status, format!("endpoint {at}: {why}"));
    list.iter().enumerate().map(|(at, one)| parse_one(one).map_err(|refusal| number(at, refusal))).collect()
}

fn parse_one(given: &evener_address_endpoint) -> Result<Endpoint, Refusal> {
    if given.reserved != 0 {
        return Err((EVENER_BAD_ARGUMENT, "reserved is not zero".into()));
    }
    let (addresses, zone) = texts(given).map_err(|status| (status, "a text is null or not UTF-8".into()))?;
    let addresses =
        Address::parse_list(addresses).map_err(|error| (EVENER_BAD_ENDPOINT, error.to_string()))?;
    let zone = zone.map(str::to_owned);
    Ok(Endpoint { weight: given.weight, zone, ..Endpoint::new(addresses) })
}

fn texts(given: &evener_address_endpoint) -> Result<(&str, Option<&str>), evener_status> {
    let addresses = text!(given.addresses, given.addresses_len);
    let zone = text!(given.zone, given.zone_len);
    Ok((addresses, (!given.zone.is_null()).then_some(zone)))
}

/// The named lists that the caller gave.
pub(super) fn parse_named(lists: &[evener_named_list]) -> Result<NamedLists, Refusal> {
    let mut named = NamedLists::new();
    for list in lists {
        let (name, endpoints) =
            members(list).map_err(|status| (status, "a named list is null or not UTF-8".into()))?;
        named.insert(
            name,
            parse(endpoints).map_err(|(status, why)| (status, format!("list `{name}`: {why}")))?,
        );
    }
    Ok(named)
}

fn members(list: &evener_named_list) -> Result<(&str, &[evener_address_endpoint]), evener_status> {
    Ok((text!(list.name, list.name_len), slice!(list.endpoints, list.endpoints_len)))
}
