//! What went wrong with an API server, and what to do about it.

use std::error::Error as _;

use kube::Error;

use crate::event::{ErrorClass, SourceError};

/// Whom and what was asked.
pub(super) struct Question<'a> {
    pub(super) server: &'a str,
    pub(super) namespace: &'a str,
    pub(super) service: &'a str,
    /// Why credentials cannot be looked up anew, if they cannot.
    pub(super) trouble: Option<&'a str>,
}

impl Question<'_> {
    /// The meaning of the client's error.
    pub(super) fn failed(&self, error: &Error) -> SourceError {
        match error {
            Error::Auth(_) => self.error(
                ErrorClass::Denied,
                &format!("cannot be asked for want of credentials: {}", chain(error)),
            ),
            Error::HyperError(_) | Error::Service(_) | Error::ReadEvents(_) => {
                self.error(ErrorClass::Unreachable, &format!("cannot be reached: {}", chain(error)))
            }
            _ => self.error(ErrorClass::Protocol, &format!("cannot be understood: {}", chain(error))),
        }
    }

    /// The meaning of an answer that is an error.
    pub(super) fn refused(&self, code: u16, message: &str) -> SourceError {
        match code {
            401 => self.error(
                ErrorClass::Denied,
                &format!(
                    "does not know who asks (401): the token or client certificate is wrong or has expired. {message}. \
                     In a pod the service account's token must be mounted (automountServiceAccountToken); outside, \
                     `kubectl get endpointslices` must work with the same kubeconfig{}",
                    self.trouble.map(|why| format!(". Others could not be looked up: {why}")).unwrap_or_default()
                ),
            ),
            // Names of users may look like secrets: what is to be applied must be exact.
            403 => SourceError {
                class: ErrorClass::Denied,
                message: format!(
                    "{}: refuses (403): {message}. Apply this with `kubectl apply -f`:\n{}",
                    self.server,
                    manifest(self.namespace, user(message))
                ),
            },
            404 => SourceError {
                class: ErrorClass::Protocol,
                message: format!(
                    "{}: has no EndpointSlices (404): {message}. Is it a Kubernetes API server of version 1.21 or later, and \
                     the URL complete? It must also allow them to be read:\n{}",
                    self.server,
                    manifest(self.namespace, None)
                ),
            },
            410 => self.error(ErrorClass::Expired, &format!("no longer has what was asked for (410): {message}")),
            429 | 503 => self.error(ErrorClass::RateLimited, &format!("asks for a pause ({code}): {message}")),
            code => self.error(ErrorClass::Protocol, &format!("answers {code}: {message}")),
        }
    }

    pub(super) fn error(&self, class: ErrorClass, what: &str) -> SourceError {
        let Self { server, namespace, service, .. } = self;
        SourceError::new(class, format!("{server}, service {service} in {namespace}: {what}"))
    }
}

/// An error with all its causes.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// The user whom a refusal names.
fn user(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("User \"")?;
    rest.split_once('"').map(|(user, _)| user)
}

/// What lets a user read the EndpointSlices of a namespace; without a user the service account `default`.
fn manifest(namespace: &str, user: Option<&str>) -> String {
    let account = user.and_then(|user| user.strip_prefix("system:serviceaccount:")?.split_once(':'));
    let subject = match (account, user) {
        (Some((namespace, name)), _) => {
            format!("- kind: ServiceAccount\n  name: {name}\n  namespace: {namespace}")
        }
        (None, Some(user)) => {
            format!("- kind: User\n  apiGroup: rbac.authorization.k8s.io\n  name: {}", quoted(user))
        }
        (None, None) => format!("- kind: ServiceAccount\n  name: default\n  namespace: {namespace}"),
    };
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\n\
         kind: Role\n\
         metadata:\n  name: evener-endpointslices\n  namespace: {namespace}\n\
         rules:\n- apiGroups: [\"discovery.k8s.io\"]\n  resources: [\"endpointslices\"]\n  verbs: [\"list\", \"watch\"]\n\
         ---\n\
         apiVersion: rbac.authorization.k8s.io/v1\n\
         kind: RoleBinding\n\
         metadata:\n  name: evener-endpointslices\n  namespace: {namespace}\n\
         roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: Role\n  name: evener-endpointslices\n\
         subjects:\n{subject}\n"
    )
}

/// A text as YAML's double-quoted form, which is that of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: Question<'_> =
        Question { server: "https://api:6443", namespace: "prod", service: "user", trouble: None };

    #[test]
    fn a_refusal_comes_with_the_manifest_for_whoever_was_refused() {
        let refused = |user: &str| {
            let message =
                format!("endpointslices.discovery.k8s.io is forbidden: User \"{user}\" cannot list resource");
            let error = QUESTION.refused(403, &message);
            assert_eq!(error.class, ErrorClass::Denied);
            error.message
        };
        let account = refused("system:serviceaccount:web:front");
        assert!(
            account.ends_with("subjects:\n- kind: ServiceAccount\n  name: front\n  namespace: web\n"),
            "{account}"
        );
        assert!(
            account.contains("kind: Role\nmetadata:\n  name: evener-endpointslices\n  namespace: prod\n"),
            "{account}"
        );
        let person = refused("me@example.com");
        assert!(
            person.ends_with(
                "- kind: User\n  apiGroup: rbac.authorization.k8s.io\n  name: \"me@example.com\"\n"
            ),
            "{person}"
        );
    }

    #[test]
    fn answers_are_classed() {
        for (code, class) in [
            (401, ErrorClass::Denied),
            (403, ErrorClass::Denied),
            (404, ErrorClass::Protocol),
            (410, ErrorClass::Expired),
            (429, ErrorClass::RateLimited),
            (503, ErrorClass::RateLimited),
            (500, ErrorClass::Protocol),
        ] {
            let error = QUESTION.refused(code, "why");
            assert_eq!(error.class, class, "{code}");
            assert!(error.message.contains("https://api:6443") && error.message.contains("why"), "{error}");
        }
    }
}
