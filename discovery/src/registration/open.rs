//! Which registry a registration's target means.

use std::sync::Arc;

use super::address::Machine;
use super::{Registrar, Registration, RegistrationOptions, ServiceDefinition};
use crate::event::{ErrorClass, SourceError};
use crate::runtime::{Observer, Runtime};
use crate::target::redact;

impl Runtime {
    /// Registers a server from now on, in the background: `etcd:///services/user-service` (see
    /// [`EtcdTarget`](crate::target::EtcdTarget) for its parameters) or `consul://agent:8500` (`consul:///` for the
    /// agent on this machine). `observer`, if there is one, is told whenever the registration's status is another.
    ///
    /// # Errors
    /// The target, the definition or an option is wrong, the registry is not in this build, the runtime is shut down
    /// or belongs to the process that this one was forked from ([`ErrorClass::Config`] all of them). A registry that
    /// cannot be reached is none: it is tried for ever, see [`Registration::status`].
    #[cfg_attr(
        not(any(feature = "etcd", feature = "consul")),
        expect(unused_variables, reason = "there is no registry in such a build")
    )]
    pub fn register(
        &self,
        target: &str,
        definition: ServiceDefinition,
        options: RegistrationOptions,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Registration, SourceError> {
        definition.check()?;
        let scheme = target.split(':').next().unwrap_or_default().to_ascii_lowercase();
        match scheme.as_str() {
            #[cfg(feature = "etcd")]
            "etcd" => {
                let registrar = super::etcd::registrar(target, &definition, &options)?;
                self.register_with(target, registrar, definition, options, observer)
            }
            #[cfg(feature = "consul")]
            "consul" => {
                let registrar = super::consul::registrar(target, &definition, &options)?;
                self.register_with(target, registrar, definition, options, observer)
            }
            #[allow(unreachable_patterns, reason = "where both are in the build")]
            "etcd" | "consul" => Err(SourceError::new(
                ErrorClass::Config,
                format!("{scheme}: registration is not available in this build"),
            )),
            _ => Err(SourceError::new(
                ErrorClass::Config,
                format!(
                    "{}: servers register themselves at etcd:///PREFIX or consul://AGENT",
                    redact(target)
                ),
            )),
        }
    }

    /// As [`Runtime::register`], with an adapter of the caller's own. `target` is its name, for people.
    ///
    /// # Errors
    /// As [`Runtime::register`].
    pub fn register_with(
        &self,
        target: &str,
        registrar: impl Registrar,
        definition: ServiceDefinition,
        options: RegistrationOptions,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Registration, SourceError> {
        Registration::start(self, target, registrar, Machine::default(), definition, options, observer)
    }
}
