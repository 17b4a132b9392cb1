//! What is asked, how often, and what it takes to change one's mind.

use std::fmt;
use std::time::Duration;

use crate::credentials::TlsFiles;

/// What a check does to an endpoint.
///
/// HTTP cannot ask a Unix socket, and gRPC cannot ask an abstract one; neither can ask an address with a zone.
/// An endpoint that has no other address is not checked, and counts as healthy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProbeKind {
    /// Connects; a connection that opens is healthy.
    Tcp,
    /// `GET http://ADDRESS/path`; an answer from 200 to 299 is healthy.
    Http {
        /// The path with its first slash.
        path: String,
        /// Another port than the endpoint's own.
        port: Option<u16>,
    },
    /// `grpc.health.v1.Health/Check`; SERVING is healthy, and so is a server without the health service (UNIMPLEMENTED).
    GrpcCheck {
        /// The service asked for; empty for the server as a whole.
        service: String,
    },
    /// `grpc.health.v1.Health/Watch`: the server says itself when it changes, and that counts at once, without rise and
    /// fall. A stream that breaks counts as one failed check.
    GrpcWatch {
        /// The service asked for; empty for the server as a whole.
        service: String,
    },
}

/// How endpoints are checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProbeOptions {
    /// What a check does.
    pub kind: ProbeKind,
    /// From the end of one check of an endpoint to the next one: 10 s, at least 10 ms.
    pub interval: Duration,
    /// How much the interval varies to both sides, in per cent: 10, at most 100. The first check is made within the interval
    /// at random, at the latest after a second.
    pub jitter_percent: u8,
    /// The longest a check may take: 3 s. At least 1 ms.
    pub timeout: Duration,
    /// Checks in a row that must succeed before an unhealthy endpoint is healthy: 2, at least 1.
    pub rise: u32,
    /// Checks in a row that must fail before an endpoint is unhealthy: 3, at least 1. One that was never checked takes calls:
    /// its connection protects it.
    pub fall: u32,
    /// Checks that may run at the same time, over all endpoints of the set: 64, at least 1. Streams of
    /// [`ProbeKind::GrpcWatch`] count only while they open.
    pub concurrency: usize,
    /// Where no endpoint passes its checks, none is taken out (default): a wrong check must not stop a service. One that was
    /// not checked yet does not count as passing.
    pub fail_open: bool,
    /// TLS for HTTP and gRPC; `None` is plain text.
    pub tls: Option<TlsFiles>,
}

impl ProbeOptions {
    /// Checks of a kind with the defaults above.
    pub const fn new(kind: ProbeKind) -> Self {
        Self {
            kind,
            interval: Duration::from_secs(10),
            jitter_percent: 10,
            timeout: Duration::from_secs(3),
            rise: 2,
            fall: 3,
            concurrency: 64,
            fail_open: true,
            tls: None,
        }
    }

    /// Reads `tcp`, `http:/path`, `http::8081/path`, `grpc`, `grpc:service`, `grpc-watch` or `grpc-watch:service`, as command
    /// lines and bindings have it.
    ///
    /// # Errors
    /// What is wrong, and the forms that are known.
    pub fn parse(text: &str) -> Result<Self, ProbeError> {
        let (kind, rest) = text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
        let service = || rest.unwrap_or_default().to_owned();
        Ok(Self::new(match kind {
            "tcp" if rest.is_none() => ProbeKind::Tcp,
            "http" => http(rest.unwrap_or("/"))?,
            "grpc" => ProbeKind::GrpcCheck { service: service() },
            "grpc-watch" => ProbeKind::GrpcWatch { service: service() },
            _ => return Err(ProbeError(format!("`{text}` is no probe: {FORMS}"))),
        }))
    }

    /// Whether such checks can be made.
    ///
    /// # Errors
    /// The first option that is out of its range, and that range, or that this build makes no checks.
    pub fn check(&self) -> Result<(), ProbeError> {
        let wrong = |text: &str| Err(ProbeError(text.to_owned()));
        match self {
            _ if !cfg!(feature = "probes") => wrong("not available in this build"),
            Self { interval, .. } if *interval < Duration::from_millis(10) => {
                wrong("interval is less than 10 ms")
            }
            Self { timeout, .. } if *timeout < Duration::from_millis(1) => wrong("timeout is less than 1 ms"),
            Self { jitter_percent: 101.., .. } => wrong("jitter is more than 100 per cent"),
            Self { rise: 0, .. } => wrong("rise is 0; it must be at least 1"),
            Self { fall: 0, .. } => wrong("fall is 0; it must be at least 1"),
            Self { concurrency: 0, .. } => wrong("concurrency is 0; it must be at least 1"),
            Self { tls: Some(files), .. } => files.check().map_err(|error| ProbeError(error.message)),
            _ => Ok(()),
        }
    }
}

const FORMS: &str = "write tcp, http:/path, http::PORT/path, grpc[:service] or grpc-watch[:service]";

fn http(rest: &str) -> Result<ProbeKind, ProbeError> {
    let Some(with_port) = rest.strip_prefix(':') else {
        return match rest.starts_with('/') {
            true => Ok(ProbeKind::Http { path: rest.to_owned(), port: None }),
            false => Err(ProbeError(format!("`{rest}` is no path: {FORMS}"))),
        };
    };
    let (port, path) = with_port.split_at(with_port.find('/').unwrap_or(with_port.len()));
    match port.parse() {
        Ok(port) if port > 0 => {
            let path = if path.is_empty() { "/" } else { path };
            Ok(ProbeKind::Http { path: path.to_owned(), port: Some(port) })
        }
        _ => Err(ProbeError(format!("`{port}` is no port: {FORMS}"))),
    }
}

/// Why probes cannot be made as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeError(pub(super) String);

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "health probe: {}", self.0)
    }
}

impl std::error::Error for ProbeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read() {
        let kind = |text: &str| ProbeOptions::parse(text).map(|options| options.kind);
        let http = |path: &str, port| Ok(ProbeKind::Http { path: path.to_owned(), port });
        assert_eq!(kind("tcp"), Ok(ProbeKind::Tcp));
        assert_eq!(kind("http"), http("/", None));
        assert_eq!(kind("http:/health"), http("/health", None));
        assert_eq!(kind("http::8081/health"), http("/health", Some(8081)));
        assert_eq!(kind("grpc"), Ok(ProbeKind::GrpcCheck { service: String::new() }));
        assert_eq!(kind("grpc-watch:a.B"), Ok(ProbeKind::GrpcWatch { service: "a.B".to_owned() }));
        for text in ["", "udp", "tcp:80", "http:health", "http::0/", "http::99999/", "http::x"] {
            assert!(
                kind(text).is_err_and(|error| error.to_string().contains("grpc-watch[:service]")),
                "{text}"
            );
        }
    }

    #[test]
    fn ranges_are_checked() {
        let options = ProbeOptions::new(ProbeKind::Tcp);
        assert_eq!(options.check().is_ok(), cfg!(feature = "probes"));
        let wrong = [
            ProbeOptions { rise: 0, ..options.clone() },
            ProbeOptions { fall: 0, ..options.clone() },
            ProbeOptions { concurrency: 0, ..options.clone() },
            ProbeOptions { interval: Duration::ZERO, ..options.clone() },
            ProbeOptions { timeout: Duration::ZERO, ..options.clone() },
            ProbeOptions {
                tls: Some(TlsFiles { cert: Some("c.pem".into()), ..TlsFiles::default() }),
                ..options.clone()
            },
            ProbeOptions { jitter_percent: 101, ..options },
        ];
        assert!(wrong.iter().all(|options| options.check().is_err()));
    }
}
