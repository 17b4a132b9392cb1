//! How endpoints are probed.

use core::ffi::c_char;

use crate::boundary::Sized32;

/// How a channel's endpoints are probed. Zero it, set `struct_size` and `kind`, then set what you need. Texts are copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_probe {
    /// `sizeof(evener_probe)`.
    pub struct_size: u32,
    /// Milliseconds from the end of one check of an endpoint to the next one; 0 = 10 s, at least 10.
    pub interval_ms: u32,
    /// Percent by which the interval varies to both sides, at most 100; 0 = 10. `EVENER_OFF`: none.
    pub jitter_percent: u32,
    /// The longest a check may take, milliseconds; 0 = 3 s.
    pub timeout_ms: u32,
    /// Checks in a row that must succeed before an unhealthy endpoint is healthy; 0 = 2.
    pub rise: u32,
    /// Checks in a row that must fail before a healthy endpoint is unhealthy; 0 = 3. One that was never checked is healthy.
    pub fall: u32,
    /// Checks that may run at the same time, over all endpoints; 0 = 64.
    pub concurrency: u32,
    /// 1: where no endpoint passes, all that fail are out. 0: none is, since a wrong check must not stop a service.
    pub fail_closed: u32,
    /// 1: TLS for HTTP and gRPC, also where no file below is given. 0: TLS if one is.
    pub tls: u32,
    /// Zero.
    pub reserved: u32,
    /// What a check does: `tcp` connects; `http:/path` or `http::8081/path` gets 200 to 299; `grpc` or `grpc:service` asks
    /// grpc.health.v1's Check; `grpc-watch` or `grpc-watch:service` is told by its Watch, which counts at once.
    pub kind: *const c_char,
    /// Bytes in `kind`.
    pub kind_len: usize,
    /// A file of certificates to trust (PEM); null trusts the system's.
    pub ca_file: *const c_char,
    /// Bytes in `ca_file`.
    pub ca_file_len: usize,
    /// A file with the client's certificate chain (PEM); needs `key_file`.
    pub cert_file: *const c_char,
    /// Bytes in `cert_file`.
    pub cert_file_len: usize,
    /// A file with the key of `cert_file` (PEM).
    pub key_file: *const c_char,
    /// Bytes in `key_file`.
    pub key_file_len: usize,
    /// The name to check certificates against, where it is not the endpoint's address.
    pub server_name: *const c_char,
    /// Bytes in `server_name`.
    pub server_name_len: usize,
}

const SIZE: usize = 40 + 10 * size_of::<usize>();

// SAFETY: repr(C), struct_size first; ten u32, then pairs of pointer-sized fields: no padding with 32 or 64 bit pointers. Integers
// and raw pointers take any bit pattern.
unsafe impl Sized32 for evener_probe {
    const SIZES: &'static [usize] = &[SIZE];
}

const _: () = assert!(size_of::<evener_probe>() == SIZE);
