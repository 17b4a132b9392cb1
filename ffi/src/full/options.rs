//! What a channel is opened with.

use core::ffi::c_char;
use std::net::SocketAddr;
use std::path::PathBuf;

use ::evener_channel::ChannelOptions;
use evener_discovery::pipeline::{PipelineOptions, StalePolicy};

use super::credentials::evener_credentials;
use super::endpoints::{self, Refusal, evener_address_endpoint, evener_named_list, optional};
use super::fields::{flag, given_milliseconds, milliseconds, wrong};
use super::probe::evener_probe;
use crate::boundary::Sized32;
use crate::evener_status::{self, *};

/// What becomes of endpoints that are older than `evener_channel_options.max_stale_ms`.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum evener_stale_policy {
    /// They stay in use, marked as stale: a registry that is down takes no healthy service away.
    EVENER_STALE_KEEP = 0,
    /// Where the registry cannot be asked they are dropped; for networks where an address may soon be somebody else's.
    EVENER_STALE_DROP = 1,
}

/// What a channel is opened with. Zero it, set `struct_size`, then set what you need. Texts and lists are copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_channel_options {
    /// `sizeof(evener_channel_options)`.
    pub struct_size: u32,
    /// Milliseconds after which calls on a removed endpoint are to be cancelled; 0 = 30 s. `EVENER_OFF`: never.
    pub drain_timeout_ms: u32,
    /// Milliseconds from one DNS answer to the next lookup; 0 = what the records' time to live says (5 s to 5 minutes), and 30 s
    /// with the system's resolver.
    pub dns_refresh_ms: u32,
    /// 1: `seed` counts. 0: the channel starts at random.
    pub seeded: u32,
    /// Start of everything random, for tests.
    pub seed: u64,
    /// The application's own value: comes back in each evener_event of this channel.
    pub token: u64,
    /// Milliseconds that the first calls wait for the target's first answer before they fail (and `fallback_target` is used); 0 = 5 s.
    /// `EVENER_OFF`: they wait for ever. Calls that wait for ready go on waiting.
    pub initial_timeout_ms: u32,
    /// Milliseconds that a set which becomes empty stays as it was before the emptiness is believed; 0 = 30 s. `EVENER_OFF`: it is
    /// believed as any other removal. It does not concern the first answer.
    pub empty_hold_ms: u32,
    /// Milliseconds of the epoch by which removals are delayed: an endpoint that the registry no longer names leaves after one to two
    /// of them; 0 = 10 s. `EVENER_OFF`: it leaves at once.
    pub removal_epoch_ms: u32,
    /// Percent of the endpoints that one epoch may take out, 1 to 100; 0 = 50.
    pub max_drop_percent: u32,
    /// Milliseconds that it must be quiet before changes count that come soon after others; 0 = 100. `EVENER_OFF`: none.
    pub debounce_ms: u32,
    /// Milliseconds after which what is known counts as stale though nothing went wrong, and `on_stale` applies; 0 = never.
    pub max_stale_ms: u32,
    /// An evener_stale_policy.
    pub on_stale: u32,
    /// 1: names are looked up by the system's resolver (getaddrinfo) instead of DNS servers. 0: not.
    pub system_dns: u32,
    /// 1: a service config is taken from TXT records at _grpc_config.NAME. 0: not, since whoever can write there can turn this client's
    /// traffic.
    pub service_config_from_dns: u32,
    /// Milliseconds that what `snapshot_dir` keeps may be old to be used at a start; 0 = 7 days. `EVENER_OFF`: however old.
    pub snapshot_max_age_ms: u32,
    /// The service config to start with (JSON, as gRPC's); null for none.
    pub service_config: *const c_char,
    /// Bytes in `service_config`.
    pub service_config_len: usize,
    /// The endpoints, instead of what the target resolves to; null for none.
    pub endpoints: *const evener_address_endpoint,
    /// How many.
    pub endpoints_len: usize,
    /// Lists that `static:///NAME` finds; null for none.
    pub lists: *const evener_named_list,
    /// How many.
    pub lists_len: usize,
    /// Path of a file of such lists, read again when it changes; null for none. Refused together with `lists`.
    pub static_file: *const c_char,
    /// Bytes in `static_file`.
    pub static_file_len: usize,
    /// The authority, where the target's own is not right; null for none.
    pub default_authority: *const c_char,
    /// Bytes in `default_authority`.
    pub default_authority_len: usize,
    /// A target to use while the main one has never answered; null for none. Refused together with `endpoints`.
    pub fallback_target: *const c_char,
    /// Bytes in `fallback_target`.
    pub fallback_target_len: usize,
    /// A key in a registry whose value is the service config, live ("consul:///config/user-service"); null for none. The first calls
    /// wait for it, unless it cannot be asked, for as long as `initial_timeout_ms` says. A value that is wrong is refused with a warning, and
    /// the one before stays.
    pub service_config_source: *const c_char,
    /// Bytes in `service_config_source`.
    pub service_config_source_len: usize,
    /// A directory where the last known endpoints are kept for a start at which the registry is down; null keeps nothing. Of what the
    /// system's resolver says nothing is kept, unless the endpoints are probed.
    pub snapshot_dir: *const c_char,
    /// Bytes in `snapshot_dir`.
    pub snapshot_dir_len: usize,
    /// DNS servers to ask, in this order, with commas between: `10.0.0.2`, `10.0.0.2:53`, `[::1]:53`; null asks the system's.
    pub dns_server: *const c_char,
    /// Bytes in `dns_server`.
    pub dns_server_len: usize,
    /// The client's language, which a service config from DNS may be meant for (`clientLanguage`): `python`, say; null is `c++`, as
    /// gRPC's own C core calls itself.
    pub dns_language: *const c_char,
    /// Bytes in `dns_language`.
    pub dns_language_len: usize,
    /// The zone this client runs in, for policies that prefer their own; null for what the environment says (`EVENER_ZONE`).
    pub zone: *const c_char,
    /// Bytes in `zone`.
    pub zone_len: usize,
    /// The region that zone is in; null for what the environment says (`EVENER_REGION`).
    pub region: *const c_char,
    /// Bytes in `region`.
    pub region_len: usize,
    /// What registries are asked with: the target's, the fallback's and the service config's; null for what the environment says.
    pub credentials: *const evener_credentials,
    /// How the endpoints are probed, where the registry knows nothing of their health; null for not at all. It goes with every
    /// target, and not with `endpoints` and `static_file`, whose conditions are yours to say.
    pub probe: *const evener_probe,
}

