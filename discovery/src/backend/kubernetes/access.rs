//! How the API server is reached and with what: a URL, a kubeconfig, or what a pod finds mounted.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use kube::config::{AuthInfo, Config, KubeConfigOptions, Kubeconfig};
use kube::{Client, core::Request};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::making::{self, Made, Maker};
use super::program;
use crate::credentials::{Credentials, Secret, SecretReader, read_all};
use crate::event::{ErrorClass, SourceError};
use crate::target::KubernetesTarget;

/// Credentials that end this soon are fetched anew.
const EARLY: Duration = Duration::from_secs(60);

/// What a process finds around it.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    /// Where a pod's service account is mounted: `token`, `ca.crt`, `namespace`.
    pub(super) service_account: PathBuf,
    /// Host and port of the API server, as a pod is told.
    pub(super) in_cluster: Option<(String, String)>,
    /// Kubeconfig files that were asked for, by `KUBECONFIG`.
    pub(super) kubeconfigs: Vec<PathBuf>,
    /// The kubeconfig that is used if it is there.
    pub(super) home: Option<PathBuf>,
}

impl Surroundings {
    pub(super) fn new() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let kubeconfigs = variable("KUBECONFIG")
            .map(|paths| std::env::split_paths(&paths).filter(|path| !path.as_os_str().is_empty()).collect());
        Self {
            service_account: "/var/run/secrets/kubernetes.io/serviceaccount".into(),
            in_cluster: variable("KUBERNETES_SERVICE_HOST").zip(variable("KUBERNETES_SERVICE_PORT")),
            kubeconfigs: kubeconfigs.unwrap_or_default(),
            home: std::env::home_dir().map(|home| home.join(".kube/config")),
        }
    }
}

/// The way to the API server. It is looked up again before each question, and made anew where a file has changed.
pub(super) struct Access {
    target: KubernetesTarget,
    credentials: Credentials,
    surroundings: Surroundings,
    way: Option<Way>,
    maker: Maker,
    is_doubtful: bool,
    /// Why the way could not be looked up anew the last time.
    trouble: Option<String>,
}

/// A client that is ready, and what it was made from.
struct Way {
    client: Client,
    server: String,
    namespace: String,
    token: Option<SecretReader>,
    token_from: Option<Secret>,
    fingerprint: u64,
    /// Whether a program has fetched the credentials, and when they end, if that is known.
    is_fetched: bool,
    ends: Option<SystemTime>,
}

/// What a client is made from.
struct Plan {
    config: Config,
    token: Option<Secret>,
}

impl Access {
    pub(super) fn new(
        target: &KubernetesTarget,
        credentials: &Credentials,
        surroundings: Surroundings,
    ) -> Self {
        Self {
            target: target.clone(),
            credentials: credentials.clone(),
            surroundings,
            way: None,
            maker: Maker::new(making::PATIENCE),
            is_doubtful: false,
            trouble: None,
        }
    }

    /// The same with another patience for what makes a client.
    #[cfg(test)]
    pub(super) fn with_patience(self, patience: Duration) -> Self {
        Self { maker: Maker::new(patience), ..self }
    }

    /// The server refused who asks: credentials are looked up anew before the next question.
    pub(super) const fn distrust(&mut self) {
        self.is_doubtful = true;
    }

    /// Why what was asked with last is older than it should be, if it is.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The server's URL, as far as it is known.
    pub(super) fn server(&self) -> &str {
        let known = self.way.as_ref().map(|way| way.server.as_str());
        known.or(self.target.server.as_deref()).unwrap_or("Kubernetes")
    }

    /// The namespace that is asked about.
    pub(super) fn namespace(&self) -> &str {
        let own = self.way.as_ref().map_or("default", |way| way.namespace.as_str());
        self.target.namespace.as_deref().unwrap_or(own)
    }

