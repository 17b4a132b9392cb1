//! Named static lists: what `static:///NAME` looks up.
//!
//! The application fills a [`NamedLists`] itself or keeps the lists in a JSON file:
//!
//! ```json
//! {
//!   "user-service": ["192.168.1.100:8080;weight=3;zone=a", "192.168.1.101:8080"],
//!   "order-service": [{"addresses": ["192.168.1.200:8080", "[2001:db8::200]:8080"], "weight": 2,
//!                      "zone": "b", "metadata": {"version": "v1.0"}}]
//! }
//! ```
//!
//! An object may hold what the text may: `addresses`, at least one, `weight`, `priority`, `zone`, `region`, `condition` (`ready`,
//! `draining` or `unhealthy`) and `metadata`. See [`Endpoint`] for what they mean and for their defaults.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::json::{self, JsonError, Node};
use crate::model::{Address, AddressError, Condition, Endpoint};

/// Largest file that is read, in bytes: a hundred thousand endpoints fit.
const FILE_MAX: u64 = 16 << 20;

/// A file written less than this ago may be written again within its timestamp's resolution.
const SETTLED: Duration = Duration::from_secs(2);

/// Lists of endpoints by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedLists {
    lists: BTreeMap<String, Vec<Endpoint>>,
}

impl NamedLists {
    /// No list at all.
    pub const fn new() -> Self {
        Self { lists: BTreeMap::new() }
    }

    /// Reads the JSON form that the module's documentation shows.
    ///
    /// # Errors
    ///
    /// The first place that is wrong, as in `user-service[1]: port: ...`; nothing is then taken.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let document = json::parse(text)?;
        let lists = Node::root(&document).fields()?.map(|(name, node)| {
            let endpoints = node.elements()?.map(|element| parse_endpoint(&element));
            Ok((name.to_owned(), endpoints.collect::<Result<_, _>>()?))
        });
        Ok(Self { lists: lists.collect::<Result<_, _>>()? })
    }

    /// Sets a list; answers the one that had the name before.
    pub fn insert(&mut self, name: impl Into<String>, endpoints: Vec<Endpoint>) -> Option<Vec<Endpoint>> {
        self.lists.insert(name.into(), endpoints)
    }

    /// Forgets a list; answers it.
    pub fn remove(&mut self, name: &str) -> Option<Vec<Endpoint>> {
        self.lists.remove(name)
    }

    /// The list of that name. A name that is not there has no endpoint: calls to it fail at once,
    /// for a reason that can be told, and do not hang.
    pub fn get(&self, name: &str) -> Option<&[Endpoint]> {
        self.lists.get(name).map(Vec::as_slice)
    }

    /// The names in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lists.keys().map(String::as_str)
    }
}

impl<N: Into<String>> FromIterator<(N, Vec<Endpoint>)> for NamedLists {
    fn from_iter<I: IntoIterator<Item = (N, Vec<Endpoint>)>>(lists: I) -> Self {
        Self { lists: lists.into_iter().map(|(name, endpoints)| (name.into(), endpoints)).collect() }
    }
}

/// What an object that stands for an endpoint may hold.
const KNOWN: [&str; 7] = ["addresses", "weight", "priority", "zone", "region", "condition", "metadata"];

fn parse_endpoint(node: &Node<'_>) -> Result<Endpoint, JsonError> {
    if let Some(text) = node.value().as_str() {
        return text.parse().map_err(|error: AddressError| node.error(error.to_string()));
    }
    let mut endpoint = Endpoint::new(Vec::new());
    for (key, field) in
        node.fields().map_err(|error| JsonError::new(error.path, "must be a string or an object"))?
    {
        match key {
            "addresses" => endpoint.addresses = parse_addresses(&field)?,
            "weight" => endpoint.weight = parse_number(&field)?,
            "priority" => endpoint.priority = parse_number(&field)?,
            "zone" => endpoint.zone = Some(parse_place(&field)?),
            "region" => endpoint.region = Some(parse_place(&field)?),
            "condition" => endpoint.condition = parse_condition(&field)?,
            "metadata" => endpoint.metadata = parse_metadata(&field)?,
            _ => return Err(field.error(format!("is unknown; known: {}", KNOWN.join(", ")))),
        }
    }
    if endpoint.addresses.is_empty() {
        return Err(node.error_at("addresses", "must hold at least one address"));
    }
    Ok(endpoint)
}

