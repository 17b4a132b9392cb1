//! What a server says of itself when it registers.

use core::ffi::c_char;
use std::collections::BTreeMap;
use std::time::Duration;

use evener_discovery::registration::{Check, CheckKind, ServiceDefinition, from_consul};

use super::endpoints::{Refusal, evener_pair, optional, pairs};
use super::fields::{EVENER_OFF, flag, given_milliseconds, milliseconds};
use super::text::text;
use crate::boundary::Sized32;
use crate::evener_status::{self, *};

/// A text of a list.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_word {
    /// The text, UTF-8.
    pub text: *const c_char,
    /// Bytes in `text`.
    pub text_len: usize,
}

/// How a registry checks a server (`evener_check.kind`).
#[repr(u32)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum evener_check_kind {
    /// The registration gives signs of life itself, each within `interval_ms` of the one before.
    EVENER_CHECK_TTL = 1,
    /// An HTTP request to the URL in `target` that is answered with 2xx.
    EVENER_CHECK_HTTP = 2,
    /// A TCP connection to `target`, HOST:PORT.
    EVENER_CHECK_TCP = 3,
    /// gRPC's health service at `target`, HOST:PORT or HOST:PORT/SERVICE.
    EVENER_CHECK_GRPC = 4,
    /// A program on the registry's agent, `target`, with `arguments`. Exit code 0 passes, 1 warns.
    EVENER_CHECK_SCRIPT = 5,
}

/// A check that the registry is to make of a server (Consul). Zero it, then set what you need.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_check {
    /// An evener_check_kind.
    pub kind: u32,
    /// Milliseconds from one run to the next; 0 = 10 s.
    pub interval_ms: u32,
    /// Milliseconds that one run may take; 0 = the registry's default.
    pub timeout_ms: u32,
    /// Milliseconds in the critical state after which the registry forgets the server; 0 = a default, never none.
    pub deregister_after_ms: u32,
    /// What is checked; see evener_check_kind.
    pub target: *const c_char,
    /// Bytes in `target`.
    pub target_len: usize,
    /// What the check is called; null lets the registry choose.
    pub name: *const c_char,
    /// Bytes in `name`.
    pub name_len: usize,
    /// A script's arguments; null for none.
    pub arguments: *const evener_word,
    /// How many.
    pub arguments_len: usize,
    /// 1: gRPC over TLS. Else 0.
    pub tls: u32,
    /// Zero.
    pub reserved: u32,
}

/// One server of a service: what is written into a registry. Zero it, set `struct_size`, then either `name` and `port` and what else
/// you need, or `json` and nothing else. Texts and lists are copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_service {
    /// `sizeof(evener_service)`.
    pub struct_size: u32,
    /// The port that clients dial, 1 to 65535.
    pub port: u32,
    /// Its share of the calls relative to the others'; 0 = 1. `EVENER_OFF`: none.
    pub weight: u32,
    /// Its share while a check of it warns (Consul); 0 = the registry's default. `EVENER_OFF`: none.
    pub warning_weight: u32,
    /// Its tier: 0 is used first.
    pub priority: u32,
    /// Milliseconds without a sign of life after which the registry drops it; 0 = 30 s. At least 1000.
    pub ttl_ms: u32,
    /// A Consul service definition, `{"service": {...}}`, unchanged: of one service. Null for none.
    pub json: *const c_char,
    /// Bytes in `json`.
    pub json_len: usize,
    /// The service's name, under which clients look for it.
    pub name: *const c_char,
    /// Bytes in `name`.
    pub name_len: usize,
    /// What tells this server from the service's others; null makes one of name, host and port.
    pub id: *const c_char,
    /// Bytes in `id`.
    pub id_len: usize,
    /// The host name or IP address that clients dial, without a port; null takes what the environment says
    /// (`EVENER_ADVERTISE_ADDRESS`), or else this machine's address on the way to the registry.
    pub host: *const c_char,
    /// Bytes in `host`.
    pub host_len: usize,
    /// The zone it runs in; null for none.
    pub zone: *const c_char,
    /// Bytes in `zone`.
    pub zone_len: usize,
    /// The region that zone is in; null for none.
    pub region: *const c_char,
    /// Bytes in `region`.
    pub region_len: usize,
    /// Consul's tags; null for none.
    pub tags: *const evener_word,
    /// How many.
    pub tags_len: usize,
    /// Whatever else clients may want to know, each key once; null for nothing.
    pub metadata: *const evener_pair,
    /// How many.
    pub metadata_len: usize,
    /// Checks that the registry is to make (Consul); null for none.
    pub checks: *const evener_check,
    /// How many.
    pub checks_len: usize,
}

const SIZE: usize = 24 + 18 * size_of::<usize>();

// SAFETY: repr(C), struct_size first; six u32, then pairs of pointer-sized fields: no padding with 32 or 64 bit pointers. Integers and
// raw pointers take any bit pattern.
unsafe impl Sized32 for evener_service {
    const SIZES: &'static [usize] = &[SIZE];
}

const _: () = assert!(size_of::<evener_service>() == SIZE);

