//! A Kubernetes API server on an etcd of its own.

use crate::etcd::{Etcd, EtcdOptions};
use crate::find::found_or_skipped;
use crate::http::{self, Request, Response};
use crate::ports::free_port;
use crate::process::{Process, run, started};
use crate::scratch::Scratch;
use crate::wait::holds_within;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;

const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces";
const ADMIN: &str = "evener-test-admin";
const NOBODY: &str = "evener-test-nobody";
/// How long an API server may take to make its namespaces.
const PATIENCE: Duration = Duration::from_secs(60);

/// How an API server is started.
#[derive(Clone, Debug, Default)]
pub struct KubeOptions {
    /// Serves every watch from etcd and compacts only when told to: what [`KubeApi::compact`] forgets is answered 410.
    pub no_watch_cache: bool,
    /// Further arguments, such as `--min-request-timeout=5`.
    pub arguments: Vec<String>,
}

/// A running API server. No controller runs: tests write EndpointSlices themselves. They may not hold loopback addresses.
pub struct KubeApi {
    /// Dropped before its etcd: without one it does not end by itself.
    process: Process,
    etcd: Etcd,
    port: u16,
}

impl KubeApi {
    /// An API server, ready. `None`: there is none here, or no etcd, which was said.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Option<Self> {
        Self::with(&KubeOptions::default())
    }

    /// The same with options.
    ///
    /// # Panics
    /// When it does not start.
    pub fn with(options: &KubeOptions) -> Option<Self> {
        let program = found_or_skipped("kube-apiserver")?;
        // etcd first, so that a machine without it skips.
        let mut etcd = Some(Etcd::with(EtcdOptions::default())?);
        Some(started(|| {
            let etcd = etcd.take().or_else(Etcd::start).ok_or("etcd went away")?;
            let api = Self::new(&program, etcd, options);
            api.process.start(|| api.is_ready())?;
            api.settle()?;
            Ok(api)
        }))
    }

    fn new(program: &Path, etcd: Etcd, options: &KubeOptions) -> Self {
        let scratch = Scratch::new("kubernetes");
        let port = free_port();
        let arguments = arguments(&scratch, &etcd, port, options);
        Self { process: Process::new(program, arguments, scratch), etcd, port }
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address())
    }

    /// `127.0.0.1:PORT`, TLS.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The authority that signed the server's certificate, PEM.
    ///
    /// # Panics
    /// When the server has not written it.
    pub fn ca_pem(&self) -> String {
        self.try_ca_pem().expect("the server's certificates")
    }

    /// A bearer token that may do everything.
    pub fn admin_token(&self) -> &'static str {
        ADMIN
    }

    /// A bearer token of the user `nobody`, who may do nothing until a RoleBinding says otherwise.
    pub fn nobody_token(&self) -> &'static str {
        NOBODY
    }

    /// A kubeconfig file for the administrator.
    pub fn kubeconfig_path(&self) -> String {
        self.kubeconfig("admin.kubeconfig", &self.url(), ADMIN)
    }

    /// The same for the administrator, where the server is reached at another address of 127.0.0.1: a proxy's.
    pub fn kubeconfig_path_for(&self, address: &str) -> String {
        let name = format!("{}.kubeconfig", address.replace(':', "-"));
        self.kubeconfig(&name, &format!("https://{address}"), ADMIN)
    }

    /// A kubeconfig file for the user `nobody`.
    pub fn nobody_kubeconfig_path(&self) -> String {
        self.kubeconfig("nobody.kubeconfig", &self.url(), NOBODY)
    }

    /// A request as administrator; the path with its query. An error: no answer.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Result<Response, String> {
        self.send(method, path, "application/json", body)
    }

    /// Creates or replaces the object at `path` (`/apis/GROUP/VERSION/namespaces/NAMESPACE/KIND/NAME`).
    ///
    /// # Panics
    /// When it is refused.
    pub fn apply(&self, path: &str, object: &Value) {
        self.apply_text(path, &object.to_string());
    }

    /// As [`KubeApi::apply`], with the object as YAML or JSON text.
    ///
    /// # Panics
    /// When it is refused.
    pub fn apply_text(&self, path: &str, text: &str) {
        let path = format!("{path}?fieldManager=evener-tests&force=true");
        let answer = self.send("PATCH", &path, "application/apply-patch+yaml", text);
        let answer = answer.unwrap_or_else(|reason| panic!("apply {path}: {reason}"));
        assert!(answer.is_success(), "apply {path}: {} {}", answer.status, answer.body);
    }

    /// Creates or replaces an EndpointSlice, whole, in the namespace its metadata names, otherwise in `default`.
    ///
    /// # Panics
    /// When it is refused.
    pub fn apply_slice(&self, slice: &Value) {
        let namespace = slice["metadata"]["namespace"].as_str().unwrap_or("default");
        let name = slice["metadata"]["name"].as_str().expect("a slice with a name");
        self.apply(&format!("{SLICES}/{namespace}/endpointslices/{name}"), slice);
    }

    /// Deletes an EndpointSlice; nothing when there is none.
    ///
    /// # Panics
    /// When it is refused.
    pub fn delete_slice(&self, namespace: &str, name: &str) {
        self.delete(&format!("{SLICES}/{namespace}/endpointslices/{name}"));
    }

    /// Deletes the object at `path`; nothing when there is none.
    ///
    /// # Panics
    /// When it is refused.
    pub fn delete(&self, path: &str) {
        let answer =
            self.request("DELETE", path, "").unwrap_or_else(|reason| panic!("delete {path}: {reason}"));
        assert!(
            answer.is_success() || answer.status == 404,
            "delete {path}: {} {}",
            answer.status,
            answer.body
        );
    }

    /// Makes a namespace; nothing when it is there.
    ///
    /// # Panics
    /// When it is refused.
    pub fn namespace(&self, name: &str) {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.apply(&format!("/api/v1/namespaces/{name}"), &object);
    }

    /// Lets the user `nobody` read EndpointSlices in `namespace`, at once.
    ///
    /// # Panics
    /// When it is refused.
    pub fn allow_nobody_to_read_slices(&self, namespace: &str) {
        let base = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
        let rules = json!([{"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]}]);
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "slices", "namespace": namespace}, "rules": rules});
        self.apply(&format!("{base}/roles/slices"), &role);
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "slices", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "slices"},
            "subjects": [{"kind": "User", "name": "nobody", "apiGroup": "rbac.authorization.k8s.io"}]});
        self.apply(&format!("{base}/rolebindings/slices"), &binding);
    }

    /// Takes that back.
    ///
    /// # Panics
    /// When it is refused.
    pub fn forbid_nobody_to_read_slices(&self, namespace: &str) {
        self.delete(&format!(
            "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings/slices"
        ));
    }

    /// Its etcd.
    pub fn etcd(&self) -> &Etcd {
        &self.etcd
    }

    /// Forgets every version before the present one. With [`KubeOptions::no_watch_cache`] a watch from an older one is answered 410.
    pub fn compact(&self) {
        self.etcd.compact();
    }

    /// SIGKILL; its etcd stays.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Comes back on the same port with the same data; kills it first when it still runs.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&self) {
        self.process.restart(|| self.is_ready());
    }

    /// SIGSTOP: connections stay, answers stop.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.resume();
    }

    fn is_ready(&self) -> bool {
        self.request("GET", "/readyz", "").is_ok_and(|answer| answer.is_success())
    }

    /// The namespace `default` is made a moment after the server is ready.
    fn settle(&self) -> Result<(), String> {
        let settled = holds_within(PATIENCE, &mut || {
            self.request("GET", "/api/v1/namespaces/default", "").is_ok_and(|answer| answer.is_success())
        });
        if settled { Ok(()) } else { Err("the API server makes no namespace `default`".to_string()) }
    }

    fn try_ca_pem(&self) -> Option<String> {
        let text = fs::read_to_string(self.process.scratch().path().join("certs/apiserver.crt")).ok()?;
        // The server's own certificate, then the authority's.
        let begin = text.rfind("-----BEGIN CERTIFICATE-----")?;
        text.get(begin..).map(str::to_string)
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: &str) -> Result<Response, String> {
        let ca = self.try_ca_pem().ok_or("no certificate yet")?;
        let headers = [format!("Authorization: Bearer {ADMIN}"), format!("Content-Type: {kind}")];
        http::send_tls(&self.address(), &ca, &Request { method, path, headers: &headers, body })
    }

    fn kubeconfig(&self, name: &str, url: &str, token: &str) -> String {
        let ca = self.process.scratch().write("ca.pem", &self.ca_pem());
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": ca}}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "default"}}],
        });
        self.process.scratch().write(name, &text.to_string())
    }
}

