//! The service config that a name's TXT records hold (gRFC A2).

use hickory_resolver::proto::rr::{RData, Record, RecordType};

use super::environment::Environment;
use super::question::{Answer, ask_in_turn};
use crate::event::{Event, SourceError};
use crate::record::txt::{self, Client};
use crate::runtime::Dice;

/// Watches one name's service config, and tells what is new of it.
pub(super) struct ConfigWatch {
    name: String,
    client: Client,
    said: Option<Option<String>>,
    complained: Option<String>,
}

/// What was found: a config or none, or why what is there is none.
pub(super) type Chosen = Result<Result<Option<String>, String>, SourceError>;

impl ConfigWatch {
    pub(super) fn new(host: &str, language: &str, dice: &mut Dice) -> Self {
        let draw = u8::try_from(dice.roll() % 100).unwrap_or_default();
        let client = Client { language: language.to_owned(), host_name: host_name(), draw };
        Self { name: format!("{}{host}", txt::PREFIX), client, said: None, complained: None }
    }

    pub(super) async fn look_up(&self, environment: &Environment) -> Chosen {
        match ask_in_turn(environment, &environment.candidates(&self.name)?, RecordType::TXT).await? {
            Answer::Records { answers, .. } => Ok(self.choose(&answers)),
            Answer::Nothing { .. } => Ok(Ok(None)),
        }
    }

    /// The config of the first record that holds some.
    fn choose(&self, answers: &[Record]) -> Result<Option<String>, String> {
        let attribute = |record: &Record| match &record.data {
            RData::TXT(txt) => txt::attribute(&txt.txt_data).transpose(),
            _ => None,
        };
        match answers.iter().find_map(attribute) {
            Some(text) => txt::choose(&text?, &self.client),
            None => Ok(None),
        }
    }

    /// What is to be said of it. A config that is wrong, or cannot be asked for, leaves the one before in force.
    pub(super) fn take(&mut self, chosen: Chosen) -> Option<Event> {
        match chosen.ok()? {
            Ok(config) if self.said.as_ref() == Some(&config) => None,
            Ok(config) => {
                self.complained = None;
                // Nothing where nothing has been is no news.
                let is_news = self.said.is_some() || config.is_some();
                self.said = Some(config.clone());
                is_news.then_some(Event::ServiceConfig(config))
            }
            Err(reason) if self.complained.as_ref() == Some(&reason) => None,
            Err(reason) => {
                self.complained = Some(reason.clone());
                Some(Event::Skipped { count: 1, example: format!("{}: {reason}", self.name) })
            }
        }
    }
}

/// The host's name, as Linux tells it without a call; empty where nobody does.
fn host_name() -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let told = told.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    told.map(|name| name.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ErrorClass;

    #[test]
    fn only_what_is_new_is_said_and_what_is_wrong_changes_nothing() {
        let mut watch = ConfigWatch::new("user", "rust", &mut Dice::new(Some(1)));
        let config = |text: &str| Ok(Ok(Some(text.to_owned())));
        assert_eq!(watch.take(Ok(Ok(None))), None);
        assert_eq!(watch.take(config("{}")), Some(Event::ServiceConfig(Some("{}".to_owned()))));
        assert_eq!(watch.take(config("{}")), None);
        let skipped = watch.take(Ok(Err("is wrong".to_owned())));
        assert!(
            matches!(skipped, Some(Event::Skipped { count: 1, example }) if example == "_grpc_config.user: is wrong")
        );
        assert_eq!(watch.take(Ok(Err("is wrong".to_owned()))), None);
        assert_eq!(watch.take(Err(SourceError::new(ErrorClass::Timeout, "no answer"))), None);
        assert_eq!(watch.take(config("{}")), None);
        assert_eq!(watch.take(Ok(Ok(None))), Some(Event::ServiceConfig(None)));
    }
}