/// A definition, and what of it has no effect.
pub(super) struct Defined {
    pub(super) definition: ServiceDefinition,
    pub(super) warnings: Vec<String>,
}

pub(super) fn parse(given: &evener_service) -> Result<Defined, Refusal> {
    if !given.json.is_null() {
        return parse_json(given);
    }
    let texts = texts(given).map_err(|status| (status, "service: a text is null or not UTF-8".to_owned()))?;
    let port = u16::try_from(given.port).map_err(|_| wrong("port: is above 65535"))?;
    let mut definition = ServiceDefinition {
        id: texts.id,
        host: texts.host,
        tags: texts.tags,
        metadata: texts.metadata,
        warning_weight: (given.warning_weight != 0).then(|| share(given.warning_weight)),
        priority: given.priority,
        zone: texts.zone,
        region: texts.region,
        ..ServiceDefinition::new(texts.name, port)
    };
    definition.weight = share(given.weight);
    definition.ttl = milliseconds(given.ttl_ms, definition.ttl);
    definition.checks = checks(given)?;
    Ok(Defined { definition, warnings: Vec::new() })
}

fn wrong(why: &str) -> Refusal {
    (EVENER_BAD_ARGUMENT, format!("service: {why}"))
}

/// A weight of which 0 is the default, 1, and `EVENER_OFF` none.
const fn share(given: u32) -> u32 {
    match given {
        0 => 1,
        EVENER_OFF => 0,
        given => given,
    }
}

fn parse_json(given: &evener_service) -> Result<Defined, Refusal> {
    if !given.name.is_null() || given.port != 0 {
        return Err(wrong("both json and name or port are given"));
    }
    let json =
        optional(given.json, given.json_len).map_err(|status| (status, "json: is not UTF-8".to_owned()))?;
    let (services, warnings) =
        from_consul(&json.unwrap_or_default()).map_err(|why| wrong(&format!("json: {why}")))?;
    let [definition] = <[ServiceDefinition; 1]>::try_from(services).map_err(|services| {
        wrong(&format!(
            "json: defines {} services; register each with a definition of its own",
            services.len()
        ))
    })?;
    Ok(Defined { definition, warnings })
}

struct Texts {
    name: String,
    id: Option<String>,
    host: Option<String>,
    zone: Option<String>,
    region: Option<String>,
    tags: Vec<String>,
    metadata: BTreeMap<String, String>,
}

fn texts(given: &evener_service) -> Result<Texts, evener_status> {
    let name: &str = text!(given.name, given.name_len);
    Ok(Texts {
        name: name.to_owned(),
        id: optional(given.id, given.id_len)?,
        host: optional(given.host, given.host_len)?,
        zone: optional(given.zone, given.zone_len)?,
        region: optional(given.region, given.region_len)?,
        tags: words(slice!(given.tags, given.tags_len))?,
        metadata: pairs(slice!(given.metadata, given.metadata_len))?,
    })
}

fn words(given: &[evener_word]) -> Result<Vec<String>, evener_status> {
    let word = |word: &evener_word| {
        let text: &str = text!(word.text, word.text_len);
        Ok(text.to_owned())
    };
    given.iter().map(word).collect()
}

fn checks(given: &evener_service) -> Result<Vec<Check>, Refusal> {
    let list =
        check_list(given).map_err(|status| (status, "service: checks are null or misaligned".to_owned()))?;
    let number = |at: usize, (status, why): Refusal| (status, format!("check {at}: {why}"));
    list.iter().enumerate().map(|(at, one)| check(one).map_err(|refusal| number(at, refusal))).collect()
}

fn check_list(given: &evener_service) -> Result<&[evener_check], evener_status> {
    Ok(slice!(given.checks, given.checks_len))
}

fn check(given: &evener_check) -> Result<Check, Refusal> {
    if given.reserved != 0 {
        return Err(wrong("reserved is not zero"));
    }
    let texts = check_texts(given).map_err(|status| (status, "a text is null or not UTF-8".to_owned()))?;
    let interval = milliseconds(given.interval_ms, Duration::from_secs(10));
    let target = texts.target;
    let kind = match given.kind {
        1 => CheckKind::Ttl(interval),
        2 => CheckKind::Http { url: target, method: None, header: BTreeMap::new(), body: None },
        3 => CheckKind::Tcp(target),
        4 => CheckKind::Grpc { target, tls: flag("tls", given.tls)? },
        5 => CheckKind::Script([vec![target], texts.arguments].concat()),
        number => return Err(wrong(&format!("{number} is no evener_check_kind"))),
    };
    Ok(Check {
        name: texts.name,
        interval,
        timeout: given_milliseconds(given.timeout_ms),
        deregister_after: given_milliseconds(given.deregister_after_ms),
        ..Check::new(kind)
    })
}

struct CheckTexts {
    target: String,
    name: Option<String>,
    arguments: Vec<String>,
}

fn check_texts(given: &evener_check) -> Result<CheckTexts, evener_status> {
    let target: &str = text!(given.target, given.target_len);
    Ok(CheckTexts {
        target: target.to_owned(),
        name: optional(given.name, given.name_len)?,
        arguments: words(slice!(given.arguments, given.arguments_len))?,
    })
}
