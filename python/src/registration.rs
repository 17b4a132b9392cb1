//! Servers that register themselves.

use crate::clock;
use crate::credentials::credentials;
use crate::errors::unusable;
use crate::fields::{self, Fields, Wanted};
use crate::fork::Born;
use crate::{runtime, waiting};
use evener_discovery::registration::{
    self as engine, Check, Ready, RegistrationOptions, RegistrationState, ServiceDefinition, from_consul,
};
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What errors speak of.
const GROUP: &str = "registration";
/// What lies at least between two looks at the registry.
const LEAST_VERIFY_INTERVAL: Duration = Duration::from_secs(1);
/// How much longer than it should take is waited for the end of a registration.
const GRACE: Duration = Duration::from_millis(500);

/// A server as Python describes it; see `evener.register`. Numbers are as wide as Python's may be, to be refused by name.
struct Given {
    /// A Consul definition: in place of all the rest but host, port and id.
    definition: Option<GivenDefinition>,
    name: Option<String>,
    port: Option<i64>,
    host: Option<String>,
    id: Option<String>,
    weight: i64,
    priority: i64,
    zone: Option<String>,
    region: Option<String>,
    tags: Vec<String>,
    metadata: BTreeMap<String, String>,
    /// A list of Consul's checks, JSON.
    checks: Option<String>,
    ttl: f64,
}

impl Given {
    fn read(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        let fields = Fields::of(GROUP, "a service", given);
        Ok(Self {
            definition: fields.get("definition")?,
            name: fields.get("name")?,
            port: fields.get("port")?,
            host: fields.get("host")?,
            id: fields.get("id")?,
            weight: fields.get("weight")?,
            priority: fields.get("priority")?,
            zone: fields.get("zone")?,
            region: fields.get("region")?,
            tags: fields.get("tags")?,
            metadata: fields.get("metadata")?,
            checks: fields.get("checks")?,
            ttl: fields.get("ttl")?,
        })
    }
}

/// JSON, or what `definitions` has made of it.
enum GivenDefinition {
    Read(Py<Definition>),
    Json(String),
}

impl Wanted for GivenDefinition {
    fn wanted() -> String {
        "a dict or JSON".to_owned()
    }

    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        match value.cast::<Definition>() {
            Ok(read) => Ok(Self::Read(read.clone().unbind())),
            Err(_) => Wanted::read(value).map(Self::Json),
        }
    }
}

/// One service of a Consul file, with the checks that stand beside it there. Immutable.
#[pyclass(frozen, module = "evener._native")]
pub(crate) struct Definition {
    service: ServiceDefinition,
    warnings: Vec<String>,
}

/// Every service of a Consul file, JSON. What of the file has no effect is told with the first of them.
#[pyfunction]
pub(crate) fn definitions(json: &str) -> PyResult<Vec<Definition>> {
    let (services, mut warnings) = from_consul(json).map_err(unusable)?;
    let each = |service| Definition { service, warnings: mem::take(&mut warnings) };
    Ok(services.into_iter().map(each).collect())
}

/// A server's record in a registry, kept there by discovery's background thread. Thread-safe.
///
/// Made before a fork, it raises RuntimeError in the child from every method but `close`: the server is the parent's.
#[pyclass(frozen, module = "evener._native")]
pub(crate) struct Registration {
    /// There until this is dropped.
    registration: Option<Arc<engine::Registration>>,
    warnings: Vec<String>,
    born: Born,
}

impl Registration {
    fn engine(&self) -> PyResult<&Arc<engine::Registration>> {
        self.born.check("registration")?;
        self.registration.as_ref().ok_or_else(|| refused("is gone"))
    }
}

#[pymethods]
impl Registration {
    #[new]
    #[pyo3(signature = (target, service, *, verify_interval, wait_for_listening=false, asked_with=None))]
    fn new(
        py: Python<'_>,
        target: &Bound<'_, PyAny>,
        service: &Bound<'_, PyAny>,
        verify_interval: &Bound<'_, PyAny>,
        wait_for_listening: bool,
        asked_with: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let target: String = fields::read("target", target)?;
        let verify_interval = clock::read_seconds(&format!("{GROUP}: verify_interval"), verify_interval)?;
        if verify_interval < LEAST_VERIFY_INTERVAL {
            return Err(refused("verify_interval: is below one second"));
        }
        let options = RegistrationOptions {
            credentials: credentials(asked_with.as_ref())?,
            ready: if wait_for_listening { Ready::Listening } else { Ready::AtOnce },
            verify_interval,
            ..RegistrationOptions::default()
        };
        let (definition, warnings) = definition(Given::read(service)?)?;
        let runtime = runtime::shared();
        let begun = py.detach(|| runtime.register(&target, definition, options, None));
        let registration = Some(Arc::new(begun.map_err(unusable)?));
        Ok(Self { registration, warnings, born: Born::now() })
    }

    /// What of a definition has no effect, each with its place.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    /// `registering`, `registered`, `lost`, `draining` or `closed`.
    #[getter]
    fn state(&self, py: Python<'_>) -> PyResult<&'static str> {
        let registration = self.engine()?;
        Ok(py.detach(|| registration.state().name()))
    }

    /// Where it stands and what was counted, as JSON. Nothing of a definition but its id and address.
    fn status(&self, py: Python<'_>) -> PyResult<String> {
        let registration = self.engine()?;
        let status = py.detach(|| registration.status());
        Ok(status.map_or_else(|| "{}".to_owned(), |status| status.to_json(Instant::now()).to_string()))
    }

    /// Waits until it is in the registry; False after `timeout` seconds, or when it is over. Signals are heeded.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let registration = self.engine()?;
        let found = waiting::wait(py, timeout, |left| {
            if registration.wait_registered(left) {
                return Some(true);
            }
            (registration.state() == RegistrationState::Closed).then_some(false)
        })?;
        Ok(found.unwrap_or(false))
    }

