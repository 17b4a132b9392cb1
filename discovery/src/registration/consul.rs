//! Registration with a Consul agent: a service that gives signs of life, and is put there again whenever it is not.
//!
//! A service belongs to whoever wrote its owner into its metadata. One that is there before our first write of it is taken over only
//! where it has our own address: by a server that was restarted. One that somebody has taken from us is left alone.
//! Consul knows no weight 0, so a server that drains is in maintenance.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Beat, Finding, Published, Record, Registrar, RegistrationOptions, ServiceDefinition};
use crate::backend::consul::api::{Answer, Api, Question, segment};
use crate::backend::consul::environment;
use crate::backend::consul::settings::Settings;
use crate::event::{ErrorClass, SourceError};
use crate::record::consul::agent;
use crate::runtime::Dice;
use crate::target::ConsulTarget;

/// What an agent says of the check that stands for maintenance.
const MAINTENANCE: &str = "_service_maintenance:";
/// Why we put a service into maintenance: so that maintenance that an operator has switched on is told apart.
const REASON: &str = "the server drains";

/// One service of one agent.
pub(super) struct ConsulRegistrar {
    api: Api,
    /// Tells our registration from those of others.
    owner: String,
    /// The token of the definition, if it has one.
    token: Option<String>,
    /// The service that may be there.
    id: Option<String>,
    /// What is there, as far as we know.
    held: Option<Held>,
    /// The id under which it was last put there.
    written: Option<String>,
}

/// What the agent accepted last.
struct Held {
    body: Value,
    /// `None` while something that was asked since then has not been heard to its end, or was refused: what the agent
    /// holds by now is not certain, and only writing it anew makes it so.
    is_draining: Option<bool>,
}

/// Nothing is connected yet.
///
/// # Errors
/// The target is no consul target, or the environment is wrong.
pub(super) fn registrar(
    target: &str,
    definition: &ServiceDefinition,
    options: &RegistrationOptions,
) -> Result<ConsulRegistrar, SourceError> {
    let target = ConsulTarget::parse_agent(target)
        .map_err(|error| SourceError::new(ErrorClass::Config, error.to_string()))?;
    let settings = Settings::new(&target, &options.credentials, &environment)?;
    // Whose it is must not follow from a seed: two servers may well be given the same.
    let mut dice = Dice::new(None);
    Ok(ConsulRegistrar {
        api: Api::new(settings),
        owner: format!("{:016x}{:016x}", dice.roll(), dice.roll()),
        token: definition.extra.get("Token").and_then(Value::as_str).map(ToOwned::to_owned),
        id: None,
        held: None,
        written: None,
    })
}

impl Registrar for ConsulRegistrar {
    fn registry(&self) -> Option<(String, u16)> {
        self.api.settings().address()
    }

    async fn publish(&mut self, record: &Record) -> Result<Published, SourceError> {
        let body = agent::body(&record.definition, &self.owner);
        let is_draining = record.weight() == 0;
        let published = Published { ttl: Some(agent::ttl(&record.definition)) };
        self.id = Some(record.id().to_owned());
        // What was accepted stays, and is kept alive, until something else is: a write that fails takes nothing away.
        let known = self.held.as_mut().and_then(|held| Some((held.body == body, held.is_draining.take()?)));
        let is_done = match known {
            Some((true, was_draining)) if was_draining != is_draining => {
                self.maintain(is_draining).await? && self.give_sign(&body).await?
            }
            // What is to be written again as it was may be gone by now, or somebody else's.
            _ => false,
        };
        if !is_done {
            self.register(&body, is_draining).await?;
        }
        self.held = Some(Held { body, is_draining: Some(is_draining) });
        Ok(published)
    }

    async fn beat(&mut self) -> Result<Beat, SourceError> {
        let Some(held) = &self.held else { return Ok(Beat::Gone) };
        if self.give_sign(&held.body).await? {
            return Ok(Beat::Alive);
        }
        self.held = None;
        Ok(Beat::Gone)
    }

    async fn verify(&mut self, record: &Record) -> Result<Finding, SourceError> {
        let body = agent::body(&record.definition, &self.owner);
        let reason = match self.service(record.id()).await? {
            None => Some("the agent does not know it".to_owned()),
            Some(service) => match agent::difference(&service, &body) {
                Some(field) => Some(format!("the agent has another {field}")),
                None => self.checks_differ(record, &body).await?,
            },
        };
        let Some(reason) = reason else { return Ok(Finding::Intact) };
        self.held = None;
        Ok(Finding::Damaged(reason))
    }

