//! `kubernetes:` targets.

use std::fmt;
use std::time::Duration;

use super::dns::Family;
use super::uri::RegistryUri;
use super::{TargetError, span};
use crate::model::{host, percent};

const PARAMETERS: [&str; 5] = ["server", "kubeconfig", "context", "family", "watch-timeout"];

/// A Service in Kubernetes. All of these mean the same:
/// `kubernetes:///user-service.default:8080`, `kubernetes:///user-service.default.svc.cluster.local:8080`,
/// `kubernetes://default/user-service:8080`, `kubernetes://user-service.default:8080/`.
///
/// | part | meaning |
/// |---|---|
/// | service, namespace | without a namespace: that of the pod, of the kubeconfig's context, else `default` |
/// | port | a number: that port of the pods, whatever the Service says. A name: that of the Service's port. None: the only port, or the one named `grpc` |
/// | `server=http://127.0.0.1:8001` | the API server's URL, that of `kubectl proxy`, say; without it the kubeconfig or, in a pod, the cluster's own |
/// | `kubeconfig=/path`, `context=name` | another kubeconfig file than that of `KUBECONFIG` or `~/.kube/config`, another context than its current one |
/// | `family` | `ipv4`, `ipv6`: only such addresses. `both`: those of both kinds, each an endpoint. Without it: IPv4 where the Service has any, else IPv6 |
/// | `watch-timeout=290s` | how long one watch lasts before it is made anew, 5 s to 290 s |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KubernetesTarget {
    /// The Service's name.
    pub service: String,
    /// Its namespace, if the target names one.
    pub namespace: Option<String>,
    /// The port of its pods, if the target names one.
    pub port: Option<KubernetesPort>,
    /// The API server's URL, if the target names one.
    pub server: Option<String>,
    /// The kubeconfig file, if the target names one.
    pub kubeconfig: Option<String>,
    /// The context in the kubeconfig, if the target names one.
    pub context: Option<String>,
    /// The addresses to use, if the target says so.
    pub family: Option<Family>,
    /// How long one watch lasts, if the target says so.
    pub watch_timeout: Option<Duration>,
    authority: String,
}

/// How a target names a port of a Service's pods.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KubernetesPort {
    /// By number, from 1.
    Number(u16),
    /// By the name that the Service gives it.
    Name(String),
}

impl fmt::Display for KubernetesPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

pub(super) fn parse(rest: &str) -> Result<KubernetesTarget, TargetError> {
    let uri = RegistryUri::parse("kubernetes", rest)?;
    uri.refuse_cut_user()?;
    uri.refuse_unknown(&PARAMETERS)?;
    if uri.user.is_some() {
        return Err(TargetError::new("authority", "takes neither user nor password"));
    }
    // kubernetes://NAMESPACE/SERVICE and kubernetes://SERVICE.NAMESPACE/ differ in whether a path follows.
    let (outer, text) = match (uri.authority.as_str(), uri.path.as_str()) {
        ("", "") => return Err(TargetError::new("path", "is empty; it names the service")),
        ("", path) => (None, path),
        (authority, "") => (None, authority),
        (namespace, path) => (Some(namespace), path),
    };
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(parse_port(port)?)),
        None => (text, None),
    };
    let (service, namespace) = split_name(name, outer)?;
    let authority =
        namespace.map_or_else(|| service.to_owned(), |namespace| format!("{service}.{namespace}"));
    Ok(KubernetesTarget {
        service: service.to_owned(),
        namespace: namespace.map(str::to_owned),
        port,
        server: uri.parameter("server").map(parse_server).transpose()?,
        kubeconfig: uri.parameter("kubeconfig").map(|path| given("kubeconfig", path)).transpose()?,
        context: uri.parameter("context").map(|name| given("context", name)).transpose()?,
        family: uri.parameter("family").map(Family::parse).transpose()?,
        watch_timeout: uri.parameter("watch-timeout").map(parse_timeout).transpose()?,
        authority,
    })
}