/// What gRPC's C core calls itself in every language that wraps it.
const LANGUAGE: &str = "c++";

const SIZE: usize = 72 + 26 * size_of::<usize>();

// SAFETY: repr(C), struct_size first; four u32, two u64, ten u32, then pairs of pointer-sized fields: no padding with 32 or 64 bit
// pointers. Integers and raw pointers take any bit pattern.
unsafe impl Sized32 for evener_channel_options {
    const SIZES: &'static [usize] = &[SIZE];
}

const _: () = assert!(size_of::<evener_channel_options>() == SIZE);

/// The options as the engine takes them.
pub(super) fn parse(given: &evener_channel_options) -> Result<ChannelOptions, Refusal> {
    let texts = texts(given).map_err(|status| (status, "an option is null or not UTF-8".to_owned()))?;
    let defaults = ChannelOptions::default();
    let mut options = ChannelOptions {
        service_config: texts.service_config,
        static_file: texts.static_file.map(PathBuf::from),
        default_authority: texts.default_authority,
        fallback_target: texts.fallback_target,
        service_config_source: texts.service_config_source,
        snapshot_dir: texts.snapshot_dir.map(PathBuf::from),
        snapshot_max_age: milliseconds(given.snapshot_max_age_ms, defaults.snapshot_max_age),
        zone: texts.zone,
        region: texts.region,
        dns_language: texts.dns_language.unwrap_or_else(|| LANGUAGE.to_owned()),
        dns_servers: texts.dns_server.as_deref().map(dns_servers).transpose()?.unwrap_or_default(),
        drain_timeout: milliseconds(given.drain_timeout_ms, defaults.drain_timeout),
        dns_refresh: given_milliseconds(given.dns_refresh_ms),
        initial_timeout: milliseconds(given.initial_timeout_ms, defaults.initial_timeout),
        system_dns: flag("system_dns", given.system_dns)?,
        service_config_from_dns: flag("service_config_from_dns", given.service_config_from_dns)?,
        pipeline: pipeline(given)?,
        seed: flag("seeded", given.seeded)?.then_some(given.seed),
        ..defaults
    };
    let (list, lists) = lists(given).map_err(|status| (status, "a list is null or misaligned".to_owned()))?;
    if !given.endpoints.is_null() {
        options.endpoints = Some(endpoints::parse(list)?);
    }
    if !given.lists.is_null() {
        options.named_lists = Some(endpoints::parse_named(lists)?);
    }
    ask_with(given.credentials, &mut options)?;
    probe_with(given.probe, &mut options)?;
    Ok(options)
}

#[cfg(feature = "registries")]
fn ask_with(credentials: *const evener_credentials, options: &mut ChannelOptions) -> Result<(), Refusal> {
    options.credentials = super::secrets::parse(credentials)?;
    Ok(())
}

