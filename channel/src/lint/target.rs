//! A target: what cannot be balanced, what hides behind it, what should not stand in it.

use evener_discovery::target::{
    ConsulConsistency, ConsulTarget, ConsulWarning, ConsulWarningKind, DnsTarget, RegistryUri, redact,
};
use evener_discovery::{StaticTarget, Target};

use super::finding::{Finding, Severity};

/// The findings of a target. Nothing is looked up.
pub fn target(text: &str) -> Vec<Finding> {
    match Target::parse(text) {
        Err(error) => vec![
            Finding::new(Severity::Error, "target-refused", &error.part)
                .says(format!("It is refused: {}.", error.reason))
                .advises("README.md lists the forms that are known, under Targets."),
        ],
        Ok(parsed) => of_parsed(text, &parsed),
    }
}

fn of_parsed(text: &str, parsed: &Target) -> Vec<Finding> {
    let mut findings = secrets(text);
    match parsed {
        Target::Dns(target) => findings.extend(cluster_ip(target)),
        Target::Static(StaticTarget::List(list)) if list.len() == 1 => findings.push(
            Finding::new(Severity::Advice, "one-endpoint", "path")
                .says("It names one server: there is nothing to balance, and nowhere to go when it fails."),
        ),
        Target::Etcd(target) => findings.extend(one_member("etcd", &target.uri)),
        Target::Consul(target) => {
            findings.extend(target.warnings().iter().filter_map(|warning| of_warning(warning, target)));
            findings.extend(old_answers(target));
        }
        _ => {}
    }
    findings
}

/// What [`redact`] would hide is visible in every process list and log.
fn secrets(text: &str) -> Vec<Finding> {
    let redacted = redact(text);
    if redacted == text {
        return Vec::new();
    }
    let finding = Finding::new(Severity::Warning, "secret-in-target", "authority or query")
        .says("It holds a secret, and targets turn up in logs, process lists and dashboards (evener's own redact it).")
        .advises("Give it by an environment variable, a file or a callback instead.")
        .corrects(redacted);
    vec![finding]
}

/// A Kubernetes Service's own name is one virtual address.
fn cluster_ip(target: &DnsTarget) -> Option<Finding> {
    let host = target.host.strip_suffix('.').unwrap_or(&target.host);
    let (name, zone) = host.split_once(".svc")?;
    if !(zone.is_empty() || zone.starts_with('.')) || name.starts_with('_') {
        return None;
    }
    // A name with more parts is one pod's own, or none of Kubernetes'.
    let corrected = format!("kubernetes:///{name}:{}", target.port);
    Target::parse(&corrected).ok()?;
    let advice = "Watch the Service itself, or make it headless (clusterIP: None); `evener resolve` shows what a target yields.";
    Some(
        Finding::new(Severity::Warning, "cluster-ip", "host")
            .says(format!(
                "{host} is the name of a Kubernetes Service. Unless that is headless it yields one virtual address, so \
                 that every connection, and with it every call, goes to one pod: it cannot be balanced."
            ))
            .advises(advice)
            .corrects(corrected),
    )
}

/// A registry that is one node away from being away. Only where the target names the members.
fn one_member(registry: &str, uri: &RegistryUri) -> Option<Finding> {
    let members = uri.authority.split(',').filter(|member| !member.is_empty()).count();
    (members == 1).then(|| {
        Finding::new(Severity::Advice, "one-registry-node", "authority")
            .says(format!(
                "It names one member of {registry}: while that is away, or cut off from the other members, no change \
                 is seen."
            ))
            .advises(
                "Name all members: one that has no leader is left for another. What is known stays in use \
                 meanwhile either way.",
            )
    })
}

/// What should not stand in a target, but for secrets, which are told of any target.
fn of_warning(warning: &ConsulWarning, target: &ConsulTarget) -> Option<Finding> {
    let (what, reason) = (warning.what, warning.reason);
    let finding = match warning.kind {
        ConsulWarningKind::Ignored => Finding::new(Severity::Warning, "parameter-ignored", warning.part)
            .says(format!("`{what}` is left out: {reason}.")),
        ConsulWarningKind::Deprecated => Finding::new(Severity::Advice, "parameter-deprecated", warning.part)
            .says(format!("`{what}` is another client's word: {reason}.")),
        _ => return None,
    };
    Some(finding.corrects(redact(&target.to_string())))
}

/// In a partition the part that is cut off goes on answering with what it knew: for how long that is believed.
fn old_answers(target: &ConsulTarget) -> Option<Finding> {
    let may_be_old = matches!(target.consistency, ConsulConsistency::Stale | ConsulConsistency::Cached);
    if !may_be_old || target.max_stale <= ConsulTarget::DEFAULT_MAX_STALE {
        return None;
    }
    let mut mended = target.clone();
    mended.max_stale = ConsulTarget::DEFAULT_MAX_STALE;
    Some(
        Finding::new(Severity::Advice, "old-answers", "query")
            .says(format!(
                "Answers that are up to {} s old are believed: a part of Consul that is cut off from its leader may \
                 mislead this client for so long.",
                target.max_stale.as_secs_f64()
            ))
            .advises(format!(
                "Leave max-stale out: it is {} s. Unless the leader answers where an answer is older than that, the servers \
                 that are known stay in use and count as stale.",
                ConsulTarget::DEFAULT_MAX_STALE.as_secs_f64()
            ))
            .corrects(redact(&mended.to_string())),
    )
}
