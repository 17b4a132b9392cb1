//! What the watches of several places say, as one story.

use crate::event::{Event, Part, SourceError};
use crate::model::Endpoint;
use crate::target::ConsulPlace;

/// What the watch of one place says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Report {
    /// Its endpoints are others than before, as far as the answer is not in doubt.
    Changed { endpoints: Vec<Endpoint>, index: Option<u64>, doubt: Option<SourceError> },
    /// It was asked, and nothing has changed.
    Same { index: Option<u64> },
    /// It cannot be asked.
    Failed(SourceError),
    /// Instances were left out.
    Skipped { count: u64, example: String },
}

impl Report {
    /// The same, but it may not be so any more.
    pub fn doubted(self, error: &SourceError) -> Self {
        match self {
            Self::Changed { endpoints, index, .. } => {
                Self::Changed { endpoints, index, doubt: Some(error.clone()) }
            }
            report => report,
        }
    }
}

/// Puts together what the places say.
///
/// Nothing is told before the first place has answered or failed: a failover's endpoints must not be seen alone just because its
/// answer was quicker. While any place cannot be asked the whole counts as not fresh, and says why.
#[derive(Debug)]
pub(crate) struct Gather {
    places: Vec<Place>,
    has_begun: bool,
    /// After a failure the next change is told with everything that is known.
    is_torn: bool,
}

#[derive(Debug, Default)]
struct Place {
    title: String,
    endpoints: Option<Vec<Endpoint>>,
    index: Option<u64>,
    error: Option<SourceError>,
}

impl Gather {
    pub fn new(places: &[ConsulPlace]) -> Self {
        let place = |place: &ConsulPlace| Place { title: place.title(), ..Place::default() };
        Self { places: places.iter().map(place).collect(), has_begun: false, is_torn: false }
    }

    /// Takes a report of the place with this number, and says what it means.
    pub fn report(&mut self, number: usize, report: Report) -> Vec<Event> {
        let Some(place) = self.places.get_mut(number) else { return Vec::new() };
        match report {
            Report::Skipped { count, example } => vec![Event::Skipped { count, example }],
            Report::Failed(error) => {
                self.is_torn = true;
                place.error = Some(error.clone());
                let begun = self.begin();
                begun.into_iter().chain([Event::Failed(error)]).collect()
            }
            Report::Same { index } => {
                (place.index, place.error) = (index, None);
                // What was never told cannot be confirmed, but may be told now.
                let told = if self.has_begun { Some(self.confirmed()) } else { self.begin() };
                told.into_iter().collect()
            }
            Report::Changed { endpoints, index, doubt } => {
                (place.endpoints, place.index, place.error) = (Some(endpoints), index, doubt);
                let change = if self.has_begun { Some(self.change(number)) } else { self.begin() };
                change.into_iter().collect()
            }
        }
    }

    fn confirmed(&self) -> Event {
        self.told(Event::Confirmed { revision: self.revision() })
    }

    fn begin(&mut self) -> Option<Event> {
        if self.has_begun {
            return None;
        }
        let first = self.places.iter().position(|place| place.endpoints.is_some())?;
        if self.places.iter().take(first).any(|place| place.error.is_none()) {
            return None;
        }
        // That there is none is not known while another place, which may have some, cannot be asked.
        let has_some = |place: &Place| place.endpoints.as_ref().is_some_and(|known| !known.is_empty());
        if self.failing().is_some() && !self.places.iter().any(has_some) {
            return None;
        }
        self.has_begun = true;
        Some(self.told(self.reset()))
    }

    fn change(&mut self, number: usize) -> Event {
        if std::mem::take(&mut self.is_torn) {
            return self.told(self.reset());
        }
        let changed = self.places.get(number).and_then(part).into_iter().collect();
        self.told(Event::Apply { changed, removed: Vec::new(), revision: self.revision() })
    }

    fn reset(&self) -> Event {
        Event::Reset { parts: self.places.iter().filter_map(part).collect(), revision: self.revision() }
    }