/// `SERVICE[.NAMESPACE[.svc[.CLUSTER]]]`, where `outer` is a namespace that was written before it.
fn split_name<'a>(name: &'a str, outer: Option<&'a str>) -> Result<(&'a str, Option<&'a str>), TargetError> {
    let mut labels = name.strip_suffix('.').unwrap_or(name).split('.');
    let service = labels.next().unwrap_or_default();
    let inner = labels.next();
    if let Some(third) = labels.next().filter(|third| *third != "svc") {
        let reason =
            format!("`{name}`: `{third}` should be `svc`, as in user-service.default.svc.cluster.local");
        return Err(TargetError::new("path", reason));
    }
    let namespace = match (outer, inner) {
        (Some(outer), Some(inner)) if outer != inner => {
            let reason = format!("is given twice, as `{outer}` and as `{inner}`");
            return Err(TargetError::new("namespace", reason));
        }
        (outer, inner) => outer.or(inner),
    };
    check_label("service", service)?;
    namespace.map_or(Ok(()), |namespace| check_label("namespace", namespace))?;
    Ok((service, namespace))
}

/// Names of Services and namespaces are DNS labels in lower case (RFC 1123).
fn check_label(part: &str, label: &str) -> Result<(), TargetError> {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let edges = !label.starts_with('-') && !label.ends_with('-');
    if label.is_empty() {
        return Err(TargetError::new(part, "is missing"));
    }
    if label.len() > 63 || !edges || !label.bytes().all(known) {
        let reason =
            format!("`{label}` is not a name of 1 to 63 lower-case letters, digits and inner hyphens");
        return Err(TargetError::new(part, reason));
    }
    Ok(())
}

fn parse_port(text: &str) -> Result<KubernetesPort, TargetError> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(KubernetesPort::Number(host::parse_port(text)?));
    }
    if text.is_empty() {
        return Err(TargetError::new("port", "nothing follows the colon"));
    }
    check_label("port", text)?;
    Ok(KubernetesPort::Name(text.to_owned()))
}

fn parse_server(url: &str) -> Result<String, TargetError> {
    let refuse = |reason: String| Err(TargetError::new("query", reason));
    let Some((_, rest)) = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
    else {
        return refuse(format!("server: `{url}` is not an http:// or https:// URL"));
    };
    if rest.is_empty() || rest.starts_with('/') {
        return refuse(format!("server: `{url}` names no host"));
    }
    if rest.contains(['@', '?', '#']) {
        return refuse(format!("server: `{url}` may have a host, a port and a path, nothing else"));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

fn parse_timeout(text: &str) -> Result<Duration, TargetError> {
    span::parse("watch-timeout", text, Duration::from_secs(5), Duration::from_secs(290))
}

fn given(key: &str, text: &str) -> Result<String, TargetError> {
    if text.is_empty() {
        return Err(TargetError::new("query", format!("{key}: is empty")));
    }
    Ok(text.to_owned())
}

impl KubernetesTarget {
    /// What calls have as `:authority` unless the application says otherwise: `SERVICE.NAMESPACE`, or the service
    /// alone where the target names no namespace.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The query, question mark and all; empty where nothing was given.
    fn query(&self) -> String {
        let encoded = |key: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!("{key}={}", percent::encode(value, b"&#")))
        };
        let given = [
            encoded("server", &self.server),
            encoded("kubeconfig", &self.kubeconfig),
            encoded("context", &self.context),
            self.family.map(|family| format!("family={}", family.name())),
            self.watch_timeout.map(|span| format!("watch-timeout={}", span::write(span))),
        ];
        let given: Vec<String> = given.into_iter().flatten().collect();
        if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
    }
}

impl fmt::Display for KubernetesTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kubernetes:///{}", self.authority)?;
        if let Some(port) = &self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.query())
    }
}
