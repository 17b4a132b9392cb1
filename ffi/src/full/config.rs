//! Configuration that lives in a registry: a map of keys to values, now and at every change.

use core::ffi::c_char;
use core::mem::offset_of;
use std::sync::Arc;
use std::time::Duration;

use evener_core::sync::AtomicU32;
use evener_discovery::config_watch::{ConfigMap, ConfigWatch};
use evener_discovery::runtime::WatchOptions;

use super::credentials::evener_credentials;
use super::driver::evener_driver;
use super::endpoints::evener_pair;
use super::object::{self, free};
use super::secrets;
use super::text::{evener_text, explain, text, write_text};
use crate::boundary::{self, Marked};
use crate::evener_status::{self, *};

/// A configuration that is being watched. Any thread may use it. Made by evener_config_watch_open, freed by evener_config_watch_free.
///
/// Used by: evener_config_watch_wait, evener_config_watch_get, evener_config_watch_describe.
pub struct evener_config_watch {
    mark: AtomicU32,
    inner: ConfigWatch,
}

// SAFETY: `object::give` writes the mark when the object is whole, `object::take` zeroes it before it goes.
unsafe impl Marked for evener_config_watch {
    const KIND: u32 = 0x6576_6377;
    const MARK_AT: usize = offset_of!(Self, mark);
}

/// A configuration as of one instant; never changes. Any thread may use it. Made by evener_config_watch_get, freed by
/// evener_config_free; it outlives its watch.
///
/// Used by: evener_config_epoch, evener_config_revision, evener_config_size, evener_config_entry, evener_config_find.
pub struct evener_config {
    mark: AtomicU32,
    map: Arc<ConfigMap>,
}

// SAFETY: as above.
unsafe impl Marked for evener_config {
    const KIND: u32 = 0x6576_636d;
    const MARK_AT: usize = offset_of!(Self, mark);
}

/// Watches a configuration: `consul:///config/user-service/` or `etcd:///config/user-service/` is every key below that prefix, the same
/// without the last slash is that one key. `credentials` (null: what the environment says) and `error` may be null. It is read in the
/// background: this waits for nothing.
///
/// Any thread. The caller frees it with evener_config_watch_free; it ends with its driver. Not from an interrupt or signal handler.
/// Errors, told in words in `*error`: `EVENER_BAD_TARGET`, `EVENER_BAD_ARGUMENT` (credentials); also `EVENER_NULL_POINTER`,
/// `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_SIZE`, `EVENER_BAD_UTF8`, `EVENER_SHUT_DOWN`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_config_watch_open(
    driver: *const evener_driver,
    target: *const c_char,
    target_len: usize,
    credentials: *const evener_credentials,
    watch: *mut *mut evener_config_watch,
    error: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(watch);
        let driver: &evener_driver = live!(driver);
        let target = text!(target, target_len);
        let credentials =
            secrets::parse(credentials).map_err(|(status, why)| explain!(error, status, why))?;
        if driver.inner.is_shut_down() {
            return Err(EVENER_SHUT_DOWN);
        }
        let options = WatchOptions { credentials, ..WatchOptions::default() };
        let opened = driver.inner.runtime().watch_config(target, options, None);
        let inner = opened.map_err(|refused| explain!(error, EVENER_BAD_TARGET, refused.message))?;
        out.write(object::give(Box::new(evener_config_watch { mark: AtomicU32::new(0), inner })));
        Ok(EVENER_OK)
    })
}

/// Frees a watch (null is nothing) and ends it. Configurations that came from it stay.
///
/// Any thread; no call on the watch may be under way. Not from an interrupt or signal handler.
/// Errors: `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_config_watch_free(watch: *mut evener_config_watch) -> evener_status {
    free!(watch)
}

/// Waits until the watch has a configuration whose epoch is above `after` (0: the first one there is), at most `timeout_ms`
/// milliseconds (negative: for ever): `EVENER_OK` or `EVENER_TIMEOUT`. Get it with evener_config_watch_get.
///
/// Any thread; blocks. Not from an interrupt or signal handler.
/// Errors: `EVENER_SHUT_DOWN` (there will be none: the driver is shut down, or the registry refuses the target for good, which
/// evener_config_watch_describe tells), `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_config_watch_wait(
    watch: *const evener_config_watch,
    after: u64,
    timeout_ms: i64,
) -> evener_status {
    boundary::guard(|| {
        let watch: &evener_config_watch = live!(watch);
        let timeout = u64::try_from(timeout_ms).map_or(Duration::MAX, Duration::from_millis);
        if watch.inner.wait(after, timeout).is_some() {
            return Ok(EVENER_OK);
        }
        if watch.inner.has_ended() { Err(EVENER_SHUT_DOWN) } else { Ok(EVENER_TIMEOUT) }
    })
}

