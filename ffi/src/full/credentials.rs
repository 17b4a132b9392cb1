//! What a registry is asked with.

use core::ffi::c_char;

use crate::boundary::Sized32;

/// What a registry is asked with. Zero it, set `struct_size`, then set what you need. Texts are copied; a secret's copy is wiped
/// when it is no longer needed. Files are read again when they change, within a minute.
///
/// Without one the registry's usual environment variables count (`CONSUL_HTTP_TOKEN` and the like).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct evener_credentials {
    /// `sizeof(evener_credentials)`.
    pub struct_size: u32,
    /// 1: TLS, also where no file below is given. 0: TLS if the target, the environment or one of these files says so.
    pub tls: u32,
    /// A user's name (etcd; HTTP basic authentication for Consul); null for none.
    pub user: *const c_char,
    /// Bytes in `user`.
    pub user_len: usize,
    /// The user's password; null for none, or where `password_file` has it.
    pub password: *const c_char,
    /// Bytes in `password`.
    pub password_len: usize,
    /// A file that holds the password; white space at its end does not count.
    pub password_file: *const c_char,
    /// Bytes in `password_file`.
    pub password_file_len: usize,
    /// A token (Consul's ACL token, a bearer token for Kubernetes); null for none, or where `token_file` has it.
    pub token: *const c_char,
    /// Bytes in `token`.
    pub token_len: usize,
    /// A file that holds the token.
    pub token_file: *const c_char,
    /// Bytes in `token_file`.
    pub token_file_len: usize,
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
    /// The name to check the server's certificate against, where it is not the host's.
    pub server_name: *const c_char,
    /// Bytes in `server_name`.
    pub server_name_len: usize,
}

const SIZE: usize = 8 + 18 * size_of::<usize>();

// SAFETY: repr(C), struct_size first; two u32, then pairs of pointer-sized fields: no padding with 32 or 64 bit pointers. Integers
// and raw pointers take any bit pattern.
unsafe impl Sized32 for evener_credentials {
    const SIZES: &'static [usize] = &[SIZE];
}

const _: () = assert!(size_of::<evener_credentials>() == SIZE);
