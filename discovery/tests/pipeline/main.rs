//! The pipeline from what sources say to what channels use, in virtual time: nothing here sleeps or looks at a clock but
//! for one instant to count from.

mod growth;
mod outages;
mod properties;
mod reconnect;
mod rollout;
mod snapshots;
mod stabilizer;
mod verdicts;
mod windows;
mod world;
