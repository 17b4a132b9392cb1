//! Lists of endpoints as the application writes them.

use core::ffi::c_char;
use std::collections::BTreeMap;

use evener_discovery::model::{Address, Condition, Endpoint};
use evener_discovery::static_list::NamedLists;

use super::text::text;
use crate::evener_status::{self, *};

/// A key and its value.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_pair {
    /// The key, UTF-8.
    pub key: *const c_char,
    /// Bytes in `key`.
    pub key_len: usize,
    /// The value: UTF-8, but for the values of an evener_config, which are whatever bytes the registry holds.
    pub value: *const c_char,
    /// Bytes in `value`.
    pub value_len: usize,
}

/// What whoever registered or checks a server says of it (`evener_address_endpoint.condition`).
#[repr(u32)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum evener_condition {
    /// It takes calls.
    EVENER_CONDITION_READY = 0,
    /// It still serves but is about to leave: calls go there only where nothing else of its tier can take them.
    EVENER_CONDITION_DRAINING = 1,
    /// A check of it fails: no calls, whatever its connection says.
    EVENER_CONDITION_UNHEALTHY = 2,
}

/// One endpoint, by its addresses. Zero it, then set what you need.
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
    /// The region that zone is in; null for none.
    pub region: *const c_char,
    /// Bytes in `region`.
    pub region_len: usize,
    /// Whatever else is known of it, each key once; null for nothing. Not interpreted.
    pub metadata: *const evener_pair,
    /// How many.
    pub metadata_len: usize,
    /// Share of the picks under weighted_round_robin; 0 = no picks under any policy, but it stays connected.
    pub weight: u32,
    /// Its tier: 0 is used first, the next one only where no endpoint of the tiers before it can take calls.
    pub priority: u32,
    /// An evener_condition.
    pub condition: u32,
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

/// Why something that the caller gave was refused: the status, and for people what is wrong with it.
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
    let texts = texts(given).map_err(|status| (status, "a text is null or not UTF-8".to_owned()))?;
    let addresses =
        Address::parse_list(texts.addresses).map_err(|error| (EVENER_BAD_ENDPOINT, error.to_string()))?;
    Ok(Endpoint {
        weight: given.weight,
        priority: given.priority,
        zone: texts.zone,
        region: texts.region,
        condition: condition_of(given.condition)?,
        metadata: texts.metadata,
        ..Endpoint::new(addresses)
    })
}

fn condition_of(number: u32) -> Result<Condition, Refusal> {
    match number {
        0 => Ok(Condition::Ready),
        1 => Ok(Condition::Draining),
        2 => Ok(Condition::Unhealthy),
        _ => Err((EVENER_BAD_ARGUMENT, format!("{number} is no evener_condition"))),
    }
}

struct Texts<'a> {
    addresses: &'a str,
    zone: Option<String>,
    region: Option<String>,
    metadata: BTreeMap<String, String>,
}

fn texts(given: &evener_address_endpoint) -> Result<Texts<'_>, evener_status> {
    Ok(Texts {
        addresses: text!(given.addresses, given.addresses_len),
        zone: optional(given.zone, given.zone_len)?,
        region: optional(given.region, given.region_len)?,
        metadata: pairs(slice!(given.metadata, given.metadata_len))?,
    })
}

/// A text of the caller's that may be null.
pub(super) fn optional(data: *const c_char, length: usize) -> Result<Option<String>, evener_status> {
    let text: &str = text!(data, length);
    Ok((!data.is_null()).then(|| text.to_owned()))
}

/// Keys and values that the caller gave, both texts.
pub(super) fn pairs(given: &[evener_pair]) -> Result<BTreeMap<String, String>, evener_status> {
    let pair = |pair: &evener_pair| {
        let (key, value): (&str, &str) = (text!(pair.key, pair.key_len), text!(pair.value, pair.value_len));
        Ok((key.to_owned(), value.to_owned()))
    };
    given.iter().map(pair).collect()
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
