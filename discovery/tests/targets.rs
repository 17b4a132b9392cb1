//! Every line of `testdata/targets.txt`.

use evener_discovery::Target;

const LINES: &str = include_str!("../../testdata/targets.txt");

#[test]
fn targets_mean_what_the_table_says() {
    let lines = LINES.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let wrong: Vec<String> = lines.clone().filter_map(|line| check(line).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lines.count() > 100);
}

fn check(line: &str) -> Result<(), String> {
    // The columns are apart by " | "; an endpoint with several addresses has a bare one.
    let columns: Vec<&str> = line.split(" | ").map(str::trim).collect();
    let [target, expected, detail] = columns[..] else { return Err(format!("not three columns: {line}")) };
    match (expected.strip_prefix("error "), Target::parse(target)) {
        (Some(part), Err(error)) if error.part == part && error.reason.contains(detail) => Ok(()),
        (None, Ok(parsed)) if parsed.to_string() == expected && parsed.authority() == detail => {
            check_canonical(expected, &parsed)
        }
        (_, Ok(parsed)) => Err(format!("{target} -> {parsed} | {}", parsed.authority())),
        (_, Err(error)) => Err(format!("{target} -> {} | {}", error.part, error.reason)),
    }
}

/// The canonical form of a target parses to a target of the same canonical form.
fn check_canonical(text: &str, parsed: &Target) -> Result<(), String> {
    match Target::parse(text) {
        Ok(again) if again.to_string() == parsed.to_string() => Ok(()),
        again => Err(format!("{text} does not stay itself: {again:?}")),
    }
}

mod arbitrary {
    use evener_discovery::Target;
    use evener_discovery::target::redact;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn targets_never_panic_and_canonical_ones_stay_themselves(
            text in ".*",
            scheme in "(dns|dns\\+srv|ipv4|ipv6|unix|unix-abstract|static|etcd|consul|kubernetes|http)?:?(//)?/?",
            rest in "[a-z0-9.:;=|%\\[\\]/,@?&_-]{0,40}",
        ) {
            for text in [text, format!("{scheme}{rest}")] {
                let _ = redact(&text);
                if let Ok(target) = Target::parse(&text) {
                    prop_assert!(!target.authority().is_empty());
                    let canonical = target.to_string();
                    let again = Target::parse(&canonical);
                    prop_assert_eq!(again.map(|target| target.to_string()), Ok(canonical));
                }
            }
        }
    }
}
