//! Consul's HTTP API: one request and its answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Method};
use zeroize::Zeroizing;

use super::settings::Settings;
use crate::credentials::SecretReader;
use crate::event::{ErrorClass, SourceError};
use crate::model::percent;
use crate::target::ConsulAgent;
use crate::tls;

/// No service has so many instances; an answer that is longer is not read.
const MAX_BODY: usize = 64 << 20;
/// How often TLS files are looked at.
const TLS_INTERVAL: Duration = Duration::from_secs(30);
/// How much of an error's text is repeated.
const MAX_REASON: usize = 300;
/// What a rate limit's pause is where none is asked for.
const RATE_PAUSE: Duration = Duration::from_secs(1);
/// How Consul begins when what it was asked is wrong. A 400 by itself says nothing: proxies answer it as well, and so does
/// whoever wants TLS and gets none.
const WRONG_QUESTION: [&str; 12] = [
    "Invalid query parameter",
    "Invalid value for",
    "Invalid index",
    "Invalid wait",
    "Invalid max_stale",
    "Invalid service",
    "Invalid check",
    "Invalid Weight",
    "Missing service",
    "Missing key",
    "Cannot specify ?",
    "Request decode failed",
];

/// A connection to an agent's HTTP API. Cheap to share.
pub(crate) struct Api {
    settings: Settings,
    base: String,
    state: Mutex<State>,
    has_accepted: AtomicBool,
}

struct State {
    client: Option<Client>,
    /// What the TLS files held when they were last read.
    files: Option<tls::Fingerprint>,
    looked: Option<Instant>,
    token: Option<SecretReader>,
    password: Option<SecretReader>,
}

/// A request. `path` is everything after the host, percent-encoded.
pub(crate) struct Question {
    pub method: Method,
    pub path: String,
    pub query: Vec<(&'static str, String)>,
    pub body: Option<Vec<u8>>,
    /// The whole time for it; `None` is the settings'.
    pub timeout: Option<Duration>,
    /// Sent in place of the token of the settings.
    pub token: Option<String>,
}

impl Question {
    pub const fn new(method: Method, path: String) -> Self {
        Self { method, path, query: Vec::new(), body: None, timeout: None, token: None }
    }

    pub const fn get(path: String) -> Self {
        Self::new(Method::GET, path)
    }

    pub const fn put(path: String) -> Self {
        Self::new(Method::PUT, path)
    }

    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    fn url(&self, base: &str) -> String {
        let mut url = format!("{base}{}", self.path);
        for (at, (key, value)) in self.query.iter().enumerate() {
            let separator = if at == 0 { '?' } else { '&' };
            url.push_str(&format!("{separator}{key}={}", percent::encode(value, b"&+=;#'")));
        }
        url
    }
}

/// One segment of a path.
pub(crate) fn segment(text: &str) -> String {
    percent::encode(text, b"/;")
}

/// What the agent answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub status: u16,
    pub index: Option<u64>,
    /// How long the server that answered had not heard of the leader.
    pub last_contact: Option<Duration>,
    /// False where the server that answered knows of no leader, which means nothing under streaming.
    pub knows_leader: bool,
    /// How old the agent's cached answer is.
    pub age: Option<Duration>,
    /// Some of the result was left out since the token may not read it.
    pub is_filtered: bool,
    /// A proxy has handed the answer on.
    pub is_proxied: bool,
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}

