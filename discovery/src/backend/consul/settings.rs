//! Where the agent is and what it is asked with: from the target, the options and Consul's environment variables.

use std::path::PathBuf;
use std::time::Duration;

use crate::credentials::{Credentials, Secret, TlsFiles};
use crate::event::{ErrorClass, SourceError};
use crate::target::{ConsulAgent, ConsulTarget};

const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 8500;
const DEFAULT_TLS_PORT: u16 = 8501;

/// How an agent is reached.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub agent: ConsulAgent,
    /// `None` is plain HTTP.
    pub tls: Option<TlsFiles>,
    pub user: Option<(String, Secret)>,
    pub token: Option<Secret>,
    pub namespace: Option<String>,
    pub partition: Option<String>,
    /// The time for a connection, and for an answer that does not wait.
    pub timeout: Duration,
}

impl Settings {
    /// What the target says counts first, then the options, then the environment, `env` by its variables' names:
    /// `CONSUL_HTTP_ADDR`, `_TOKEN_FILE`, `_TOKEN`, `_AUTH`, `_SSL`, `_SSL_VERIFY`, `CONSUL_CACERT`, `_CAPATH`, `_CLIENT_CERT`,
    /// `_CLIENT_KEY`, `_TLS_SERVER_NAME`, `_NAMESPACE`, `_PARTITION`. But for a token and a user the options come before
    /// the target: secrets do not belong there.
    pub fn new(
        target: &ConsulTarget,
        credentials: &Credentials,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SourceError> {
        let env = Env { get: env };
        let (agent, scheme_tls) = match &target.agent {
            Some(agent) => (agent.clone(), None),
            None => env.agent()?,
        };
        let is_tls = match target.tls.or(scheme_tls) {
            Some(is_tls) => is_tls,
            None => credentials.tls.is_some() || env.flag("CONSUL_HTTP_SSL")?.unwrap_or(false),
        };
        if is_tls && env.flag("CONSUL_HTTP_SSL_VERIFY")? == Some(false) {
            return Err(config(
                "CONSUL_HTTP_SSL_VERIFY: certificates are always checked; name the authority in CONSUL_CACERT",
            ));
        }
        let files = credentials.tls.clone().unwrap_or_else(|| env.tls_files());
        if files.server_name.as_deref().is_some_and(|name| name.parse::<std::net::IpAddr>().is_ok()) {
            return Err(config("the TLS server name is an address; it has to be a name"));
        }
        let written = target.user.as_ref().map(|(name, password)| (name.clone(), Secret::value(password)));
        let user = credentials.user.clone().or(written).or_else(|| env.user());
        let token = credentials.token.clone().or_else(|| target.token.as_ref().map(Secret::value));
        Ok(Self {
            agent,
            tls: is_tls.then_some(files),
            user,
            token: token.or_else(|| env.token()),
            namespace: target.namespace.clone().or_else(|| env.text("CONSUL_NAMESPACE")),
            partition: target.partition.clone().or_else(|| env.text("CONSUL_PARTITION")),
            timeout: target.timeout,
        })
    }

    /// The host and port of the agent, for whoever connects to it.
    pub fn address(&self) -> Option<(String, u16)> {
        match &self.agent {
            ConsulAgent::Unix(_) => None,
            ConsulAgent::Tcp { host, port } => {
                let default = if self.tls.is_some() { DEFAULT_TLS_PORT } else { DEFAULT_PORT };
                Some((host.clone(), port.unwrap_or(default)))
            }
        }
    }

    /// What stands before the path in the URL of a request. Under TLS with a name of its own that is the host: whoever
    /// connects looks up the real one.
    pub fn base(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let server_name = self.tls.as_ref().and_then(|files| files.server_name.as_deref());
        match (self.address(), server_name) {
            (None, name) => format!("{scheme}://{}", name.unwrap_or("localhost")),
            (Some((_, port)), Some(name)) => format!("{scheme}://{name}:{port}"),
            (Some((host, port)), None) if host.contains(':') => format!("{scheme}://[{host}]:{port}"),
            (Some((host, port)), None) => format!("{scheme}://{host}:{port}"),
        }
    }
}

struct Env<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
}

