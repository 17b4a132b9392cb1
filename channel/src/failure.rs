//! Why calls fail, in a text for whoever made them.

use evener_core::{FailReason, Health};

use crate::source::Source;
use crate::subchannels::{Phase, Subchannel, Subchannels, clip};

/// The longest text, in bytes.
const MAX: usize = 1_024;

/// The text of a failed call. `None` stands for a target that was never resolved.
pub(crate) fn text(
    target: &str,
    reason: Option<FailReason>,
    source: &Source,
    endpoints: &Subchannels,
) -> String {
    let text = match reason {
        Some(FailReason::AllFailing) => all_failing(endpoints),
        Some(FailReason::NotServing) => not_serving(endpoints),
        Some(_) => format!("no endpoints: the list of {target} is empty"),
        None => format!("name resolution failed for {target}"),
    };
    let between = if reason == Some(FailReason::AllFailing) { "; " } else { ": " };
    let lookup = source.error().map(|error| format!("{between}{error}"));
    clip(&(text + &lookup.unwrap_or_default()), MAX)
}

/// The text for whoever waited for a connection in vain. `is_known` tells whether the target has ever been resolved.
pub(crate) fn not_ready(target: &str, is_known: bool, source: &Source, endpoints: &Subchannels) -> String {
    let live = || endpoints.open().map(|(_, record)| record).filter(|record| record.phase == Phase::Live);
    let text = if !is_known && source.error().is_some() {
        format!("name resolution failed for {target}")
    } else if !is_known {
        format!("{target} has not been resolved yet")
    } else if live().next().is_none() {
        format!("no endpoints: the list of {target} is empty")
    } else if live().all(|record| record.serves() == Health::NotServing) {
        not_serving(endpoints)
    } else {
        join(&format!("no connection for {target} yet"), live().map(|record| move || waits_for(record)))
    };
    let lookup = source.error().map(|error| format!("; {error}"));
    clip(&(text + &lookup.unwrap_or_default()), MAX)
}

fn waits_for(record: &Subchannel) -> String {
    let reason = match record.last_error.as_str() {
        "" => "no answer yet",
        reason => reason,
    };
    format!("{}: {reason}", record.addresses())
}

fn all_failing(endpoints: &Subchannels) -> String {
    let live = endpoints.open().filter(|(_, record)| record.phase == Phase::Live);
    let failing = live.map(|(_, record)| {
        move || {
            let reason = Some(&record.last_error).filter(|error| !error.is_empty());
            format!("{}: {}", record.addresses(), reason.map_or("no reason given", String::as_str))
        }
    });
    join("failed to connect to all addresses", failing)
}

fn not_serving(endpoints: &Subchannels) -> String {
    let serves_not =
        |record: &Subchannel| record.phase == Phase::Live && record.serves() == Health::NotServing;
    let idle = endpoints.open().filter(|(_, record)| serves_not(record));
    join("all connected endpoints report NOT_SERVING", idle.map(|(_, record)| || record.addresses()))
}

/// `head; item; item; and 5 more`, not much longer than a failure may be.
///
/// The first item that does not fit ends the list: of thousands no more are written out than are shown.
fn join(head: &str, items: impl Iterator<Item = impl FnOnce() -> String>) -> String {
    let mut text = head.to_owned();
    let (mut left, mut full) = (0, false);
    for item in items {
        let item = if full { String::new() } else { clip(&item(), MAX / 2) };
        full |= text.len() + item.len() > MAX - 100;
        if full {
            left += 1;
            continue;
        }
        text.push_str("; ");
        text.push_str(&item);
    }
    if left > 0 {
        text.push_str(&format!("; and {left} more"));
    }
    text
}