    async fn withdraw(&mut self) -> Result<(), SourceError> {
        let Some(id) = self.id.clone() else { return Ok(()) };
        // What somebody else has put in its place is not ours to take away.
        if let Some(service) = self.service(&id).await?
            && agent::owner(&service) == Some(self.owner.as_str())
        {
            let answer =
                self.ask(Question::put(format!("/v1/agent/service/deregister/{}", segment(&id)))).await?;
            if !is_unknown(&answer) {
                expect(&answer, "deregistration")?;
            }
        }
        (self.id, self.held) = (None, None);
        Ok(())
    }
}

impl ConsulRegistrar {
    /// Makes sure that nobody else has the id.
    async fn claim(&mut self, body: &Value) -> Result<(), SourceError> {
        let id = self.id.clone().unwrap_or_default();
        let Some(service) = self.service(&id).await? else { return Ok(()) };
        let is_ours = agent::owner(&service) == Some(self.owner.as_str());
        let may_inherit = self.written.as_ref() != Some(&id);
        if is_ours || (may_inherit && agent::has_address_of(&service, body)) {
            return Ok(());
        }
        // No sign of life for what somebody else has put there.
        self.held = None;
        let (address, port) = (&service["Address"], &service["Port"]);
        let text = format!(
            "registration: the service id {id} is taken by another server, at {address}:{port}; give this one another id"
        );
        Err(SourceError::new(ErrorClass::Denied, text))
    }

    async fn register(&mut self, body: &Value, is_draining: bool) -> Result<(), SourceError> {
        self.claim(body).await?;
        let has_checks = self.held.as_ref().is_some_and(|held| held.body["Checks"] == body["Checks"]);
        let answer = self.ask(registration(body, is_draining, has_checks)).await?;
        expect(&answer, "registration")?;
        self.written.clone_from(&self.id);
        self.held = Some(Held { body: body.clone(), is_draining: None });
        let was_draining = self.maintenance().await?.as_deref() == Some(REASON);
        let is_known = is_draining == was_draining || self.maintain(is_draining).await?;
        // An agent that knew such a check keeps its status, whatever the registration says: the critical one of a server
        // that died would stay until the next sign of life.
        if is_known && self.give_sign(body).await? {
            return Ok(());
        }
        let id = self.id.as_deref().unwrap_or_default();
        Err(SourceError::new(ErrorClass::Protocol, format!("consul: the agent has forgotten {id} at once")))
    }

    /// Says that the server is alive, to each check that waits for it. False: the agent does not know one of them.
    async fn give_sign(&self, body: &Value) -> Result<bool, SourceError> {
        for check in agent::ttl_checks(body) {
            let sign = json!({"Status": "passing", "Output": "alive"});
            let mut question = Question::put(format!("/v1/agent/check/update/{}", segment(&check)));
            question.body = Some(sign.to_string().into_bytes());
            let answer = self.ask(question).await?;
            if is_unknown(&answer) {
                return Ok(false);
            }
            expect(&answer, "sign of life")?;
        }
        Ok(true)
    }

    /// Puts the service into maintenance, or takes it out. False: the agent does not know the service.
    async fn maintain(&self, is_draining: bool) -> Result<bool, SourceError> {
        let id = self.id.as_deref().unwrap_or_default();
        let question = Question::put(format!("/v1/agent/service/maintenance/{}", segment(id)));
        let question = question.with("enable", is_draining.to_string()).with("reason", REASON);
        let answer = self.ask(question).await?;
        if is_unknown(&answer) {
            return Ok(false);
        }
        expect(&answer, "maintenance").map(|()| true)
    }

    /// The reason why the service is in maintenance, if it is.
    async fn maintenance(&self) -> Result<Option<String>, SourceError> {
        let id = self.id.as_deref().unwrap_or_default();
        let checks = self.checks(id).await?;
        let check = checks.get(format!("{MAINTENANCE}{id}"));
        Ok(check.map(|check| check.get("Notes").and_then(Value::as_str).unwrap_or_default().to_owned()))
    }