impl Env<'_> {
    fn text(&self, name: &str) -> Option<String> {
        (self.get)(name).filter(|text| !text.is_empty())
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, SourceError> {
        match self.text(name).as_deref() {
            None => Ok(None),
            Some("1" | "t" | "T" | "true" | "True" | "TRUE") => Ok(Some(true)),
            Some("0" | "f" | "F" | "false" | "False" | "FALSE") => Ok(Some(false)),
            Some(other) => Err(config(&format!("{name}: `{other}` is neither true nor false"))),
        }
    }

    /// `HOST:PORT`, `http://HOST:PORT`, `https://HOST:PORT`, `unix://PATH`.
    fn agent(&self) -> Result<(ConsulAgent, Option<bool>), SourceError> {
        let Some(text) = self.text("CONSUL_HTTP_ADDR") else {
            return Ok((ConsulAgent::Tcp { host: DEFAULT_HOST.to_owned(), port: None }, None));
        };
        let (text, tls) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (rest, Some(false)),
            (_, Some(rest)) => (rest, Some(true)),
            _ => (text.as_str(), None),
        };
        // CONSUL_HTTP_SSL goes before `http`, as in Consul's own client.
        let tls = if self.flag("CONSUL_HTTP_SSL")? == Some(true) { Some(true) } else { tls };
        let text = if text.starts_with("unix:") { text } else { text.trim_end_matches('/') };
        let agent = ConsulAgent::parse(text);
        Ok((agent.map_err(|error| config(&format!("CONSUL_HTTP_ADDR: {}", error.reason)))?, tls))
    }

    /// The file goes before the variable, as in Consul's own client.
    fn token(&self) -> Option<Secret> {
        let file = self.path("CONSUL_HTTP_TOKEN_FILE").map(Secret::File);
        file.or_else(|| self.text("CONSUL_HTTP_TOKEN").map(Secret::value))
    }

    fn user(&self) -> Option<(String, Secret)> {
        let text = self.text("CONSUL_HTTP_AUTH")?;
        let (name, password) = text.split_once(':').unwrap_or((&text, ""));
        Some((name.to_owned(), Secret::value(password)))
    }

    fn tls_files(&self) -> TlsFiles {
        TlsFiles {
            ca: self.path("CONSUL_CACERT").or_else(|| self.path("CONSUL_CAPATH")),
            cert: self.path("CONSUL_CLIENT_CERT"),
            key: self.path("CONSUL_CLIENT_KEY"),
            server_name: self.text("CONSUL_TLS_SERVER_NAME"),
        }
    }
}