    /// Reads all files again, and fetches credentials anew that are about to end. While one cannot be read what it said
    /// before stays in use. Takes no longer than the patience for making a client.
    ///
    /// # Errors
    /// There is no way to an API server, and never was; or the credentials that a program had fetched are of no use
    /// any more, and it fetches no others.
    pub(super) async fn refresh(&mut self) -> Result<(), SourceError> {
        self.trouble = None;
        let plan = match self.plan().await {
            Ok(plan) => plan,
            Err(error) => return self.go_on_despite(error),
        };
        let fingerprint = fingerprint(&plan.config);
        let is_same = |way: &Way| way.fingerprint == fingerprint && way.token_from == plan.token;
        if !self.is_doubtful && self.way.as_ref().is_some_and(|way| is_same(way) && !way.ends_within(EARLY)) {
            return Ok(());
        }
        // A process may have more than one provider of cryptography compiled in: then rustls asks for a choice.
        let _ = rustls::crypto::ring::default_provider().install_default();
        match self.maker.make(&plan.config, fingerprint).await {
            Ok(made) => {
                self.take(Way::new(made, plan, fingerprint));
                Ok(())
            }
            Err(error) => self.go_on_despite(error),
        }
    }

    /// The way that is known stays in use for as long as it may lead to an answer. If it leads to a refusal, this is told
    /// with it.
    fn go_on_despite(&mut self, error: SourceError) -> Result<(), SourceError> {
        if !self.can_go_on() {
            return Err(error);
        }
        self.trouble = Some(error.message);
        Ok(())
    }

    fn take(&mut self, mut way: Way) {
        let before = self.way.take();
        // The token that was read last outlives its file.
        if let Some(before) = before.filter(|before| before.token_from == way.token_from) {
            way.token = before.token;
        }
        self.way = Some(way);
        self.is_doubtful = false;
    }

    /// Whether the way that is known may still lead to an answer.
    fn can_go_on(&self) -> bool {
        let is_spent = |way: &Way| way.is_fetched && (self.is_doubtful || way.ends_within(Duration::ZERO));
        self.way.as_ref().is_some_and(|way| !is_spent(way))
    }

    /// A client, and the URL path of the EndpointSlices.
    pub(super) fn client(&self) -> Result<(Client, Request), SourceError> {
        let Some(way) = &self.way else {
            return Err(SourceError::new(ErrorClass::Config, "there is no way to an API server"));
        };
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", self.namespace());
        Ok((way.client.clone(), Request::new(path)))
    }

    /// What the header `authorization` must say, if it must.
    ///
    /// # Errors
    /// The token could never be read.
    pub(super) fn authorization(&mut self) -> Result<Option<String>, SourceError> {
        let token = self.way.as_mut().and_then(|way| way.token.as_mut());
        token.map(|token| token.get().map(|token| format!("Bearer {}", token.trim()))).transpose()
    }

    /// What the target, the options and the surroundings say, in this order.
    async fn plan(&self) -> Result<Plan, SourceError> {
        let mut plan = self.where_to().await?;
        let config = &mut plan.config;
        (config.connect_timeout, config.read_timeout, config.write_timeout) =
            (Some(making::CONNECT), None, None);
        if let Some(tls) = &self.credentials.tls {
            if let Some(ca) = &tls.ca {
                config.root_cert = Some(certificates(ca)?);
            }
            let path = |path: &PathBuf| path.display().to_string();
            if let (Some(cert), Some(key)) = (&tls.cert, &tls.key) {
                (config.auth_info.client_certificate, config.auth_info.client_key) =
                    (Some(path(cert)), Some(path(key)));
                (config.auth_info.client_certificate_data, config.auth_info.client_key_data) = (None, None);
            }
            config.tls_server_name = tls.server_name.clone().or_else(|| config.tls_server_name.take());
        }
        if let Some(token) = &self.credentials.token {
            let user = std::mem::take(&mut config.auth_info);
            config.auth_info = AuthInfo {
                client_certificate: user.client_certificate,
                client_certificate_data: user.client_certificate_data,
                client_key: user.client_key,
                client_key_data: user.client_key_data,
                ..AuthInfo::default()
            };
            plan.token = Some(token.clone());
        } else if let (None, Some(file)) = (&config.auth_info.token, config.auth_info.token_file.take()) {
            plan.token = Some(Secret::File(file.into()));
        }
        Ok(plan)
    }