    /// The agent's checks of a service, by their ids.
    async fn checks(&self, id: &str) -> Result<Value, SourceError> {
        let filter = format!("ServiceID == {}", json!(id));
        let answer = self.ask(Question::get("/v1/agent/checks".to_owned()).with("filter", filter)).await?;
        expect(&answer, "the service's checks")?;
        let checks = serde_json::from_slice(&answer.body);
        checks.map_err(|error| {
            SourceError::new(ErrorClass::Protocol, format!("consul: the agent's checks: {error}"))
        })
    }

    /// Why the agent's checks of the service are not those that were registered, if so.
    async fn checks_differ(&self, record: &Record, body: &Value) -> Result<Option<String>, SourceError> {
        let checks = self.checks(record.id()).await?;
        let is_there = |id: &str| checks.get(id).is_some();
        if let Some(missing) = agent::ttl_checks(body).into_iter().find(|id| !is_there(id)) {
            return Ok(Some(format!("the agent does not know its check {missing}")));
        }
        let in_maintenance = is_there(&format!("{MAINTENANCE}{}", record.id()));
        // Maintenance that an operator has switched on is not ours to end.
        Ok((record.weight() == 0 && !in_maintenance).then(|| "its maintenance was ended".to_owned()))
    }

    async fn service(&self, id: &str) -> Result<Option<Value>, SourceError> {
        let answer = self.ask(Question::get(format!("/v1/agent/service/{}", segment(id)))).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        expect(&answer, "the agent's service")?;
        let service = serde_json::from_slice(&answer.body);
        service.map(Some).map_err(|error| {
            SourceError::new(ErrorClass::Protocol, format!("consul: the agent's service: {error}"))
        })
    }

    async fn ask(&self, mut question: Question) -> Result<Answer, SourceError> {
        let settings = self.api.settings();
        question.query.extend(settings.namespace.clone().map(|name| ("ns", name)));
        question.query.extend(settings.partition.clone().map(|name| ("partition", name)));
        question.token = self.token.clone();
        // A local agent answers at once or not at all.
        question.timeout = Some(settings.timeout.min(Duration::from_secs(5)));
        self.api.ask(question).await
    }
}

/// What puts a service there. One that drains must not pass for a moment before it is in maintenance: a check that is new
/// waits for the sign of life that comes after that, and maintenance that is on already, a check like others to the
/// agent, is not replaced. Nor is an operator's, where the agent has the checks and something else has changed.
fn registration(body: &Value, is_draining: bool, has_checks: bool) -> Question {
    let mut question = Question::put("/v1/agent/service/register".to_owned());
    if !is_draining && !has_checks {
        question = question.with("replace-existing-checks", "true");
    }
    if !is_draining {
        return Question { body: Some(body.to_string().into_bytes()), ..question };
    }
    let mut body = body.clone();
    let checks = body.get_mut("Checks").and_then(Value::as_array_mut).into_iter().flatten();
    for check in checks.filter_map(Value::as_object_mut) {
        check.insert("Status".to_owned(), "critical".into());
    }
    Question { body: Some(body.to_string().into_bytes()), ..question }
}

/// What the agent says where it has lost a service or a check: 404, and 500 from older ones.
fn is_unknown(answer: &Answer) -> bool {
    let text = answer.text();
    answer.status == 404
        || (answer.status == 500 && (text.contains("associated TTL") || text.contains("Unknown")))
}

fn expect(answer: &Answer, what: &str) -> Result<(), SourceError> {
    if answer.is_success() { Ok(()) } else { Err(answer.refusal(what).error) }
}

#[cfg(test)]
#[path = "consul_tests.rs"]
mod with_consul;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_has_lost_a_check_says_so_in_two_ways() {
        let answer =
            |status, text: &str| Answer { status, body: text.as_bytes().to_vec(), ..Answer::default() };
        for (status, text, expected) in [
            (404, "Unknown check ID \"a\". Ensure that the check ID is passed, not the check name.", true),
            (500, "CheckID \"a\" does not have associated TTL", true),
            (500, "Unknown check \"a\"", true),
            (500, "rpc error: No cluster leader", false),
            (403, "Permission denied", false),
            (200, "", false),
        ] {
            assert_eq!(is_unknown(&answer(status, text)), expected, "{status} {text}");
        }
    }
}
