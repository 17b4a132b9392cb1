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

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::json::{self, JsonError, Node};
use crate::model::{Address, AddressError, Endpoint};

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
            "weight" => endpoint.weight = parse_weight(&field)?,
            "zone" => endpoint.zone = Some(field.string()?.to_owned()),
            "metadata" => endpoint.metadata = parse_metadata(&field)?,
            _ => return Err(field.error("is unknown; addresses, weight, zone and metadata are known")),
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

fn parse_weight(node: &Node<'_>) -> Result<u32, JsonError> {
    u32::try_from(node.integer()?).map_err(|_| node.error(format!("must be from 0 to {}", u32::MAX)))
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

    /// The text of a file that may have changed.
    fn read(&mut self) -> io::Result<Option<String>> {
        let mut file = File::open(&self.path).inspect_err(|_| self.seen = None)?;
        let stamp = Stamp::of(&file.metadata()?);
        if self.seen.as_ref() == Some(&stamp) && stamp.is_settled() {
            return Ok(None);
        }
        self.seen = Some(stamp);
        let mut text = String::new();
        if file.by_ref().take(FILE_MAX + 1).read_to_string(&mut text)? as u64 > FILE_MAX {
            return Err(io::Error::other(format!("is larger than {FILE_MAX} bytes")));
        }
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
