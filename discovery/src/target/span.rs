//! Spans of time in a target: `500ms`, `30s`, `1.5m`, `2h`.

use std::time::Duration;

use super::TargetError;

/// The units with their length in seconds; `ms` is told from `m` by being asked first.
const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// Reads the span that the parameter `key` has, which must be within `least..=most`.
pub(super) fn parse(key: &str, text: &str, least: Duration, most: Duration) -> Result<Duration, TargetError> {
    let Some(span) = read(text) else {
        let reason = format!("{key}: `{text}` is not a time such as 500ms, 30s, 5m or 1h");
        return Err(TargetError::new("query", reason));
    };
    if span < least || span > most {
        let reason = format!("{key}: `{text}` is not from {} to {}", write(least), write(most));
        return Err(TargetError::new("query", reason));
    }
    Ok(span)
}

fn read(text: &str) -> Option<Duration> {
    let (number, unit) =
        UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = if plain { number.parse().ok()? } else { return None };
    // What a target can ask for is counted in milliseconds.
    Duration::try_from_secs_f64((number * unit * 1000.0).round() / 1000.0).ok()
}

/// The shortest form that reads as the same span, in whole milliseconds.
pub(super) fn write(span: Duration) -> String {
    let millis = span.as_millis();
    let whole = [(3_600_000, "h"), (60_000, "m"), (1000, "s")]
        .into_iter()
        .find(|(unit, _)| millis.is_multiple_of(*unit));
    match whole {
        Some((unit, name)) if millis > 0 => format!("{}{name}", millis / unit),
        _ => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_and_fractions_are_read() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("1.5m", 90_000), ("2h", 7_200_000), ("0s", 0)]
        {
            assert_eq!(read(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "30", "-1s", "+1s", "1e3s", "1 s", "1d", "1..5s", "99999999999999999999h"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(millis in 0_u64..100_000_000) {
            let span = Duration::from_millis(millis);
            prop_assert_eq!(read(&write(span)), Some(span));
        }
    }
}
