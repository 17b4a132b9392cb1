//! The keys of Consul's definitions, as its API writes them, with what each holds.

/// What a key holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Flag,
    Port,
    Whole,
    /// A span of time, as in `10s`.
    Span,
    /// A span of at least a minute.
    Deregister,
    Texts,
    /// Texts, or lists of texts, by free names.
    Meta,
    Object(Table),
    /// Objects by free names.
    ObjectsByName(Table),
    Check,
    Checks,
    /// Handed on as it is.
    Any,
}

pub(super) type Table = &'static [(&'static str, Kind)];

/// The key of a table that is meant: case and underscores do not count.
pub(super) fn find(table: Table, key: &str) -> Option<&'static (&'static str, Kind)> {
    let key = plain(key);
    table.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key))
}

/// A key without case and underscores.
pub(super) fn plain(key: &str) -> String {
    key.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect()
}

pub(super) const SERVICE: Table = &[
    ("ID", Kind::Text),
    ("Name", Kind::Text),
    ("Tags", Kind::Texts),
    ("Address", Kind::Text),
    ("Port", Kind::Port),
    ("SocketPath", Kind::Text),
    ("Meta", Kind::Meta),
    ("TaggedAddresses", Kind::ObjectsByName(ADDRESS)),
    ("Weights", Kind::Object(WEIGHTS)),
    ("EnableTagOverride", Kind::Flag),
    ("Check", Kind::Check),
    ("Checks", Kind::Checks),
    ("Token", Kind::Text),
    ("Kind", Kind::Text),
    ("Locality", Kind::Object(LOCALITY)),
    ("Namespace", Kind::Text),
    ("Partition", Kind::Text),
    // The mesh's own, with keys of their own below.
    ("Proxy", Kind::Any),
    ("Connect", Kind::Any),
];

const ADDRESS: Table = &[("Address", Kind::Text), ("Port", Kind::Port)];
const WEIGHTS: Table = &[("Passing", Kind::Whole), ("Warning", Kind::Whole)];
const LOCALITY: Table = &[("Region", Kind::Text), ("Zone", Kind::Text)];

pub(super) const CHECK: Table = &[
    ("ID", Kind::Text),
    ("CheckID", Kind::Text),
    ("Name", Kind::Text),
    ("Notes", Kind::Text),
    ("ServiceID", Kind::Text),
    ("Args", Kind::Texts),
    ("ScriptArgs", Kind::Texts),
    ("Script", Kind::Text),
    ("Shell", Kind::Text),
    ("DockerContainerID", Kind::Text),
    ("HTTP", Kind::Text),
    ("Method", Kind::Text),
    ("Header", Kind::Meta),
    ("Body", Kind::Text),
    ("DisableRedirects", Kind::Flag),
    ("TCP", Kind::Text),
    ("TCPUseTLS", Kind::Flag),
    ("UDP", Kind::Text),
    ("GRPC", Kind::Text),
    ("GRPCUseTLS", Kind::Flag),
    ("H2PING", Kind::Text),
    ("H2PingUseTLS", Kind::Flag),
    ("OSService", Kind::Text),
    ("AliasNode", Kind::Text),
    ("AliasService", Kind::Text),
    ("TTL", Kind::Span),
    ("Interval", Kind::Span),
    ("Timeout", Kind::Span),
    ("DeregisterCriticalServiceAfter", Kind::Deregister),
    ("SuccessBeforePassing", Kind::Whole),
    ("FailuresBeforeWarning", Kind::Whole),
    ("FailuresBeforeCritical", Kind::Whole),
    ("OutputMaxSize", Kind::Whole),
    ("TLSServerName", Kind::Text),
    ("TLSSkipVerify", Kind::Flag),
    ("Status", Kind::Text),
];