impl Drop for KubeApi {
    /// Before its etcd, whatever the order of the fields.
    fn drop(&mut self) {
        self.process.kill();
    }
}

fn arguments(scratch: &Scratch, etcd: &Etcd, port: u16, options: &KubeOptions) -> Vec<String> {
    let key = scratch.file("sa.key");
    run("openssl", ["genrsa", "-out", &key, "2048"]).unwrap_or_else(|reason| panic!("{reason}"));
    let tokens =
        scratch.write("tokens.csv", &format!("{ADMIN},admin,1,\"system:masters\"\n{NOBODY},nobody,2\n"));
    let mut arguments = vec![
        format!("--etcd-servers=http://{}", etcd.client()),
        "--bind-address=127.0.0.1".to_string(),
        format!("--secure-port={port}"),
        "--advertise-address=127.0.0.1".to_string(),
        format!("--cert-dir={}", scratch.file("certs")),
        "--service-account-issuer=https://kubernetes.default.svc".to_string(),
        format!("--service-account-signing-key-file={key}"),
        format!("--service-account-key-file={key}"),
        format!("--token-auth-file={tokens}"),
        "--authorization-mode=RBAC".to_string(),
        "--service-cluster-ip-range=10.0.0.0/24".to_string(),
        "--disable-admission-plugins=ServiceAccount".to_string(),
        "--endpoint-reconciler-type=none".to_string(),
        "--v=0".to_string(),
    ];
    if options.no_watch_cache {
        arguments.extend(["--watch-cache=false", "--etcd-compaction-interval=0"].map(str::to_string));
    }
    arguments.extend(options.arguments.iter().cloned());
    arguments
}