fn parse_addresses(node: &Node<'_>) -> Result<Vec<Address>, JsonError> {
    let parse = |element: Node<'_>| {
        element.string()?.parse().map_err(|error: AddressError| element.error(error.to_string()))
    };
    node.elements()?.map(parse).collect()
}

fn parse_number(node: &Node<'_>) -> Result<u32, JsonError> {
    u32::try_from(node.integer()?).map_err(|_| node.error(format!("must be from 0 to {}", u32::MAX)))
}

fn parse_place(node: &Node<'_>) -> Result<String, JsonError> {
    let name = node.string()?;
    if name.is_empty() { Err(node.error("must not be empty")) } else { Ok(name.to_owned()) }
}

fn parse_condition(node: &Node<'_>) -> Result<Condition, JsonError> {
    node.string()?.parse().map_err(|error: AddressError| node.error(error.to_string()))
}

fn parse_metadata(node: &Node<'_>) -> Result<BTreeMap<String, String>, JsonError> {
    node.fields()?.map(|(key, value)| Ok((key.to_owned(), value.string()?.to_owned()))).collect()
}

/// A file of named lists that is read again when it changes.
///
/// It has no thread: [`refresh`](Self::refresh) looks when it is called, once a second, say. A file
/// that is gone, unreadable or wrong never costs the lists read before.
#[derive(Debug)]
pub struct ListFile {
    path: PathBuf,
    seen: Option<Stamp>,
    loaded: bool,
    lists: NamedLists,
    error: Option<String>,
}

/// What [`ListFile::refresh`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// Nothing new, be it good or bad.
    Unchanged,
    /// The lists are new, or were read for the first time, or are right again after an error.
    Changed,
    /// Something is wrong that was not wrong before, or not in this way; the lists are the old ones.
    Failed(String),
}

impl ListFile {
    /// A file that has not been looked at yet: no list, no error.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), seen: None, loaded: false, lists: NamedLists::new(), error: None }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lists as last read without error.
    pub const fn lists(&self) -> &NamedLists {
        &self.lists
    }

    /// What is wrong with the file now, if anything.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Looks at the file and reads it if it changed: another file, length or time of change. Blocks
    /// for as long as the file system takes.
    pub fn refresh(&mut self) -> Refresh {
        match self.read() {
            Ok(None) => Refresh::Unchanged,
            Ok(Some(text)) => self.take(&text),
            Err(error) => self.fail(format!("{}: {error}", self.path.display())),
        }
    }

    /// The text of a file that may have changed. What could not be read is read again the next time.
    fn read(&mut self) -> io::Result<Option<String>> {
        let seen = self.seen.take();
        let file = File::open(&self.path)?;
        let stamp = Stamp::of(&file.metadata()?);
        if stamp.length > FILE_MAX {
            return Err(io::Error::other(format!("is larger than {FILE_MAX} bytes")));
        }
        if seen.as_ref() == Some(&stamp) && stamp.is_settled() {
            self.seen = seen;
            return Ok(None);
        }
        let mut text = String::new();
        file.take(FILE_MAX).read_to_string(&mut text)?;
        self.seen = Some(stamp);
        Ok(Some(text))
    }

    fn take(&mut self, text: &str) -> Refresh {
        let lists = match NamedLists::parse(text) {
            Ok(lists) => lists,
            Err(error) => return self.fail(format!("{}: {error}", self.path.display())),
        };
        let healed = self.error.take().is_some();
        let first = !std::mem::replace(&mut self.loaded, true);
        if !first && !healed && lists == self.lists {
            return Refresh::Unchanged;
        }
        self.lists = lists;
        Refresh::Changed
    }

    fn fail(&mut self, error: String) -> Refresh {
        if self.error.as_ref() == Some(&error) {
            return Refresh::Unchanged;
        }
        self.error = Some(error.clone());
        Refresh::Failed(error)
    }
}

