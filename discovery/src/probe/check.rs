//! One check of one address.

use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint as Dial, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::options::{ProbeError, ProbeKind, ProbeOptions};
use crate::credentials::TlsFiles;
use crate::model::Address;
use crate::tls::client_config;

/// What all checks of a prober share.
#[derive(Debug)]
pub(super) struct Checker {
    options: ProbeOptions,
    http: Option<reqwest::Client>,
}

impl Checker {
    pub(super) fn new(options: ProbeOptions) -> Result<Self, ProbeError> {
        options.check()?;
        let http = match &options.kind {
            ProbeKind::Http { .. } => Some(http_client(&options)?),
            _ => None,
        };
        Ok(Self { options, http })
    }

    pub(super) const fn options(&self) -> &ProbeOptions {
        &self.options
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
        let Some(http) = &self.http else { return false };
        let Some(host) = authority(address, port) else { return false };
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        let answer = http.get(format!("{scheme}://{host}{path}")).send().await;
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
        match &self.options.tls {
            Some(files) => dial.tls_config(tls(files)?).ok(),
            None => Some(dial),
        }
    }
}

fn http_client(options: &ProbeOptions) -> Result<reqwest::Client, ProbeError> {
    let config = client_config(&options.tls.clone().unwrap_or_default()).map_err(ProbeError)?;
    let builder = reqwest::Client::builder().tls_backend_preconfigured(config).timeout(options.timeout);
    // A check is to see the endpoint, as it is now: no proxy, no redirect elsewhere, no connection from before.
    let builder = builder.no_proxy().redirect(reqwest::redirect::Policy::none()).pool_max_idle_per_host(0);
    builder.build().map_err(|error| ProbeError(error.to_string()))
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
        address => match authority(address, None) {
            Some(address) => TcpStream::connect(address).await.is_ok(),
            None => false,
        },
    }
}

/// `host:port` as a URI has it; `None` for a socket that has neither.
fn authority(address: &Address, port: Option<u16>) -> Option<String> {
    Some(match address {
        Address::Ip(ip) => std::net::SocketAddr::new(ip.ip(), port.unwrap_or_else(|| ip.port())).to_string(),
        Address::Name { host, port: own } => format!("{host}:{}", port.unwrap_or(*own)),
        Address::Zoned { ip, zone, port: own } => format!("[{ip}%{zone}]:{}", port.unwrap_or(*own)),
        _ => return None,
    })
}

fn tls(files: &TlsFiles) -> Option<ClientTlsConfig> {
    let mut config = ClientTlsConfig::new();
    if let Some(ca) = &files.ca {
        config = config.ca_certificate(Certificate::from_pem(std::fs::read(ca).ok()?));
    }
    if let (Some(cert), Some(key)) = (&files.cert, &files.key) {
        config = config.identity(Identity::from_pem(std::fs::read(cert).ok()?, std::fs::read(key).ok()?));
    }
    Some(match &files.server_name {
        Some(name) => config.domain_name(name),
        None => config,
    })
}
