//! The full names that a name may stand for: pure.

use hickory_resolver::proto::rr::Name;

/// The full names to try, in this order: as `resolv.conf(5)` says of `search` and `ndots`.
///
/// A name with a dot at its end is full already. One with at least `ndots` dots inside is tried as it is first, any
/// other one last. `localhost` and what is below it is never looked for elsewhere (RFC 6761).
pub(super) fn candidates(name: &str, search: &[Name], ndots: usize) -> Result<Vec<Name>, String> {
    let mut full = Name::from_ascii(name).map_err(|error| format!("`{name}` is not a name: {error}"))?;
    let dots = name.trim_end_matches('.').matches('.').count();
    let is_complete = name.ends_with('.') || full.is_localhost();
    let bare = full.clone();
    full.set_fqdn(true);
    if is_complete {
        return Ok(vec![full]);
    }
    // A combination that is too long for a name is none.
    let mut names: Vec<Name> =
        search.iter().filter_map(|domain| bare.clone().append_domain(domain).ok()).collect();
    for name in &mut names {
        name.set_fqdn(true);
    }
    names.insert(if dots >= ndots { 0 } else { names.len() }, full);
    let mut unique = Vec::with_capacity(names.len());
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    Ok(unique)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(name: &str, search: &[&str], ndots: usize) -> Vec<String> {
        let search: Vec<Name> = search.iter().map(|domain| Name::from_ascii(domain).unwrap()).collect();
        candidates(name, &search, ndots).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_are_tried_as_resolv_conf_says() {
        let cluster = ["default.svc.cluster.local", "svc.cluster.local", "."];
        assert_eq!(
            tried("user", &cluster, 5),
            ["user.default.svc.cluster.local.", "user.svc.cluster.local.", "user."]
        );
        assert_eq!(
            tried("user.example.com", &["corp.example"], 1),
            ["user.example.com.", "user.example.com.corp.example."]
        );
        assert_eq!(
            tried("user.example.com", &["corp.example"], 5),
            ["user.example.com.corp.example.", "user.example.com."]
        );
        assert_eq!(tried("user.example.com.", &["corp.example"], 5), ["user.example.com."]);
        assert_eq!(tried("user", &[], 1), ["user."]);
        assert_eq!(tried("user", &["a"], 0), ["user.", "user.a."]);
        assert_eq!(tried("localhost", &["corp.example"], 1), ["localhost."]);
        assert_eq!(tried("_grpc._tcp.user", &["a"], 1), ["_grpc._tcp.user.", "_grpc._tcp.user.a."]);
    }

    #[test]
    fn what_would_be_too_long_is_left_out() {
        let long = "a23456789.".repeat(20);
        let name = "b23456789.".repeat(10);
        assert_eq!(tried(name.trim_end_matches('.'), &[&long], 1).len(), 1);
        assert!(candidates("a..b", &[], 1).is_err());
    }
}
