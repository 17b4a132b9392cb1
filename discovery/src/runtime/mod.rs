//! The background thread that all watches share.