#[cfg(feature = "registries")]
fn probe_with(probe: *const evener_probe, options: &mut ChannelOptions) -> Result<(), Refusal> {
    options.probe = super::probing::parse(probe)?;
    Ok(())
}

#[cfg(not(feature = "registries"))]
fn probe_with(probe: *const evener_probe, _: &mut ChannelOptions) -> Result<(), Refusal> {
    if probe.is_null() { Ok(()) } else { Err(wrong("probe: not available in this build")) }
}

#[cfg(not(feature = "registries"))]
fn ask_with(credentials: *const evener_credentials, _: &mut ChannelOptions) -> Result<(), Refusal> {
    if credentials.is_null() { Ok(()) } else { Err(wrong("credentials: this build asks no registries")) }
}

fn pipeline(given: &evener_channel_options) -> Result<PipelineOptions, Refusal> {
    let defaults = PipelineOptions::default();
    let debounce = milliseconds(given.debounce_ms, defaults.debounce);
    let options = PipelineOptions {
        empty_hold: milliseconds(given.empty_hold_ms, defaults.empty_hold),
        removal_epoch: milliseconds(given.removal_epoch_ms, defaults.removal_epoch),
        max_drop_ratio: match given.max_drop_percent {
            0 => defaults.max_drop_ratio,
            percent => u8::try_from(percent).unwrap_or(u8::MAX),
        },
        max_delay: defaults.max_delay.max(debounce),
        debounce,
        max_stale: given_milliseconds(given.max_stale_ms),
        on_stale: match given.on_stale {
            0 => StalePolicy::Keep,
            1 => StalePolicy::Drop,
            number => return Err(wrong(&format!("on_stale: {number} is no evener_stale_policy"))),
        },
    };
    options.check().map_err(|error| (EVENER_BAD_ARGUMENT, error.to_string()))?;
    Ok(options)
}

fn dns_servers(text: &str) -> Result<Vec<SocketAddr>, Refusal> {
    let one = |server: &str| {
        let address = server.parse().or_else(|_| server.parse().map(|ip| SocketAddr::new(ip, 53)));
        address
            .map_err(|_| wrong(&format!("dns_server: `{server}` is no IP address, with or without a port")))
    };
    text.split(',').map(str::trim).map(one).collect()
}

struct Texts {
    service_config: Option<String>,
    static_file: Option<String>,
    default_authority: Option<String>,
    fallback_target: Option<String>,
    service_config_source: Option<String>,
    snapshot_dir: Option<String>,
    dns_server: Option<String>,
    dns_language: Option<String>,
    zone: Option<String>,
    region: Option<String>,
}

fn texts(given: &evener_channel_options) -> Result<Texts, evener_status> {
    Ok(Texts {
        service_config: optional(given.service_config, given.service_config_len)?,
        static_file: optional(given.static_file, given.static_file_len)?,
        default_authority: optional(given.default_authority, given.default_authority_len)?,
        fallback_target: optional(given.fallback_target, given.fallback_target_len)?,
        service_config_source: optional(given.service_config_source, given.service_config_source_len)?,
        snapshot_dir: optional(given.snapshot_dir, given.snapshot_dir_len)?,
        dns_server: optional(given.dns_server, given.dns_server_len)?,
        dns_language: optional(given.dns_language, given.dns_language_len)?,
        zone: optional(given.zone, given.zone_len)?,
        region: optional(given.region, given.region_len)?,
    })
}

type Lists<'a> = (&'a [evener_address_endpoint], &'a [evener_named_list]);

fn lists(given: &evener_channel_options) -> Result<Lists<'_>, evener_status> {
    Ok((slice!(given.endpoints, given.endpoints_len), slice!(given.lists, given.lists_len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a C program hands in that set nothing but the size.
    fn unset() -> Result<evener_channel_options, evener_status> {
        #[repr(C, align(8))]
        struct Memory([u32; SIZE / 4]);
        let mut memory = Memory([0; SIZE / 4]);
        memory.0[0] = SIZE as u32;
        Ok(versioned!((&raw const memory).cast::<evener_channel_options>()))
    }

    #[test]
    fn whoever_says_no_language_is_called_as_grpcs_core_calls_itself() {
        let unset = unset().expect("the size of today");
        assert_eq!(parse(&unset).expect("valid").dns_language, "c++");
        let python = "python";
        let given = evener_channel_options {
            dns_language: python.as_ptr().cast(),
            dns_language_len: python.len(),
            ..unset
        };
        assert_eq!(parse(&given).expect("valid").dns_language, "python");
    }
}