impl Answer {
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// The body as a short text, for messages.
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.trim().chars().take(MAX_REASON).map(|c| if c.is_control() { ' ' } else { c }).collect()
    }

    /// The error that an answer other than 2xx stands for. `what` was asked for.
    pub fn refusal(&self, what: &str) -> Refusal {
        let text = self.text();
        let class = match self.status {
            401 | 403 => ErrorClass::Denied,
            429 | 503 => ErrorClass::RateLimited,
            400 if WRONG_QUESTION.iter().any(|words| text.starts_with(words)) => ErrorClass::Config,
            502 | 504 => ErrorClass::Unreachable,
            _ if text.contains("ACL not found") || text.contains("Permission denied") => ErrorClass::Denied,
            // Newer agents answer these with 400.
            _ if text.contains("boolean expression") || text.contains("filter") && text.contains("parse") => {
                ErrorClass::Config
            }
            _ if text.contains("leader")
                || text.contains("No path to datacenter")
                || text.contains("rpc error") =>
            {
                ErrorClass::Unreachable
            }
            _ => ErrorClass::Protocol,
        };
        let advice = match class {
            ErrorClass::Denied => {
                "; the ACL token (CONSUL_HTTP_TOKEN_FILE, CONSUL_HTTP_TOKEN, or the credentials given) may not do this, or is no longer known"
            }
            _ => "",
        };
        let error = SourceError::new(class, format!("consul: {what}: {} {text}{advice}", self.status));
        let least = (class == ErrorClass::RateLimited).then_some(RATE_PAUSE);
        Refusal { error, retry_after: self.retry_after.or(least) }
    }
}

/// Why there is no answer that can be used.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub error: SourceError,
    /// The pause that was asked for, or that a rate limit stands for.
    pub retry_after: Option<Duration>,
}

impl From<SourceError> for Refusal {
    fn from(error: SourceError) -> Self {
        Self { error, retry_after: None }
    }
}

impl Api {
    pub fn new(settings: Settings) -> Self {
        let state = State {
            client: None,
            files: None,
            looked: None,
            token: settings.token.clone().map(SecretReader::new),
            password: settings.user.clone().map(|(_, password)| SecretReader::new(password)),
        };
        let base = settings.base();
        Self { settings, base, state: Mutex::new(state), has_accepted: AtomicBool::new(false) }
    }

    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether requests carry a token.
    pub fn has_token(&self) -> bool {
        self.settings.token.is_some()
    }

    /// The registry has answered what it was asked for: the target makes sense to it.
    pub fn set_accepted(&self) {
        self.has_accepted.store(true, Ordering::Relaxed);
    }

    /// Whether it ever has.
    pub fn has_accepted(&self) -> bool {
        self.has_accepted.load(Ordering::Relaxed)
    }

    /// Asks, with the token and the certificates as they are now.
    pub async fn ask(&self, question: Question) -> Result<Answer, SourceError> {
        let timeout = question.timeout.unwrap_or(self.settings.timeout);
        let url = question.url(&self.base);
        let request = {
            let mut state = self.state();
            let client = state.client(&self.settings)?;
            let mut request = client.request(question.method, url).timeout(timeout);
            let token = match question.token {
                Some(token) => Some(Zeroizing::new(token)),
                None => state.token.as_mut().map(SecretReader::refresh).transpose()?,
            };
            if let Some(token) = token.filter(|token| !token.is_empty()) {
                request = request.header("X-Consul-Token", self.header(&token)?);
            }
            if let Some((name, _)) = &self.settings.user {
                let password = state.password.as_mut().map(SecretReader::refresh).transpose()?;
                request = request.basic_auth(name, password.as_deref());
            }
            request
        };
        let request = match question.body {
            Some(body) => request.header("Content-Type", "application/json").body(body),
            None => request,
        };
        self.read(request).await.map_err(|error| self.unanswered(error))
    }

