//! What a channel is opened with.

use core::ffi::c_char;
use std::path::PathBuf;
use std::time::Duration;

use ::evener_channel::ChannelOptions;

use super::endpoints::{self, Refusal, evener_address_endpoint, evener_named_list};
use super::text::text;
use crate::boundary::Sized32;
use crate::evener_status::{self, *};

/// What a channel is opened with. Zero it, set `struct_size`, then set what you need. Texts and lists are copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_channel_options {
    /// `sizeof(evener_channel_options)`.
    pub struct_size: u32,
    /// Milliseconds after which calls on a removed endpoint are to be cancelled; 0 = 30 s.
    pub drain_timeout_ms: u32,
    /// Milliseconds between two looks at the system's resolver; 0 = 30 s.
    pub dns_refresh_ms: u32,
    /// 1: `seed` counts. 0: the channel starts at random.
    pub seeded: u32,
    /// Start of everything random, for tests.
    pub seed: u64,
    /// The application's own value: comes back in each evener_event of this channel.
    pub token: u64,
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
    /// Path of a file of such lists, read again when it changes; null for none.
    pub static_file: *const c_char,
    /// Bytes in `static_file`.
    pub static_file_len: usize,
    /// The authority, where the target's own is not right; null for none.
    pub default_authority: *const c_char,
    /// Bytes in `default_authority`.
    pub default_authority_len: usize,
}

// SAFETY: repr(C), struct_size first; four u32, two u64, then pairs of pointer-sized fields: no padding with 32 or 64 bit
// pointers. Integers and raw pointers take any bit pattern.
unsafe impl Sized32 for evener_channel_options {
    const SIZES: &'static [usize] = &[32 + 10 * size_of::<usize>()];
}

const _: () = assert!(size_of::<evener_channel_options>() == 32 + 10 * size_of::<usize>());

/// The options as the engine takes them.
pub(super) fn parse(given: &evener_channel_options) -> Result<ChannelOptions, Refusal> {
    let texts = texts(given).map_err(|status| (status, "an option is null or not UTF-8".to_owned()))?;
    let mut options = ChannelOptions {
        service_config: texts.service_config,
        static_file: texts.static_file.map(PathBuf::from),
        default_authority: texts.default_authority,
        ..ChannelOptions::default()
    };
    match given.seeded {
        0 => {}
        1 => options.seed = Some(given.seed),
        _ => return Err((EVENER_BAD_ARGUMENT, "seeded is neither 0 nor 1".to_owned())),
    }
    if given.drain_timeout_ms != 0 {
        options.drain_timeout = Duration::from_millis(given.drain_timeout_ms.into());
    }
    if given.dns_refresh_ms != 0 {
        options.dns_refresh = Some(Duration::from_millis(given.dns_refresh_ms.into()));
    }
    let (list, lists) = lists(given).map_err(|status| (status, "a list is null or misaligned".to_owned()))?;
    if !given.endpoints.is_null() {
        options.endpoints = Some(endpoints::parse(list)?);
    }
    if !given.lists.is_null() {
        options.named_lists = Some(endpoints::parse_named(lists)?);
    }
    Ok(options)
}

struct Texts {
    service_config: Option<String>,
    static_file: Option<String>,
    default_authority: Option<String>,
}

fn texts(given: &evener_channel_options) -> Result<Texts, evener_status> {
    let owned = |data: *const c_char, text: &str| (!data.is_null()).then(|| text.to_owned());
    Ok(Texts {
        service_config: owned(given.service_config, text!(given.service_config, given.service_config_len)),
        static_file: owned(given.static_file, text!(given.static_file, given.static_file_len)),
        default_authority: owned(
            given.default_authority,
            text!(given.default_authority, given.default_authority_len),
        ),
    })
}

type Lists<'a> = (&'a [evener_address_endpoint], &'a [evener_named_list]);

fn lists(given: &evener_channel_options) -> Result<Lists<'_>, evener_status> {
    Ok((slice!(given.endpoints, given.endpoints_len), slice!(given.lists, given.lists_len)))
}
