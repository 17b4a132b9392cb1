//! Names by DNS: A and AAAA, SRV, and service configs in TXT, asked again as the records' time to live says.
//!
//! "There is none" (NXDOMAIN, or no record of the kind) is an answer and told as such, for as long as its own time to
//! live; no answer, SERVFAIL and REFUSED are not, and leave what is known. Of a name's two families, and of a
//! service's many hosts, each that cannot be asked keeps its last addresses while the others go on.

mod config;
mod environment;
mod host;
mod names;
mod question;
mod schedule;
mod service;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::Either;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::backend::{Feed, Opener};
use crate::event::{Event, Part, SourceError};
use crate::runtime::{Dice, WatchOptions};
use crate::target::{DnsParameters, DnsTarget, SrvTarget};

use config::ConfigWatch;
use environment::{Environment, Files};
use schedule::Schedule;

/// How long one question may take unless the target says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a name or a service is found to be.
struct Found {
    parts: Vec<Part>,
    /// For how long that holds, if anybody said so.
    ttl: Option<Duration>,
    /// Hosts without an answer, or without one for a family since now, and why the last one has none.
    skipped: Option<(u64, String)>,
}

/// What is looked up again and again.
enum Subject {
    Host { name: String, port: u16, last: host::Addresses },
    Service { name: String, last: BTreeMap<String, host::Addresses> },
}

/// The backend of a `dns:` target.
pub(super) fn open(target: &DnsTarget, options: &WatchOptions) -> Result<Opener, SourceError> {
    open_with(target, options, Files::default())
}

/// The backend of a `dns+srv:` target.
pub(super) fn open_service(target: &SrvTarget, options: &WatchOptions) -> Result<Opener, SourceError> {
    let subject = Subject::Service { name: target.name.clone(), last: BTreeMap::new() };
    let environment = environment(&target.servers, &target.parameters, options, Files::default())?;
    Ok(opener(Watch::new(subject, environment, &target.parameters, options)))
}

fn open_with(target: &DnsTarget, options: &WatchOptions, files: Files) -> Result<Opener, SourceError> {
    let last = host::Addresses::default();
    let subject = Subject::Host { name: target.host.clone(), port: target.port, last };
    let environment = environment(&target.servers, &target.parameters, options, files)?;
    let mut watch = Watch::new(subject, environment, &target.parameters, options);
    if options.dns.service_config {
        watch.config = Some(ConfigWatch::new(&target.host, &options.dns.language, &mut watch.dice));
    }
    Ok(opener(watch))
}

fn environment(
    servers: &[crate::Address],
    parameters: &DnsParameters,
    options: &WatchOptions,
    files: Files,
) -> Result<Environment, SourceError> {
    let servers = match servers {
        [] => options.dns.servers.iter().copied().map(crate::Address::Ip).collect(),
        servers => servers.to_vec(),
    };
    Environment::new(servers, parameters.timeout.unwrap_or(TIMEOUT), files)
}

fn opener(watch: Watch) -> Opener {
    Box::new(move |feed| Box::pin(watch.run(feed)))
}

struct Watch {
    subject: Subject,
    environment: Environment,
    parameters: DnsParameters,
    schedule: Schedule,
    dice: Dice,
    config: Option<ConfigWatch>,
    /// What was said last, while nothing has failed since.
    said: Option<Vec<Part>>,
}

impl Watch {
    fn new(
        subject: Subject,
        environment: Environment,
        parameters: &DnsParameters,
        options: &WatchOptions,
    ) -> Self {
        Self {
            subject,
            environment,
            parameters: parameters.clone(),
            schedule: Schedule::new(&options.dns.with(parameters)),
            dice: Dice::new(options.seed),
            config: None,
            said: None,
        }
    }

    async fn run(mut self, feed: Feed) -> SourceError {
        loop {
            let found = self.look_up(&feed).await;
            let answered = Instant::now();
            match found {
                Ok(found) => {
                    let next = answered + self.schedule.after(found.ttl, &mut self.dice);
                    self.say(found, &feed);
                    // A hint that comes too early is kept until it may be followed.
                    if timeout_at(next, feed.hinted()).await.is_ok() {
                        sleep_until(answered + self.schedule.least()).await;
                    }
                }
                Err(error) => {
                    self.said = None;
                    self.environment.distrust();
                    feed.send(Event::Failed(error));
                    sleep_until(answered + self.schedule.after_failure(&mut self.dice)).await;
                }
            }
        }
    }

    /// Looks the subject up, and its service config beside it, which is said first where both are there.
    async fn look_up(&mut self, feed: &Feed) -> Result<Found, SourceError> {
        self.environment.refresh().await?;
        let Self { subject, environment, parameters, config, .. } = self;
        let endpoints = subject.look_up(environment, parameters);
        let Some(config) = config else { return endpoints.await };
        let (found, chosen) = question::with_grace(endpoints, config.look_up(environment), |done| {
            matches!(done, Either::Left(_))
        })
        .await;
        if let Some(event) = chosen.and_then(|chosen| config.take(chosen)) {
            feed.send(event);
        }
        found.unwrap_or_else(|| Err(question::no_answer("nobody answered")))
    }

    fn say(&mut self, found: Found, feed: &Feed) {
        if let Some((count, example)) = found.skipped {
            feed.send(Event::Skipped { count, example });
        }
        if self.said.as_ref() == Some(&found.parts) {
            feed.send(Event::Confirmed { revision: None });
            return;
        }
        self.said = Some(found.parts.clone());
        feed.send(Event::Reset { parts: found.parts, revision: None });
    }
}

impl Subject {
    async fn look_up(
        &mut self,
        environment: &Environment,
        parameters: &DnsParameters,
    ) -> Result<Found, SourceError> {
        match self {
            Self::Host { name, port, last } => {
                let answer = host::look_up(environment, name, parameters.family).await?;
                let ttl = answer.ttl;
                let skipped = last.take(answer).map(|reason| (1, reason));
                Ok(Found { parts: last.parts(*port, parameters.grouped), ttl, skipped })
            }
            Self::Service { name, last } => service::look_up(environment, name, parameters, last).await,
        }
    }
}

#[cfg(test)]
mod tests;
