//! What evener is measured against: floors, hand-rolled forms, and libraries.

pub mod floor;
pub mod hand;
pub mod pingora;
pub mod tower;