/// What tells that a file is the one that was read, without reading it.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    /// Device and number, so that a file put in another's place is noticed.
    file: (u64, u64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { length: metadata.len(), modified: metadata.modified().ok(), file: file_number(metadata) }
    }

    /// Whether another write would have to show: the last one is long enough ago.
    fn is_settled(&self) -> bool {
        self.modified.and_then(|modified| modified.elapsed().ok()).is_some_and(|age| age >= SETTLED)
    }
}

#[cfg(unix)]
fn file_number(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;

    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn file_number(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn lists(text: &str) -> NamedLists {
        NamedLists::parse(text).unwrap()
    }

    /// A file of this test's own, gone when the test is over.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("evener-{}-{name}.json", std::process::id())))
        }

        fn write(&self, text: &str) {
            fs::write(&self.0, text).unwrap();
        }

        /// Writes as a text of long ago, so that only what the stamp shows can tell.
        fn write_old(&self, text: &str, age: u64) {
            self.write(text);
            let time = SystemTime::now() - Duration::from_secs(age);
            File::options().write(true).open(&self.0).unwrap().set_modified(time).unwrap();
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn the_users_lists() {
        let lists = lists(
            r#"{"user-service": ["192.168.1.100:8080", "192.168.1.101:8080"],
                "order-service": ["192.168.1.200:8080"]}"#,
        );
        let targets =
            |name| -> Option<Vec<_>> { Some(lists.get(name)?.iter().map(ToString::to_string).collect()) };

        assert_eq!(targets("user-service").unwrap(), ["192.168.1.100:8080", "192.168.1.101:8080"]);
        assert_eq!(targets("order-service").unwrap(), ["192.168.1.200:8080"]);
        assert_eq!(targets("nobody"), None);
        assert_eq!(lists.names().collect::<Vec<_>>(), ["order-service", "user-service"]);
    }

    #[test]
    fn an_object_says_the_same_as_a_text() {
        let text = lists(
            r#"{"a": ["10.0.0.1:80|[::1]:80;weight=2;priority=1;zone=b;region=eu;condition=draining;meta.version=v1.0"]}"#,
        );
        let object = lists(
            r#"{"a": [{"addresses": ["10.0.0.1:80", "[::1]:80"], "weight": 2, "priority": 1, "zone": "b", "region": "eu",
                       "condition": "draining", "metadata": {"version": "v1.0"}}]}"#,
        );
        assert_eq!(text, object);
    }

    #[test]
    fn errors_name_the_place() {
        for (text, expected) in [
            ("[]", "the document must be an object"),
            ("{", "the document is not valid JSON"),
            (r#"{"a": [], "a": []}"#, "`a` is there twice"),
            (r#"{"a": "h:80"}"#, "a: must be an array"),
            (r#"{"a": [5]}"#, "a[0]: must be a string or an object"),
            (r#"{"a": ["h:80", "h"]}"#, "a[1]: port: `h` has none"),
            (r#"{"a": ["h:80;weight=x"]}"#, "a[0]: weight: `x` is not a whole number"),
            (r#"{"a": [{}]}"#, "a[0].addresses: must hold at least one address"),
            (r#"{"a": [{"addresses": ["h"]}]}"#, "a[0].addresses[0]: port: `h` has none"),
            (
                r#"{"a": [{"addresses": ["h:80"], "weight": -1}]}"#,
                "a[0].weight: must be from 0 to 4294967295",
            ),
            (
                r#"{"a": [{"addresses": ["h:80"], "wait": 1}]}"#,
                "a[0].wait: is unknown; known: addresses, weight",
            ),
            (r#"{"a": [{"addresses": ["h:80"], "priority": 1.5}]}"#, "a[0].priority: must be"),
            (r#"{"a": [{"addresses": ["h:80"], "region": ""}]}"#, "a[0].region: must not be empty"),
            (
                r#"{"a": [{"addresses": ["h:80"], "condition": "tired"}]}"#,
                "a[0].condition: condition: `tired`",
            ),
            (
                r#"{"a": [{"addresses": ["h:80"], "metadata": {"k": 1}}]}"#,
                "a[0].metadata.k: must be a string",
            ),
        ] {
            let error = NamedLists::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_is_read_again_when_it_changes() {
        let scratch = Scratch::new("changes");
        let mut file = ListFile::new(&scratch.0);

        scratch.write(r#"{"a": ["h:1"]}"#);
        assert_eq!(file.refresh(), Refresh::Changed);
        assert_eq!(file.lists(), &lists(r#"{"a": ["h:1"]}"#));
        assert_eq!(file.refresh(), Refresh::Unchanged);

        // The same length and, as far as timestamps go, maybe the same time.
        scratch.write(r#"{"a": ["h:2"]}"#);
        assert_eq!(file.refresh(), Refresh::Changed);
        assert_eq!(file.lists(), &lists(r#"{"a": ["h:2"]}"#));

        // Another text that says the same.
        scratch.write(r#"{ "a": ["h:2"] }"#);
        assert_eq!(file.refresh(), Refresh::Unchanged);
    }

    #[test]
    fn an_old_file_is_read_again_when_its_stamp_changes() {
        let scratch = Scratch::new("stamp");
        let mut file = ListFile::new(&scratch.0);

        scratch.write_old(r#"{"a": ["h:1"]}"#, 100);
        assert_eq!(file.refresh(), Refresh::Changed);
        assert_eq!(file.refresh(), Refresh::Unchanged);
        scratch.write_old(r#"{"a": ["h:2"]}"#, 50);
        assert_eq!(file.refresh(), Refresh::Changed);
        scratch.write_old(r#"{"a": ["h:33"]}"#, 50);
        assert_eq!(file.refresh(), Refresh::Changed);
    }

    #[test]
    fn a_wrong_file_costs_nothing_and_is_reported_once() {
        let scratch = Scratch::new("wrong");
        let mut file = ListFile::new(&scratch.0);
        let failed = |refresh| matches!(refresh, Refresh::Failed(_));

        assert!(failed(file.refresh()));
        assert!(file.error().is_some_and(|error| error.contains("wrong.json")));
        assert_eq!(file.refresh(), Refresh::Unchanged);

        scratch.write(r#"{"a": ["h:1"]}"#);
        assert_eq!(file.refresh(), Refresh::Changed);
        assert_eq!(file.error(), None);

        scratch.write(r#"{"a": ["h"]}"#);
        assert!(failed(file.refresh()));
        assert_eq!(file.refresh(), Refresh::Unchanged);
        assert_eq!(file.lists(), &lists(r#"{"a": ["h:1"]}"#));
        assert!(file.error().is_some_and(|error| error.contains("a[0]: port: `h` has none")));

        fs::remove_file(&scratch.0).unwrap();
        assert!(failed(file.refresh()));
        assert_eq!(file.lists(), &lists(r#"{"a": ["h:1"]}"#));

        // Right again, though nothing in it is new: the error is over.
        scratch.write(r#"{"a": ["h:1"]}"#);
        assert_eq!(file.refresh(), Refresh::Changed);
        assert_eq!(file.error(), None);
    }

    #[test]
    fn a_file_too_large_is_refused() {
        let scratch = Scratch::new("large");
        File::create(&scratch.0).unwrap().set_len(FILE_MAX + 1).unwrap();
        let mut file = ListFile::new(&scratch.0);
        assert!(
            matches!(file.refresh(), Refresh::Failed(error) if error.contains("is larger than 16777216 bytes"))
        );
    }

    #[test]
    fn an_empty_file_of_lists_is_a_first_answer() {
        let scratch = Scratch::new("empty");
        let mut file = ListFile::new(&scratch.0);
        scratch.write("{}");
        assert_eq!(file.refresh(), Refresh::Changed);
        assert_eq!(file.refresh(), Refresh::Unchanged);
    }

    proptest! {
        #[test]
        fn never_panics(text in r#"[\[\]{}:,"a-h0-9.;= ]{0,60}"#) {
            let _ = NamedLists::parse(&text);
        }
    }
}
