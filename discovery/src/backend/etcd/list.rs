//! Everything there is in some ranges of keys, as of one revision.

use std::time::Duration;

use etcd_client::{GetOptions, GetResponse, KeyValue, KvClient};
use tokio::time::timeout;

use super::failure::{Failure, Kind};

/// Keys per answer: what fits into etcd's default limit of a message even where records are large.
const PAGE: i64 = 500;
/// How long one answer may take. Shorter than a channel waits for its first endpoints, so that there is time to read
/// from a member that cannot reach the others.
const ANSWER: Duration = Duration::from_secs(3);

/// Keys that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// The first key.
    pub key: String,
    /// The first key after the range; `None` where it is one key.
    pub end: Option<Vec<u8>>,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// The content of some ranges at one revision.
pub(crate) struct Listing {
    pub entries: Vec<Entry>,
    pub revision: i64,
    /// Which cluster answered: another one counts its revisions anew.
    pub cluster: u64,
    /// The ranges that the user may not read, by their index; never all of them.
    pub denied: Vec<usize>,
}

impl Range {
    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: &str) -> Self {
        let mut end = prefix.as_bytes().to_vec();
        while let Some(last) = end.pop() {
            if last < u8::MAX {
                end.push(last + 1);
                break;
            }
        }
        // Without an end that is larger than the prefix: all keys from there on.
        let end = if end.is_empty() { vec![0] } else { end };
        Self { key: prefix.to_owned(), end: Some(end) }
    }

    /// One key.
    pub fn key(key: &str) -> Self {
        Self { key: key.to_owned(), end: None }
    }

    fn options(&self) -> GetOptions {
        let options = GetOptions::new().with_limit(PAGE);
        match &self.end {
            Some(end) => options.with_range(end.clone()),
            None => options,
        }
    }
}

/// Reads the ranges. Serializable, a member answers from what it has itself, which may be old.
pub(crate) async fn list(
    kv: &mut KvClient,
    ranges: &[Range],
    is_serializable: bool,
) -> Result<Listing, Failure> {
    let mut listing = Listing { entries: Vec::new(), revision: 0, cluster: 0, denied: Vec::new() };
    let mut denial = None;
    for (index, range) in ranges.iter().enumerate() {
        match read(kv, range, is_serializable, &mut listing).await {
            Err(failure) if failure.kind == Kind::Denied => {
                listing.denied.push(index);
                denial = Some(failure);
            }
            answer => answer?,
        }
    }
    match denial {
        Some(failure) if listing.denied.len() == ranges.len() => Err(failure),
        _ => Ok(listing),
    }
}

/// Whether the user may read a range by now, as far as one member knows: nobody else is troubled with it.
///
/// # Errors
/// The token of the user no longer counts. Whatever else goes wrong is no right to read.
pub(crate) async fn may_read(kv: &mut KvClient, range: &Range) -> Result<bool, Failure> {
    let options = range.options().with_count_only().with_serializable();
    match timeout(ANSWER, kv.get(range.key.clone(), Some(options))).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(error)) => match Failure::from(error) {
            failure if failure.kind == Kind::Token => Err(failure),
            _ => Ok(false),
        },
        Err(_) => Ok(false),
    }
}

async fn read(
    kv: &mut KvClient,
    range: &Range,
    is_serializable: bool,
    listing: &mut Listing,
) -> Result<(), Failure> {
    let mut key = range.key.clone().into_bytes();
    loop {
        // The first answer says which revision this is; all others are of the same.
        let mut options = range.options().with_revision(listing.revision);
        if is_serializable {
            options = options.with_serializable();
        }
        let answer = timeout(ANSWER, kv.get(key.clone(), Some(options))).await;
        let answer = answer.map_err(|_| Failure::timeout("reading", ANSWER))??;
        take(&answer, listing)?;
        let Some(last) = answer.kvs().last().filter(|_| answer.more()) else { return Ok(()) };
        key = [last.key(), &[0]].concat();
    }
}

fn take(answer: &GetResponse, listing: &mut Listing) -> Result<(), Failure> {
    let header = answer.header().ok_or_else(|| Failure::new(Kind::Protocol, "an answer without a header"))?;
    if listing.revision == 0 {
        (listing.revision, listing.cluster) = (header.revision(), header.cluster_id());
    }
    listing.entries.extend(answer.kvs().iter().map(Entry::from));
    Ok(())
}

impl From<&KeyValue> for Entry {
    fn from(pair: &KeyValue) -> Self {
        Self { key: pair.key().to_vec(), value: pair.value().to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_where_its_prefix_does() {
        assert_eq!(Range::prefix("foo/").end, Some(b"foo0".to_vec()));
        assert_eq!(Range::prefix("a\u{7f}").end, Some(b"a\x80".to_vec()));
        assert_eq!(Range::prefix("").end, Some(vec![0]));
        assert_eq!(Range::key("foo").end, None);
    }
}
