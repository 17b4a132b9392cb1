//! etcd, the real one: what is read, what is written, and what happens when it goes wrong.

mod auth;
mod config;
mod outages;
mod read;
mod registration;
mod support;
mod tls;
