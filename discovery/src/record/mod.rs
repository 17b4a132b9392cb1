//! How registries write servers down: decoders of what comes from outside, pure functions of bytes.

pub mod consul;
pub mod endpoint_slice;
pub mod etcd;
pub mod srv;
pub mod txt;
