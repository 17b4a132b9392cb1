//! Makes clients, one at a time and not for ever: a kubeconfig may name a program that fetches credentials, and
//! programs hang.

use std::thread;
use std::time::{Duration, SystemTime};

use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::Client;
use kube::client::ConfigExt;
use kube::config::Config;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tower::{BoxError, ServiceBuilder};

use super::program;
use crate::event::{ErrorClass, SourceError};

/// How long a client may take to be made before that is told.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How long a connection may take to be made.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// After how much silence a connection is asked for a sign of life, how long there is for each, and how many may fail to
/// come before it is dead.
const SILENCE: Duration = Duration::from_secs(20);
const BETWEEN_SIGNS: Duration = Duration::from_secs(10);
const MISSING_SIGNS: u32 = 3;

/// A client that is ready.
pub(super) struct Made {
    pub(super) client: Client,
    /// When its credentials end, if that is known.
    pub(super) ends: Option<SystemTime>,
}

/// Makes clients, each on a thread of its own, which hanging programs can have: those for all that blocks are few.
pub(super) struct Maker {
    patience: Duration,
    running: Option<Running>,
}

/// What is being made.
struct Running {
    fingerprint: u64,
    /// What it waits for, for people.
    what: String,
    made: oneshot::Receiver<Result<Made, SourceError>>,
}

impl Maker {
    /// What takes longer than `patience` is told as a failure.
    pub(super) const fn new(patience: Duration) -> Self {
        Self { patience, running: None }
    }

    /// The client of a configuration, which `fingerprint` tells from others.
    ///
    /// # Errors
    /// It cannot be made, or not in time. What hangs is not ended, since somebody may be about to log in: it is waited
    /// for again the next time, and until it is over no other program is started.
    pub(super) async fn make(&mut self, config: &Config, fingerprint: u64) -> Result<Made, SourceError> {
        let whole = timeout(self.patience, async {
            loop {
                let running = match &mut self.running {
                    Some(running) => running,
                    none => none.insert(start(config.clone(), fingerprint)?),
                };
                let made = (&mut running.made).await;
                let is_this = running.fingerprint == fingerprint;
                self.running = None;
                // Otherwise it was begun for a configuration that has changed since.
                if is_this {
                    return made
                        .unwrap_or_else(|_| Err(failed(config, ErrorClass::Protocol, "no client was made")));
                }
            }
        });
        if let Ok(made) = whole.await {
            return made;
        }
        let what = self.running.as_ref().map_or("", |running| &running.what);
        let text = format!("{what} has not answered in {:?} and is waited for", self.patience);
        Err(failed(config, ErrorClass::Timeout, &text))
    }
}

fn start(config: Config, fingerprint: u64) -> Result<Running, SourceError> {
    let what = match program::named(&config.auth_info) {
        Some(name) => format!("the program `{name}` of the kubeconfig"),
        None => "what makes the client".to_owned(),
    };
    let failed_to_start = failed(&config, ErrorClass::Protocol, "no thread for making a client");
    let (done, made) = oneshot::channel();
    let runtime = Handle::current();
    let thread = thread::Builder::new().name("evener-access".to_owned()).spawn(move || {
        let _guard = runtime.enter();
        // Whoever asked may be gone.
        let _ = done.send(make(config));
    });
    thread.map_err(|_| failed_to_start)?;
    Ok(Running { fingerprint, what, made })
}

fn make(mut config: Config) -> Result<Made, SourceError> {
    let ends = program::fetch(&mut config.auth_info)
        .map_err(|reason| failed(&config, ErrorClass::Denied, &reason))?;
    let server = config.cluster_url.to_string();
    let client =
        client(config).map_err(|error| SourceError::new(ErrorClass::Denied, format!("{server}: {error}")))?;
    Ok(Made { client, ends })
}

/// A client whose connections are asked for signs of life. kube's own cannot do that, and a watch may have nothing to say
/// for minutes: whether it is dead is not to be found out when it should have ended.
fn client(config: Config) -> kube::Result<Client> {
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_keepalive(Some(SILENCE));
    connector.set_keepalive_interval(Some(BETWEEN_SIGNS));
    connector.set_keepalive_retries(Some(MISSING_SIGNS));
    let connector = config.rustls_https_connector_with_connector(connector)?;
    let connector = ServiceBuilder::new().map_future(Box::pin).timeout(CONNECT).service(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(legacy::Client::builder(TokioExecutor::new()).build(connector));
    Ok(Client::new(service, config.default_namespace))
}

fn failed(config: &Config, class: ErrorClass, what: &str) -> SourceError {
    SourceError::new(class, format!("{}: {what}", config.cluster_url))
}
