//! Durations as proto3's JSON writes them: seconds with at most nine decimals and an `s`.

use std::time::Duration;

use evener_discovery::json::{JsonError, Node};

/// Ten thousand years, the most that protobuf's Duration holds.
const SECONDS_MAX: u64 = 315_576_000_000;

/// Reads a duration that is not negative.
///
/// `None` for anything but `DIGITS[.DIGITS]s` with one to nine decimals, at most 315 576 000 000
/// whole seconds; the format's negative durations are refused too: nothing in a service config may be one.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.strip_suffix('s')?;
    // A minus is part of the format; before nothing but zeros it changes nothing.
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let (seconds, decimals) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let seconds = digits(seconds)?;
    let nanoseconds = decimals.map_or(Some(0), nanoseconds)?;
    let duration = Duration::new(seconds, nanoseconds);
    (seconds <= SECONDS_MAX && !(negative && duration > Duration::ZERO)).then_some(duration)
}

/// Writes a duration in the shortest of the forms that protobuf writes: 0, 3, 6 or 9 decimals.
///
/// ```
/// use evener_channel::config::duration;
/// use std::time::Duration;
///
/// assert_eq!(duration::format(Duration::from_millis(1500)), "1.500s");
/// assert_eq!(duration::parse("1.5s"), Some(Duration::from_millis(1500)));
/// ```
pub fn format(duration: Duration) -> String {
    let (seconds, nanoseconds) = (duration.as_secs(), duration.subsec_nanos());
    match nanoseconds {
        0 => format!("{seconds}s"),
        n if n % 1_000_000 == 0 => format!("{seconds}.{:03}s", n / 1_000_000),
        n if n % 1_000 == 0 => format!("{seconds}.{:06}s", n / 1_000),
        n => format!("{seconds}.{n:09}s"),
    }
}

/// The duration a node is.
pub(super) fn of(node: &Node<'_>) -> Result<Duration, JsonError> {
    let reason = "must be a duration such as \"1.5s\", not negative, with at most nine decimals";
    node.string().ok().and_then(parse).ok_or_else(|| node.error(reason))
}

/// The duration a node is, which must be more than zero.
pub(super) fn positive(node: &Node<'_>) -> Result<Duration, JsonError> {
    let duration = of(node)?;
    if duration.is_zero() {
        return Err(node.error("must be more than 0s"));
    }
    Ok(duration)
}

fn digits(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn nanoseconds(decimals: &str) -> Option<u32> {
    let value = u32::try_from(digits(decimals)?).ok()?;
    let missing = 9_u32.checked_sub(u32::try_from(decimals.len()).ok()?)?;
    value.checked_mul(10_u32.pow(missing))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_protos_form_only() {
        for (text, expected) in [
            ("0s", Some(Duration::ZERO)),
            ("-0s", Some(Duration::ZERO)),
            ("1s", Some(Duration::from_secs(1))),
            ("007s", Some(Duration::from_secs(7))),
            ("1.5s", Some(Duration::from_millis(1500))),
            ("0.000000001s", Some(Duration::from_nanos(1))),
            ("0.999999999s", Some(Duration::from_nanos(999_999_999))),
            ("315576000000s", Some(Duration::from_secs(315_576_000_000))),
            ("315576000000.999999999s", Some(Duration::new(315_576_000_000, 999_999_999))),
            ("315576000001s", None),
            ("99999999999999999999999s", None),
            ("-1s", None),
            ("-0.1s", None),
            ("0.0000000001s", None),
            ("1.s", None),
            (".5s", None),
            ("1.5", None),
            ("s", None),
            ("", None),
            ("1S", None),
            ("1ms", None),
            ("+1s", None),
            ("1.+5s", None),
            (" 1s", None),
            ("1e3s", None),
            ("١s", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in 0..=SECONDS_MAX, nanoseconds in 0..1_000_000_000_u32) {
            let duration = Duration::new(seconds, nanoseconds);
            prop_assert_eq!(parse(&format(duration)), Some(duration));
        }

        #[test]
        fn thousandths_are_read_back(milliseconds in 0..10_000_000_u64) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse(&format(duration)), Some(duration));
        }

        #[test]
        fn never_panics(text in "-?[0-9.s+-]{0,30}|.*") {
            if let Some(duration) = parse(&text) {
                prop_assert_eq!(parse(&format(duration)), Some(duration));
            }
        }
    }
}
