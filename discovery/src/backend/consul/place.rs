//! The instances of a service in one place, watched.

use std::sync::Arc;

use tokio::sync::Notify;

use super::api::{Answer, Api, Refusal, segment};
use super::gather::Report;
use super::poller::{Outcome, Poller};
use super::subset;
use crate::event::{ErrorClass, SourceError};
use crate::model::Endpoint;
use crate::record::consul::health::{self, Health, Mapping};
use crate::runtime::Dice;
use crate::target::{ConsulPlace, ConsulTarget};

/// The watch of one place.
pub(crate) struct PlaceWatch {
    poller: Poller,
    mapping: Mapping,
    service: String,
    title: String,
    limit: Option<u32>,
    /// Chooses this process's part where there is a limit.
    seed: u64,
    known: Option<Vec<Endpoint>>,
    /// Something was left out of what is known, since the token may not read it.
    was_filtered: bool,
    /// What was said to have been left out.
    skipped: Option<(u64, Option<String>)>,
    /// An empty answer came, and is asked for again before it is believed.
    is_confirming: bool,
}

impl PlaceWatch {
    pub fn new(
        api: &Arc<Api>,
        target: &ConsulTarget,
        number: usize,
        hint: Arc<Notify>,
        dice: Dice,
        seed: u64,
    ) -> Self {
        let place = target.places.get(number).cloned().unwrap_or(ConsulPlace::Own);
        let title = format!("service {} in {}", target.service, place.title());
        let path = format!("/v1/health/service/{}", segment(&target.service));
        let poller = Poller::new(Arc::clone(api), target, title.clone(), path, hint, dice);
        Self {
            poller: poller.at(&place).with("filter", filter(target)),
            mapping: Mapping::of(target, number),
            service: target.service.clone(),
            title,
            limit: target.limit,
            seed,
            known: None,
            was_filtered: false,
            skipped: None,
            is_confirming: false,
        }
    }

    /// Watches, for ever: ends only with an error that asking again cannot help.
    pub async fn run(mut self, report: impl Fn(Report)) -> SourceError {
        loop {
            match self.next().await {
                Ok(reports) => reports.into_iter().for_each(&report),
                Err(error) if error.class == ErrorClass::Config => return error,
                Err(error) => {
                    // What was heard before an outage confirms nothing after it.
                    self.is_confirming = false;
                    report(Report::Failed(error));
                }
            }
        }
    }

    async fn next(&mut self) -> Result<Vec<Report>, SourceError> {
        let Outcome { answer, doubt } = self.poller.next().await?;
        let health = health::decode(&answer.body, &self.mapping);
        let health = match health {
            Ok(health) => health,
            Err(reason) => return Err(self.refuse(ErrorClass::Protocol, &reason)),
        };
        if let Err(refusal) = self.believe(&answer, &health).await {
            return Err(self.poller.refuse(refusal));
        }
        if let Some(doubt) = doubt {
            return self.doubted(health, &answer, doubt);
        }
        if health.endpoints.is_empty() && self.knows_any() && !self.is_confirming {
            self.is_confirming = true;
            self.poller.confirm();
            return Ok(Vec::new());
        }
        self.is_confirming = false;
        Ok(self.take(health, &answer))
    }

    fn take(&mut self, health: Health, answer: &Answer) -> Vec<Report> {
        let mut reports = Vec::new();
        let left_out = (health.skipped, health.example);
        if left_out.0 > 0 && self.skipped.as_ref() != Some(&left_out) {
            let example = left_out.1.clone().unwrap_or_default();
            reports.push(Report::Skipped { count: left_out.0, example });
        }
        self.skipped = Some(left_out);
        let endpoints = subset::choose(health.endpoints, self.limit, self.seed);
        let changed = self.known.as_ref() != Some(&endpoints);
        self.poller.settle(answer, changed);
        self.was_filtered = answer.is_filtered;
        let index = answer.index;
        if changed {
            self.known = Some(endpoints.clone());
            reports.push(Report::Changed { endpoints, index, doubt: None });
        } else {
            reports.push(Report::Same { index });
        }
        reports
    }