    async fn where_to(&self) -> Result<Plan, SourceError> {
        let around = &self.surroundings;
        if let Some(server) = &self.target.server {
            return Ok(Plan { config: Config::new(uri(server)?), token: None });
        }
        if let Some(path) = &self.target.kubeconfig {
            return self.by_kubeconfig(&[path.into()]).await;
        }
        if !around.kubeconfigs.is_empty() {
            return self.by_kubeconfig(&around.kubeconfigs).await;
        }
        if let Some(home) = around.home.as_ref().filter(|home| home.is_file()) {
            return self.by_kubeconfig(std::slice::from_ref(home)).await;
        }
        match &around.in_cluster {
            Some((host, port)) => in_cluster(host, port, &around.service_account),
            None => Err(SourceError::new(
                ErrorClass::Config,
                "no way to a Kubernetes API server is known: this is no pod (KUBERNETES_SERVICE_HOST is not set), and \
                 there is neither KUBECONFIG nor ~/.kube/config. A URL can be given as kubernetes:///service?server=URL",
            )),
        }
    }

    async fn by_kubeconfig(&self, paths: &[PathBuf]) -> Result<Plan, SourceError> {
        let wrong = |error: &dyn std::fmt::Display| {
            let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            SourceError::new(ErrorClass::Config, format!("kubeconfig {}: {error}", paths.join(":")))
        };
        let mut merged = Kubeconfig::default();
        for path in paths {
            let one = Kubeconfig::read_from(path).map_err(|error| wrong(&error))?;
            merged = merged.merge(one).map_err(|error| wrong(&error))?;
        }
        let options =
            KubeConfigOptions { context: self.target.context.clone(), ..KubeConfigOptions::default() };
        let config = Config::from_custom_kubeconfig(merged, &options).await.map_err(|error| wrong(&error))?;
        Ok(Plan { config, token: None })
    }
}

/// What a pod finds mounted.
fn in_cluster(host: &str, port: &str, mounted: &Path) -> Result<Plan, SourceError> {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let mut config = Config::new(uri(&format!("https://{host}:{port}"))?);
    config.root_cert = Some(certificates(&mounted.join("ca.crt"))?);
    if let Ok(namespace) = std::fs::read_to_string(mounted.join("namespace")) {
        config.default_namespace = namespace.trim().to_owned();
    }
    Ok(Plan { config, token: Some(Secret::File(mounted.join("token"))) })
}

/// `http::Uri`, whose crate is known here by inference alone.
fn uri<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, SourceError> {
    text.parse()
        .map_err(|error| SourceError::new(ErrorClass::Config, format!("`{text}` is not a URL: {error}")))
}

fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, SourceError> {
    let wrong = |error: &dyn std::fmt::Display| {
        SourceError::new(ErrorClass::Denied, format!("certificates of {}: {error}", path.display()))
    };
    let text = read_all(path)?;
    let read: Result<Vec<CertificateDer<'_>>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let read = read.map_err(|error| wrong(&error))?;
    if read.is_empty() {
        return Err(wrong(&"there is none"));
    }
    Ok(read.into_iter().map(|certificate| certificate.to_vec()).collect())
}

impl Way {
    fn new(made: Made, plan: Plan, fingerprint: u64) -> Self {
        let Plan { config, token } = plan;
        Self {
            client: made.client,
            server: config.cluster_url.to_string().trim_end_matches('/').to_owned(),
            namespace: config.default_namespace,
            token: token.clone().map(SecretReader::new),
            token_from: token,
            fingerprint,
            is_fetched: program::named(&config.auth_info).is_some(),
            ends: made.ends,
        }
    }

    fn ends_within(&self, time: Duration) -> bool {
        self.ends.is_some_and(|ends| SystemTime::now() + time >= ends)
    }
}

/// Two configurations that would connect in the same way have the same one.
fn fingerprint(config: &Config) -> u64 {
    let mut hasher = DefaultHasher::new();
    config.cluster_url.to_string().hash(&mut hasher);
    config.default_namespace.hash(&mut hasher);
    config.root_cert.hash(&mut hasher);
    config.accept_invalid_certs.hash(&mut hasher);
    config.tls_server_name.hash(&mut hasher);
    config.proxy_url.as_ref().map(ToString::to_string).hash(&mut hasher);
    let user = zeroize::Zeroizing::new(serde_json::to_string(&config.auth_info).unwrap_or_default());
    user.hash(&mut hasher);
    for path in [&config.auth_info.client_certificate, &config.auth_info.client_key].into_iter().flatten() {
        zeroize::Zeroizing::new(std::fs::read(path).unwrap_or_default()).hash(&mut hasher);
    }
    hasher.finish()
}