fn config(text: &str) -> SourceError {
    SourceError::new(ErrorClass::Config, format!("consul: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    fn settings(
        target: &str,
        credentials: &Credentials,
        env: &[(&str, &str)],
    ) -> Result<Settings, SourceError> {
        let Ok(Target::Consul(target)) = Target::parse(target) else { unreachable!("{target}") };
        let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::new(&target, credentials, &get)
    }

    fn from(target: &str, env: &[(&str, &str)]) -> Settings {
        settings(target, &Credentials::default(), env).unwrap()
    }

    #[test]
    fn the_agent_is_the_target_s_then_the_environment_s_then_the_local_one() {
        let remote = [("CONSUL_HTTP_ADDR", "https://consul.example:8443")];
        for (target, env, base) in [
            ("consul:///s", &[] as &[_], "http://127.0.0.1:8500"),
            ("consul:///s?tls", &[], "https://127.0.0.1:8501"),
            ("consul://agent/s", &remote, "http://agent:8500"),
            ("consul:///s", &remote, "https://consul.example:8443"),
            ("consul:///s?tls=false", &remote, "http://consul.example:8443"),
            ("consul:///s", &[("CONSUL_HTTP_ADDR", "10.0.0.1:80")], "http://10.0.0.1:80"),
            ("consul:///s", &[("CONSUL_HTTP_ADDR", "http://10.0.0.1:80/")], "http://10.0.0.1:80"),
            (
                "consul:///s",
                &[("CONSUL_HTTP_ADDR", "10.0.0.1:80"), ("CONSUL_HTTP_SSL", "1")],
                "https://10.0.0.1:80",
            ),
            ("consul:///s", &[("CONSUL_HTTP_ADDR", "[::1]:80")], "http://[::1]:80"),
            ("consul:///s", &[("CONSUL_HTTP_ADDR", "unix:///run/consul.sock")], "http://localhost"),
            (
                "consul://[::1]/s",
                &[("CONSUL_HTTP_SSL", "true"), ("CONSUL_TLS_SERVER_NAME", "server.dc1.consul")],
                "https://server.dc1.consul:8501",
            ),
        ] {
            assert_eq!(from(target, env).base(), base, "{target} {env:?}");
        }
        let socket = from("consul:///s", &[("CONSUL_HTTP_ADDR", "unix:///run/consul.sock")]);
        assert_eq!(socket.agent, ConsulAgent::Unix("/run/consul.sock".to_owned()));
        assert_eq!(socket.address(), None);
    }

    #[test]
    fn secrets_come_from_the_options_the_target_and_the_environment_in_this_order() {
        let env = [
            ("CONSUL_HTTP_TOKEN", "env"),
            ("CONSUL_HTTP_AUTH", "me:pw:x"),
            ("CONSUL_NAMESPACE", "team"),
            ("CONSUL_PARTITION", "p"),
        ];
        let with = Credentials { token: Some(Secret::value("options")), ..Credentials::default() };
        let token = |settings: Settings| settings.token.map(|token| token.read().unwrap().to_string());
        assert_eq!(
            token(settings("consul:///s?token=target", &with, &env).unwrap()).as_deref(),
            Some("options")
        );
        assert_eq!(token(from("consul:///s?token=target", &env)).as_deref(), Some("target"));
        let plain = from("consul:///s", &env);
        let (user, password) = plain.user.clone().unwrap();
        assert_eq!((user.as_str(), password.read().unwrap().as_str()), ("me", "pw:x"));
        assert_eq!((plain.namespace.as_deref(), plain.partition.as_deref()), (Some("team"), Some("p")));
        assert_eq!(token(plain).as_deref(), Some("env"));
        let file =
            from("consul:///s", &[("CONSUL_HTTP_TOKEN", "env"), ("CONSUL_HTTP_TOKEN_FILE", "/run/token")]);
        assert_eq!(file.token, Some(Secret::File("/run/token".into())));
        assert!(from("consul:///s", &[("CONSUL_HTTP_TOKEN", "")]).token.is_none());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for env in [
            [("CONSUL_HTTP_ADDR", "host:port"), ("", "")],
            [("CONSUL_HTTP_SSL", "maybe"), ("", "")],
            [("CONSUL_HTTP_SSL", "1"), ("CONSUL_HTTP_SSL_VERIFY", "false")],
            [("CONSUL_HTTP_SSL", "1"), ("CONSUL_TLS_SERVER_NAME", "10.0.0.1")],
        ] {
            let error = settings("consul:///s", &Credentials::default(), &env).unwrap_err();
            assert_eq!(error.class, ErrorClass::Config, "{env:?}");
        }
        assert!(
            settings("consul:///s", &Credentials::default(), &[("CONSUL_HTTP_SSL_VERIFY", "false")]).is_ok()
        );
    }

    #[test]
    fn files_for_tls_come_from_the_environment() {
        let env = [
            ("CONSUL_HTTP_SSL", "1"),
            ("CONSUL_CACERT", "/ca"),
            ("CONSUL_CLIENT_CERT", "/c"),
            ("CONSUL_CLIENT_KEY", "/k"),
        ];
        let files = from("consul:///s", &env).tls.unwrap();
        assert_eq!(
            (files.ca, files.cert, files.key),
            (Some("/ca".into()), Some("/c".into()), Some("/k".into()))
        );
        assert!(from("consul:///s", &env[1..]).tls.is_none());
    }
}