/// Gives the latest configuration; `EVENER_NONE` before the first one.
///
/// Any thread. The caller frees it with evener_config_free. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_config_watch_get(
    watch: *const evener_config_watch,
    config: *mut *mut evener_config,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(config);
        let watch: &evener_config_watch = live!(watch);
        let Some(map) = watch.inner.latest() else { return Ok(EVENER_NONE) };
        out.write(object::give(Box::new(evener_config { mark: AtomicU32::new(0), map })));
        Ok(EVENER_OK)
    })
}

/// Writes how the watch is doing, as JSON: `epoch`, `age_seconds`, `revision`, `last_error`, `errors_total`.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_TOO_SMALL` (see evener_text).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_config_watch_describe(
    watch: *const evener_config_watch,
    text: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let watch: &evener_config_watch = live!(watch);
        let status = watch.inner.status().map(|status| status.to_json().to_string());
        write_text!(text, status.as_deref().unwrap_or("{}"))
    })
}

/// Frees a configuration (null is nothing), and with it what its entries point to.
///
/// Any thread; no call on it may be under way. Not from an interrupt or signal handler.
/// Errors: `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_config_free(config: *mut evener_config) -> evener_status {
    free!(config)
}

/// Writes which configuration of its watch this is: 1 for the first one, and one more for each that differs from the one before.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_config_epoch(config: *const evener_config, epoch: *mut u64) -> evener_status {
    boundary::guard(|| {
        let out = out!(epoch);
        let config: &evener_config = live!(config);
        out.write(config.map.epoch);
        Ok(EVENER_OK)
    })
}

/// Writes how the registry counts its changes (etcd's revision, Consul's index), as a text.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_TOO_SMALL` (see evener_text).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_config_revision(
    config: *const evener_config,
    text: *mut evener_text,
) -> evener_status {
    boundary::guard(|| {
        let config: &evener_config = live!(config);
        write_text!(text, &config.map.revision)
    })
}

/// Writes how many keys there are.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_config_size(config: *const evener_config, size: *mut usize) -> evener_status {
    boundary::guard(|| {
        let out = out!(size);
        let config: &evener_config = live!(config);
        out.write(config.map.values.len());
        Ok(EVENER_OK)
    })
}

/// Writes the entry at `index`, from 0, in the order of the keys; `EVENER_NONE` beyond the last one. Its texts are good until
/// evener_config_free. A key is what follows the prefix that is watched, or the last part of the one key.
///
/// Any thread. Takes time in proportion to `index`. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_config_entry(
    config: *const evener_config,
    index: usize,
    entry: *mut evener_pair,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(entry);
        let config: &evener_config = live!(config);
        let Some((key, value)) = config.map.values.iter().nth(index) else { return Ok(EVENER_NONE) };
        out.write(pair(key, value));
        Ok(EVENER_OK)
    })
}

/// Writes the entry of a key; `EVENER_NONE` if there is none. Its texts are good until evener_config_free.
///
/// Any thread. Not from an interrupt or signal handler.
/// Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_UTF8`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evener_config_find(
    config: *const evener_config,
    key: *const c_char,
    key_len: usize,
    entry: *mut evener_pair,
) -> evener_status {
    boundary::guard(|| {
        let out = out!(entry);
        let config: &evener_config = live!(config);
        let key: &str = text!(key, key_len);
        let Some((key, value)) = config.map.values.get_key_value(key) else { return Ok(EVENER_NONE) };
        out.write(pair(key, value));
        Ok(EVENER_OK)
    })
}

fn pair(key: &str, value: &[u8]) -> evener_pair {
    let (key_len, value_len) = (key.len(), value.len());
    evener_pair { key: key.as_ptr().cast(), key_len, value: value.as_ptr().cast(), value_len }
}
