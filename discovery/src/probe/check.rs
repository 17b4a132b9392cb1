//! One check of one address.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint as Dial, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use zeroize::Zeroizing;

use super::options::{ProbeError, ProbeKind, ProbeOptions};
use crate::credentials::TlsFiles;
use crate::model::Address;
use crate::tls::{Elsewhere, Renewed, client_config, roots};

/// What all checks of a prober share.
#[derive(Debug)]
pub(super) struct Checker {
    options: ProbeOptions,
    with: With,
}

/// What a kind of check needs, with the files for TLS as they are now.
#[derive(Debug)]
enum With {
    Nothing,
    Http(Renewed<Arc<Http>>),
    Tls(Renewed<ClientTlsConfig>),
}

/// What requests are made with.
#[derive(Debug)]
struct Http {
    client: reqwest::Client,
    tls: ClientConfig,
    /// What certificates are checked against, where it is not the host.
    server_name: Option<String>,
}

impl Checker {
    pub(super) fn new(options: ProbeOptions) -> Result<Self, ProbeError> {
        options.check()?;
        let files = options.tls.clone();
        let with = match (&options.kind, files) {
            (ProbeKind::Tcp, _) => With::Nothing,
            (ProbeKind::Http { .. }, files) => {
                let make = |files: &TlsFiles| Http::new(files).map(Arc::new);
                With::Http(Renewed::new(files.unwrap_or_default(), make).map_err(ProbeError)?)
            }
            (ProbeKind::GrpcCheck { .. } | ProbeKind::GrpcWatch { .. }, None) => With::Nothing,
            (ProbeKind::GrpcCheck { .. } | ProbeKind::GrpcWatch { .. }, Some(files)) => {
                With::Tls(Renewed::new(files, grpc_tls).map_err(ProbeError)?)
            }
        };
        Ok(Self { options, with })
    }

    pub(super) const fn options(&self) -> &ProbeOptions {
        &self.options
    }

    /// Whether checks of this kind can ask at one of these addresses at all.
    pub(super) fn can_ask(&self, addresses: &[Address]) -> bool {
        let kind = &self.options.kind;
        let is_grpc = matches!(kind, ProbeKind::GrpcCheck { .. } | ProbeKind::GrpcWatch { .. });
        let can = |address: &Address| {
            *kind == ProbeKind::Tcp
                || authority(address, None).is_some()
                || (is_grpc && matches!(address, Address::Unix(_)))
        };
        addresses.iter().any(can)
    }

    /// Whether the endpoint behind these addresses, tried in turn, is healthy. Never longer than the timeout.
    pub(super) async fn passes(&self, addresses: &[Address]) -> bool {
        let any = async {
            for address in addresses {
                if self.passes_one(address).await {
                    return true;
                }
            }
            false
        };
        timeout(self.options.timeout, any).await.unwrap_or(false)
    }

    async fn passes_one(&self, address: &Address) -> bool {
        match &self.options.kind {
            ProbeKind::Tcp => connects(address).await,
            ProbeKind::Http { path, port } => self.http_passes(address, path, *port).await,
            ProbeKind::GrpcCheck { service } | ProbeKind::GrpcWatch { service } => {
                self.grpc_passes(address, service).await
            }
        }
    }

