//! A target: what cannot be balanced, what hides behind it, what should not stand in it.

use evener_discovery::target::{DnsTarget, RegistryUri, redact};
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
    let advice = "Watch the Service itself, or make it headless (clusterIP: None); `evener resolve` shows what a target yields.";
    Some(
        Finding::new(Severity::Warning, "cluster-ip", "host")
            .says(format!(
                "{host} is the name of a Kubernetes Service. Unless that is headless it yields one virtual address, so \
                 that every connection, and with it every call, goes to one pod: it cannot be balanced."
            ))
            .advises(advice)
            .corrects(format!("kubernetes:///{name}:{}", target.port)),
    )
}

/// A registry that is one node away from being away. Only where the target names the members.
fn one_member(registry: &str, uri: &RegistryUri) -> Option<Finding> {
    let members = uri.authority.split(',').filter(|member| !member.is_empty()).count();
    (members == 1).then(|| {
        Finding::new(Severity::Advice, "one-registry-node", "authority")
            .says(format!("It names one member of {registry}: while that is away no change is seen."))
            .advises("Name all members; what is known stays in use meanwhile either way.")
    })
}