    /// Changes the weight, the metadata, or both, in place.
    #[pyo3(signature = (weight=None, metadata=None))]
    fn update(
        &self,
        py: Python<'_>,
        weight: Option<i64>,
        metadata: Option<BTreeMap<String, String>>,
    ) -> PyResult<()> {
        let registration = self.engine()?;
        let weight = weight.map(|weight| number("weight", weight)).transpose()?;
        py.detach(|| registration.update(weight, metadata));
        Ok(())
    }

    /// Marks the server as leaving: clients give it no new calls. It stays registered.
    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        let registration = self.engine()?;
        py.detach(|| registration.drain());
        Ok(())
    }

    /// Begins the end, in the background: marked as leaving, `drain` seconds, taken away, which may take `deadline` seconds.
    fn begin_close(&self, py: Python<'_>, drain: f64, deadline: f64) -> PyResult<()> {
        if !self.born.is_inherited() {
            let (drain, deadline) = (seconds("drain", drain)?, seconds("deadline", deadline)?);
            let registration = self.engine()?;
            py.detach(|| registration.begin_close(drain, deadline));
        }
        Ok(())
    }

    /// As `begin_close`, and waits for the end. False where the registry could not be asked. Signals are heeded, and do not stop
    /// it. An inherited one stays as it is.
    fn close(&self, py: Python<'_>, drain: f64, deadline: f64) -> PyResult<bool> {
        if self.born.is_inherited() {
            return Ok(true);
        }
        self.begin_close(py, drain, deadline)?;
        let registration = self.engine()?;
        let limit = drain + deadline + GRACE.as_secs_f64();
        let closed = waiting::wait(py, Some(limit), |left| registration.wait_closed(left).then_some(()))?;
        Ok(closed.is_some() && self.is_withdrawn()?)
    }

    /// Whether it is over and the registry could be asked.
    fn withdrawn(&self) -> PyResult<bool> {
        Ok(self.engine()?.state() == RegistrationState::Closed && self.is_withdrawn()?)
    }
}

impl Registration {
    fn is_withdrawn(&self) -> PyResult<bool> {
        Ok(self.engine()?.status().is_none_or(|status| status.last_error.is_none()))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // One that nobody has closed is taken away now, which may take a moment: not at the cost of other threads.
        let registration = self.registration.take();
        Python::try_attach(|py| py.detach(|| drop(registration)));
    }
}

/// What is to be registered, and what of it has no effect.
fn definition(given: Given) -> PyResult<(ServiceDefinition, Vec<String>)> {
    let (mut definition, warnings) = match &given.definition {
        Some(GivenDefinition::Read(read)) => (read.get().service.clone(), read.get().warnings.clone()),
        Some(GivenDefinition::Json(json)) => one_of(json)?,
        None => (described(&given)?, Vec::new()),
    };
    definition.port = given.port.map_or(Ok(definition.port), |port| number("port", port))?;
    definition.host = given.host.or(definition.host);
    definition.id = given.id.or(definition.id);
    definition.check().map_err(unusable)?;
    Ok((definition, warnings))
}

fn one_of(json: &str) -> PyResult<(ServiceDefinition, Vec<String>)> {
    let (services, warnings) = from_consul(json).map_err(|why| refused(format!("definition: {why}")))?;
    let [definition] = <[ServiceDefinition; 1]>::try_from(services).map_err(|services| {
        refused(format!(
            "definition: holds {} services; register each with a definition of its own",
            services.len()
        ))
    })?;
    Ok((definition, warnings))
}

fn described(given: &Given) -> PyResult<ServiceDefinition> {
    let name = given.name.as_ref().ok_or_else(|| refused("name: is missing"))?;
    Ok(ServiceDefinition {
        weight: number("weight", given.weight)?,
        priority: number("priority", given.priority)?,
        zone: given.zone.clone(),
        region: given.region.clone(),
        tags: given.tags.clone(),
        metadata: given.metadata.clone(),
        checks: given.checks.as_deref().map_or_else(|| Ok(Vec::new()), checks)?,
        ttl: seconds("ttl", given.ttl)?,
        ..ServiceDefinition::new(name, 0)
    })
}

/// Checks as Consul writes them, read by way of a definition that has nothing else.
fn checks(json: &str) -> PyResult<Vec<Check>> {
    let (services, _) = from_consul(&format!(r#"{{"service": {{"name": "checks", "checks": {json}}}}}"#))
        .map_err(|why| refused(why.replace("service.checks", "checks")))?;
    Ok(services.into_iter().flat_map(|service| service.checks).collect())
}

fn number<T: TryFrom<i64>>(field: &str, value: i64) -> PyResult<T> {
    T::try_from(value).map_err(|_| refused(format!("{field}: {value} is out of range")))
}

fn seconds(field: &str, value: f64) -> PyResult<Duration> {
    clock::seconds(value).map_err(|why| refused(format!("{field}: {why}")))
}

fn refused(why: impl Display) -> PyErr {
    unusable(format!("{GROUP}: {why}"))
}