    async fn http_passes(&self, address: &Address, path: &str, port: Option<u16>) -> bool {
        let With::Http(http) = &self.with else { return false };
        let Some(host) = authority(address, port) else { return false };
        let Some((client, host)) = http.latest().client_for(host) else { return false };
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        let request = client.get(format!("{scheme}://{host}{path}")).timeout(self.options.timeout);
        let answer = request.send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    async fn grpc_passes(&self, address: &Address, service: &str) -> bool {
        let Some(mut client) = self.health_client(address).await else { return false };
        match client.check(request(service)).await {
            Ok(answer) => answer.into_inner().status() == ServingStatus::Serving,
            // Whoever has no health service is not asked for its health (gRFC A17).
            Err(status) => status.code() == Code::Unimplemented,
        }
    }

    /// A stream of what the server says of itself; `None` where there is no connection in time.
    pub(super) async fn watch(&self, addresses: &[Address], service: &str) -> Option<Said> {
        let open = async {
            for address in addresses {
                let Some(mut client) = self.health_client(address).await else { continue };
                return Some(client.watch(request(service)).await);
            }
            None
        };
        let limit = self.options.timeout;
        Some(match timeout(limit, open).await.ok()?? {
            Ok(stream) => Said::Stream(Box::new(stream.into_inner())),
            Err(status) if status.code() == Code::Unimplemented => Said::NoHealthService,
            Err(_) => return None,
        })
    }

    async fn health_client(&self, address: &Address) -> Option<HealthClient<Channel>> {
        let channel = self.dial(address)?.connect().await.ok()?;
        Some(HealthClient::new(channel))
    }

    fn dial(&self, address: &Address) -> Option<Dial> {
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        let uri = match address {
            Address::Unix(path) => format!("unix:{path}"),
            address => format!("{scheme}://{}", authority(address, None)?),
        };
        let alive = Duration::from_secs(10).max(self.options.timeout);
        let dial = Dial::from_shared(uri).ok()?.connect_timeout(self.options.timeout);
        let dial = dial.http2_keep_alive_interval(alive).keep_alive_timeout(self.options.timeout);
        match &self.with {
            With::Tls(tls) => dial.tls_config(tls.latest()).ok(),
            _ => Some(dial),
        }
    }
}

impl Http {
    fn new(files: &TlsFiles) -> Result<Self, String> {
        let server_name = files.server_name.clone();
        if let Some(name) = &server_name
            && !matches!(ServerName::try_from(name.as_str()), Ok(ServerName::DnsName(_)))
        {
            return Err(format!("server_name {name:?} is no host name, as checks over HTTP need one"));
        }
        let tls = client_config(files)?;
        let client = http_client(&tls).build().map_err(|error| error.to_string())?;
        Ok(Self { client, tls, server_name })
    }

    /// The client for what is at `HOST:PORT`, and what to call that in the URL.
    fn client_for(&self, at: String) -> Option<(reqwest::Client, String)> {
        let Some(name) = &self.server_name else { return Some((self.client.clone(), at)) };
        let (host, port) = at.rsplit_once(':')?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let client = http_client(&self.tls).dns_resolver(Arc::new(Elsewhere { host })).build();
        Some((client.ok()?, format!("{name}:{port}")))
    }
}

fn http_client(tls: &ClientConfig) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls.clone());
    // A check is to see the endpoint, as it is now: no proxy, no redirect elsewhere, no connection from before.
    builder.no_proxy().redirect(reqwest::redirect::Policy::none()).pool_max_idle_per_host(0)
}

fn grpc_tls(files: &TlsFiles) -> Result<ClientTlsConfig, String> {
    // Says which file it is that cannot be used.
    client_config(files)?;
    let mut config = ClientTlsConfig::new().trust_anchors(roots(files.ca.as_deref())?.roots);
    if let (Some(cert), Some(key)) = (&files.cert, &files.key) {
        let read = |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        config = config.identity(Identity::from_pem(read(cert)?, Zeroizing::new(read(key)?).as_slice()));
    }
    Ok(match &files.server_name {
        Some(name) => config.domain_name(name),
        None => config,
    })
}

/// What came of asking a server to say how it is.
pub(super) enum Said {
    /// It will say so.
    Stream(Box<tonic::Streaming<tonic_health::pb::HealthCheckResponse>>),
    /// It has no health service, and counts as healthy for as long as it is there.
    NoHealthService,
}

fn request(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

async fn connects(address: &Address) -> bool {
    match address {
        Address::Unix(path) => UnixStream::connect(path).await.is_ok(),
        Address::UnixAbstract(name) => UnixStream::connect(format!("\0{name}")).await.is_ok(),
        Address::Ip(ip) => TcpStream::connect(ip).await.is_ok(),
        // The zone is understood beside the port, not within brackets.
        Address::Zoned { ip, zone, port } => {
            TcpStream::connect((format!("{ip}%{zone}"), *port)).await.is_ok()
        }
        Address::Name { host, port } => TcpStream::connect((host.as_str(), *port)).await.is_ok(),
    }
}

/// `host:port` as a URI has it; `None` for a socket that has neither, and for an address whose zone no URI may hold.
fn authority(address: &Address, port: Option<u16>) -> Option<String> {
    Some(match address {
        Address::Ip(SocketAddr::V6(ip)) if ip.scope_id() != 0 => return None,
        Address::Ip(ip) => SocketAddr::new(ip.ip(), port.unwrap_or_else(|| ip.port())).to_string(),
        Address::Name { host, port: own } => format!("{host}:{}", port.unwrap_or(*own)),
        _ => return None,
    })
}