    /// An answer that is too old serves only whoever knows nothing at all.
    fn doubted(
        &mut self,
        health: Health,
        answer: &Answer,
        doubt: Refusal,
    ) -> Result<Vec<Report>, SourceError> {
        if self.known.is_some() || health.endpoints.is_empty() {
            return Err(self.poller.refuse(doubt));
        }
        let reports = self.take(health, answer);
        let error = self.poller.refuse(doubt);
        let doubted = reports.into_iter().map(|report| report.doubted(&error));
        Ok(doubted.chain([Report::Failed(error.clone())]).collect())
    }

    fn knows_any(&self) -> bool {
        self.known.as_ref().is_some_and(|known| !known.is_empty())
    }

    /// Whether an answer that lacks something says the truth. Consul leaves out what a token may not read, and says so only
    /// to a token: whoever has none, or whose token was deleted while the question waited, sees an empty list.
    ///
    /// A token that may read some of the nodes only is told so with every answer, which then means nothing by itself.
    async fn believe(&self, answer: &Answer, health: &Health) -> Result<(), Refusal> {
        let title = &self.title;
        if health.endpoints.is_empty() && health.skipped > 0 && self.knows_any() {
            let example = health.example.as_deref().unwrap_or_default();
            let text =
                format!("consul: {title}: none of the instances can be understood; one of them: {example}");
            return Err(SourceError::new(ErrorClass::Protocol, text).into());
        }
        let lost_sight = !self.was_filtered && self.lacks_known(health);
        if answer.is_filtered && (health.endpoints.is_empty() || lost_sight) {
            let text = format!(
                "consul: {title}: instances were left out of the answer, since the ACL token may not read them (it needs service:read and node:read)"
            );
            return Err(SourceError::new(ErrorClass::Denied, text).into());
        }
        if health.endpoints.is_empty() && health.skipped == 0 {
            self.poller.may_read("service", &self.service).await?;
        }
        Ok(())
    }

    fn lacks_known(&self, health: &Health) -> bool {
        let there =
            |endpoint: &Endpoint| health.endpoints.iter().any(|other| other.addresses == endpoint.addresses);
        self.known.iter().flatten().any(|known| !there(known))
    }

    fn refuse(&mut self, class: ErrorClass, reason: &str) -> SourceError {
        let text = format!("consul: {}: {reason}", self.title);
        self.poller.refuse(SourceError::new(class, text))
    }
}

/// The filter of a target and its tags, in Consul's language. Agents too old to know `filter` ignore it; tags are looked
/// at again here.
fn filter(target: &ConsulTarget) -> Option<String> {
    let tags = target.tags.iter().filter_map(|tag| Some(format!("{} in Service.Tags", quoted(tag)?)));
    let own = target.filter.iter().map(|filter| format!("({filter})"));
    let all: Vec<String> = own.chain(tags).collect();
    (!all.is_empty()).then(|| all.join(" and "))
}

/// A text as the filter language has it: in one of two kinds of quotes, neither of which can be escaped. None for what
/// fits into neither.
fn quoted(text: &str) -> Option<String> {
    let fits = |quotes: &[char]| !text.contains(|c: char| c.is_control() || quotes.contains(&c));
    if fits(&['"', '\\']) {
        return Some(format!("\"{text}\""));
    }
    fits(&['`']).then(|| format!("`{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    #[test]
    fn tags_become_a_filter() {
        for (query, expected) in [
            ("", None),
            ("?tag=b&tag=a", Some(r#""a" in Service.Tags and "b" in Service.Tags"#)),
            ("?filter=x==1&tag=a", Some(r#"(x==1) and "a" in Service.Tags"#)),
            ("?tag=%22%5C", Some(r#"`"\` in Service.Tags"#)),
            ("?tag=%22%60", None),
            ("?tag=%07", None),
        ] {
            let Ok(Target::Consul(target)) = Target::parse(&format!("consul:///s{query}")) else {
                unreachable!()
            };
            assert_eq!(filter(&target).as_deref(), expected);
        }
    }
}