    /// A token as a header's value. One that cannot be one comes from a file that is being written, as a rule.
    fn header(&self, token: &str) -> Result<HeaderValue, SourceError> {
        let mut value = HeaderValue::from_str(token).map_err(|_| {
            let text =
                format!("consul at {}: the ACL token has characters that none has", self.settings.agent);
            SourceError::new(ErrorClass::Denied, text)
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    async fn read(&self, request: reqwest::RequestBuilder) -> Result<Answer, ReadError> {
        let mut response = request.send().await?;
        let mut answer = Answer { status: response.status().as_u16(), ..headers(response.headers()) };
        while let Some(chunk) = response.chunk().await? {
            if answer.body.len() + chunk.len() > MAX_BODY {
                return Err(ReadError::TooLong);
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }

    fn unanswered(&self, error: ReadError) -> SourceError {
        let agent = &self.settings.agent;
        let ReadError::Http(error) = error else {
            return SourceError::new(
                ErrorClass::Protocol,
                format!("consul at {agent}: the answer is longer than {MAX_BODY} bytes"),
            );
        };
        if error.is_builder() {
            return SourceError::new(ErrorClass::Config, format!("consul at {agent}: {}", causes(&error)));
        }
        let (class, what) = if error.is_timeout() {
            (ErrorClass::Timeout, "no answer in time")
        } else {
            (ErrorClass::Unreachable, "cannot be asked")
        };
        SourceError::new(class, format!("consul at {agent}: {what}: {}", causes(&error.without_url())))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum ReadError {
    Http(reqwest::Error),
    TooLong,
}

impl From<reqwest::Error> for ReadError {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error)
    }
}

impl State {
    /// The client with the TLS files as they are now. Files that cannot be read leave the last client in use.
    fn client(&mut self, settings: &Settings) -> Result<Client, SourceError> {
        let is_due = self.looked.is_none_or(|looked| looked.elapsed() >= TLS_INTERVAL);
        if let Some(client) = self.client.as_ref().filter(|_| !is_due || settings.tls.is_none()) {
            return Ok(client.clone());
        }
        self.looked = Some(Instant::now());
        let files = settings.tls.as_ref().map(tls::fingerprint);
        if let Some(client) = self.client.as_ref().filter(|_| files == self.files) {
            return Ok(client.clone());
        }
        match (build(settings), &self.client) {
            (Ok(client), _) => {
                self.files = files;
                Ok(self.client.insert(client).clone())
            }
            (Err(_), Some(client)) => Ok(client.clone()),
            (Err(reason), None) => {
                Err(SourceError::new(ErrorClass::Denied, format!("consul at {}: {reason}", settings.agent)))
            }
        }
    }
}

fn build(settings: &Settings) -> Result<Client, String> {
    // Plain HTTP gets a configuration as well, one that trusts nobody: the library would make one of its own.
    let config = match &settings.tls {
        Some(files) => tls::client_config(files)?,
        None => tls::no_trust()?,
    };
    let builder = Client::builder()
        .tls_backend_preconfigured(config)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(settings.timeout)
        .tcp_keepalive(Duration::from_secs(30))
        .http1_only();
    let named = settings.tls.as_ref().and_then(|files| files.server_name.as_ref());
    let builder = match (&settings.agent, named) {
        (ConsulAgent::Unix(path), _) => builder.unix_socket(path.as_str()),
        (ConsulAgent::Tcp { host, .. }, Some(_)) => {
            builder.dns_resolver(Arc::new(tls::Elsewhere { host: host.clone() }))
        }
        _ => builder,
    };
    builder.build().map_err(|error| causes(&error))
}

fn headers(headers: &HeaderMap) -> Answer {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let number = |name: &str| text(name).and_then(|text| text.trim().parse::<u64>().ok());
    let is_streaming = text("X-Consul-Query-Backend") == Some("streaming");
    Answer {
        index: number("X-Consul-Index"),
        last_contact: number("X-Consul-LastContact").map(Duration::from_millis),
        knows_leader: is_streaming || text("X-Consul-KnownLeader") != Some("false"),
        age: number("Age").map(Duration::from_secs),
        is_filtered: text("X-Consul-Results-Filtered-By-ACLs") == Some("true"),
        is_proxied: headers.contains_key("Via"),
        retry_after: number("Retry-After").map(Duration::from_secs),
        ..Answer::default()
    }
}

/// An error and what caused it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let also = error.to_string();
        if !text.contains(&also) {
            text.push_str(&format!(": {also}"));
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
