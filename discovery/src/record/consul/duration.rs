//! Spans of time as Consul (and Go) writes them: `10s`, `1m30s`, `1.5h`.

use std::time::Duration;

/// Each unit with its nanoseconds; the longer name of two that begin alike comes first.
const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// Reads a span: numbers, each with its unit (`ns`, `us`, `ms`, `s`, `m`, `h`), or `0`.
///
/// # Errors
///
/// What is wrong with it; reads on after the text's name. A sign is refused: nothing here lasts less than no time.
///
/// ```
/// use std::time::Duration;
/// use evener_discovery::record::consul::duration;
///
/// assert_eq!(duration::decode("1m30s"), Ok(Duration::from_secs(90)));
/// assert!(duration::decode("10").is_err());
/// ```
pub fn decode(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let refused = || format!("`{text}` is no span of time; write it as 10s, 1m30s or 500ms");
    let mut nanos = 0.0;
    let mut rest = text;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refused)?;
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| refused())?;
        let unit = UNITS.iter().find(|(name, _)| after.starts_with(name)).ok_or_else(refused)?;
        nanos += number * unit.1;
        rest = after.strip_prefix(unit.0).unwrap_or_default();
        if rest.is_empty() {
            return Duration::try_from_secs_f64(nanos / 1e9).map_err(|_| refused());
        }
    }
}

/// Writes a span so that [`decode`] reads the same to the millisecond: `90s`, `1500ms`.
pub fn encode(span: Duration) -> String {
    if span.subsec_millis() == 0 { format!("{}s", span.as_secs()) } else { format!("{}ms", span.as_millis()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn go_s_spans_are_read() {
        for (text, millis) in [
            ("10s", Some(10_000)),
            ("1m30s", Some(90_000)),
            ("1.5h", Some(5_400_000)),
            ("500ms", Some(500)),
            ("1s500ms", Some(1500)),
            ("2000us", Some(2)),
            ("2000µs", Some(2)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("", None),
            ("10", None),
            ("s", None),
            ("-1s", None),
            ("1d", None),
            ("1.2.3s", None),
            ("99999999999999999999999h", None),
        ] {
            assert_eq!(decode(text).ok(), millis.map(Duration::from_millis), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(millis in 0..u64::from(u32::MAX)) {
            let span = Duration::from_millis(millis);
            prop_assert_eq!(decode(&encode(span)), Ok(span));
        }

        #[test]
        fn nothing_panics(text in ".*", shaped in "[0-9.]{0,30}[a-zµ]{0,2}[0-9]{0,3}(s|ms)?") {
            let _ = (decode(&text), decode(&shaped));
        }
    }
}