    /// An answer of one place, with what the others suffer from.
    fn told(&self, event: Event) -> Event {
        match self.failing() {
            Some(error) => Event::Partly { said: Box::new(event), error: error.clone() },
            None => event,
        }
    }

    fn failing(&self) -> Option<&SourceError> {
        self.places.iter().find_map(|place| place.error.as_ref())
    }

    /// The index, or each place's.
    fn revision(&self) -> Option<String> {
        if let [place] = self.places.as_slice() {
            return place.index.map(|index| index.to_string());
        }
        let one = |place: &Place| place.index.map(|index| format!("{} {index}", place.title));
        let all: Vec<String> = self.places.iter().filter_map(one).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

fn part(place: &Place) -> Option<Part> {
    Some(Part { key: place.title.clone(), endpoints: place.endpoints.clone()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ErrorClass;

    fn two() -> Gather {
        Gather::new(&[ConsulPlace::Own, ConsulPlace::Datacenter("b".to_owned())])
    }

    fn changed(address: &str, index: u64) -> Report {
        let endpoints = vec![address.parse().unwrap()];
        Report::Changed { endpoints, index: Some(index), doubt: None }
    }

    fn empty(index: u64) -> Report {
        Report::Changed { endpoints: Vec::new(), index: Some(index), doubt: None }
    }

    fn error() -> SourceError {
        SourceError::new(ErrorClass::Timeout, "no answer")
    }

    fn shown(events: &[Event]) -> Vec<String> {
        let parts = |parts: &[Part]| {
            let parts: Vec<String> =
                parts.iter().map(|part| format!("{}={}", part.key, part.endpoints.len())).collect();
            parts.join(" ")
        };
        let one = |event: &Event| match event {
            Event::Reset { parts: all, revision } => {
                format!("reset {} @{}", parts(all), revision.clone().unwrap_or_default())
            }
            Event::Apply { changed, revision, .. } => {
                format!("apply {} @{}", parts(changed), revision.clone().unwrap_or_default())
            }
            Event::Confirmed { .. } => "confirmed".to_owned(),
            Event::Failed(error) => format!("failed {error}"),
            Event::Partly { said, error } => {
                format!("{} while {error}", shown(std::slice::from_ref(&**said)).concat())
            }
            Event::Skipped { count, .. } => format!("skipped {count}"),
            Event::ServiceConfig(_) => "config".to_owned(),
        };
        events.iter().map(one).collect()
    }

    #[test]
    fn a_failover_is_not_seen_before_the_first_place_has_spoken() {
        let mut gather = two();
        assert!(gather.report(1, changed("10.0.0.2:1", 7)).is_empty());
        assert!(gather.report(1, Report::Same { index: Some(7) }).is_empty());
        let events = gather.report(0, changed("10.0.0.1:1", 5));
        assert_eq!(
            shown(&events),
            ["reset the agent's datacenter=1 datacenter b=1 @the agent's datacenter 5, datacenter b 7"]
        );
        let events = gather.report(1, changed("10.0.0.3:1", 8));
        assert_eq!(shown(&events), ["apply datacenter b=1 @the agent's datacenter 5, datacenter b 8"]);
    }

    #[test]
    fn nothing_is_confirmed_before_anything_is_told() {
        let mut gather = two();
        assert_eq!(shown(&gather.report(1, Report::Failed(error()))), ["failed no answer"]);
        assert!(gather.report(1, changed("10.0.0.2:1", 7)).is_empty());
        for _ in 0..2 {
            assert!(gather.report(1, Report::Same { index: Some(7) }).is_empty());
        }
        gather.report(0, changed("10.0.0.1:1", 5));
        assert_eq!(shown(&gather.report(1, Report::Same { index: Some(7) })), ["confirmed"]);
    }

    #[test]
    fn a_failover_serves_where_the_first_place_cannot_be_asked() {
        let mut gather = two();
        assert_eq!(shown(&gather.report(0, Report::Failed(error()))), ["failed no answer"]);
        let events = gather.report(1, changed("10.0.0.2:1", 7));
        assert_eq!(shown(&events), ["reset datacenter b=1 @datacenter b 7 while no answer"]);
        let mut gather = two();
        gather.report(1, changed("10.0.0.2:1", 7));
        let events = gather.report(0, Report::Failed(error()));
        assert_eq!(
            shown(&events),
            ["reset datacenter b=1 @datacenter b 7 while no answer", "failed no answer"]
        );
    }

    #[test]
    fn the_whole_is_fresh_only_where_every_place_is() {
        let mut gather = two();
        gather.report(0, changed("10.0.0.1:1", 5));
        gather.report(1, changed("10.0.0.2:1", 7));
        assert_eq!(shown(&gather.report(1, Report::Failed(error()))), ["failed no answer"]);
        assert_eq!(shown(&gather.report(0, Report::Same { index: Some(6) })), ["confirmed while no answer"]);
        let events = gather.report(0, changed("10.0.0.9:1", 9));
        assert_eq!(
            shown(&events),
            [
                "reset the agent's datacenter=1 datacenter b=1 @the agent's datacenter 9, datacenter b 7 while no answer"
            ]
        );
        let events = gather.report(0, changed("10.0.0.8:1", 10));
        assert!(shown(&events)[0].starts_with("apply ") && shown(&events)[0].ends_with(" while no answer"));
        assert_eq!(shown(&gather.report(1, Report::Same { index: Some(7) })), ["confirmed"]);
    }

    #[test]
    fn that_there_is_none_is_not_said_while_a_place_cannot_be_asked() {
        let mut gather = two();
        assert_eq!(shown(&gather.report(0, Report::Failed(error()))), ["failed no answer"]);
        assert!(gather.report(1, empty(7)).is_empty());
        assert!(gather.report(1, Report::Same { index: Some(8) }).is_empty());
        let events = gather.report(0, empty(5));
        assert_eq!(
            shown(&events),
            ["reset the agent's datacenter=0 datacenter b=0 @the agent's datacenter 5, datacenter b 8"]
        );
        // Both are empty, and one cannot be asked for a while.
        let mut gather = two();
        assert!(gather.report(1, empty(7)).is_empty());
        assert_eq!(shown(&gather.report(1, Report::Failed(error()))), ["failed no answer"]);
        assert!(gather.report(0, empty(5)).is_empty());
        let events = gather.report(1, Report::Same { index: Some(7) });
        assert!(shown(&events)[0].starts_with("reset ") && events.len() == 1, "{events:?}");
    }

    #[test]
    fn the_reason_is_that_of_a_place_that_still_cannot_be_asked() {
        let places = ["a", "b", "c"].map(|name| ConsulPlace::Datacenter(name.to_owned()));
        let mut gather = Gather::new(&places);
        gather.report(0, changed("10.0.0.1:1", 5));
        for number in [2, 1] {
            let text = format!("{number} is away");
            gather.report(number, Report::Failed(SourceError::new(ErrorClass::Timeout, text)));
        }
        let events = gather.report(1, changed("10.0.0.2:1", 7));
        assert!(shown(&events)[0].ends_with("while 2 is away"), "{events:?}");
        assert_eq!(shown(&gather.report(1, Report::Same { index: Some(7) })), ["confirmed while 2 is away"]);
    }

    #[test]
    fn an_answer_that_is_doubted_is_no_recovery() {
        let mut gather = Gather::new(&[ConsulPlace::Own]);
        gather.report(0, Report::Failed(error()));
        let endpoints = vec!["10.0.0.1:1".parse().unwrap()];
        let events = gather.report(0, Report::Changed { endpoints, index: Some(3), doubt: Some(error()) });
        assert_eq!(shown(&events), ["reset the agent's datacenter=1 @3 while no answer"]);
        assert_eq!(shown(&gather.report(0, Report::Same { index: Some(4) })), ["confirmed"]);
    }
}
