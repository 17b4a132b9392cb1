//! channel

pub mod config;
