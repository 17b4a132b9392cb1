//! Which of the service configs that are known is in force.

use std::sync::Arc;

use crate::config::{ConfigError, Parsed, ServiceConfig, Warning};

/// Who gave a service config. The first of these that has given one is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The source that the application has named for it.
    Source,
    /// DNS, where the application has asked for that.
    Dns,
    /// The application, with the channel's options or later.
    Application,
    /// Whoever resolves the target, unasked.
    Resolver,
}

impl Origin {
    /// The name in `describe` and in the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Dns => "dns",
            Self::Application => "application",
            Self::Resolver => "resolver",
        }
    }
}

/// A service config that has been read and found right.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) json: String,
    pub(crate) config: Arc<ServiceConfig>,
    pub(crate) warnings: Vec<Warning>,
}

impl Candidate {
    pub(crate) fn parse(json: &str) -> Result<Self, ConfigError> {
        let Parsed { config, warnings } = ServiceConfig::parse(json)?;
        Ok(Self { json: json.to_owned(), config: Arc::new(config), warnings })
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// In the order of [`Origin`].
    known: [Option<Candidate>; 4],
    /// What was wrong with the last one from outside, if anything.
    fault: Option<String>,
}

impl Choice {
    /// What the channel is opened with.
    pub(crate) fn new(application: Option<Candidate>) -> Self {
        let mut choice = Self::default();
        choice.put(Origin::Application, application);
        choice
    }

    /// Takes over what somebody gives, or that he gives none any more.
    pub(crate) fn put(&mut self, origin: Origin, candidate: Option<Candidate>) {
        if let Some(slot) = self.known.get_mut(origin as usize) {
            *slot = candidate;
        }
    }

    pub(crate) fn set_fault(&mut self, fault: Option<String>) {
        self.fault = fault;
    }

    /// What was wrong with the last service config from outside, or with how it was asked for.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// The service config that is in force, and who gave it; `None` is the default one.
    pub(crate) fn in_force(&self) -> Option<(Origin, &Candidate)> {
        let origins = [Origin::Source, Origin::Dns, Origin::Application, Origin::Resolver];
        origins.into_iter().zip(&self.known).find_map(|(origin, known)| Some((origin, known.as_ref()?)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn candidate(policy: &str) -> Option<Candidate> {
        let json = format!(r#"{{"loadBalancingConfig":[{{"{policy}":{{}}}}]}}"#);
        Some(Candidate::parse(&json).expect("valid"))
    }

    #[test]
    fn what_was_asked_for_goes_before_the_applications_own_and_that_before_what_was_not() {
        let mut choice = Choice::new(None);
        assert!(choice.in_force().is_none());
        let order = [Origin::Resolver, Origin::Application, Origin::Dns, Origin::Source];
        for origin in order {
            choice.put(origin, candidate("round_robin"));
            assert_eq!(choice.in_force().map(|(origin, _)| origin), Some(origin));
        }
        choice.put(Origin::Application, candidate("pick_first"));
        assert_eq!(choice.in_force().map(|(origin, _)| origin), Some(Origin::Source));
        for origin in order.into_iter().rev() {
            assert_eq!(choice.in_force().map(|(origin, _)| origin), Some(origin));
            choice.put(origin, None);
        }
        assert!(choice.in_force().is_none());
    }
}
