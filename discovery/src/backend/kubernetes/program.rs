//! Programs that a kubeconfig names to fetch credentials: client-go's credential plugins.
//!
//! They are run here and not by kube, whose client runs one several times until it is made, and again within a request.

use std::io::{IsTerminal, stdin};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// How much of what a program complains about is repeated.
const LONGEST_COMPLAINT: usize = 300;

/// What a program answers.
#[derive(Deserialize)]
struct Answer {
    status: Option<Fetched>,
}

/// The credentials.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fetched {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<Time>,
}

/// What the program is called, where one is to be run: a user who has other credentials needs none.
pub(super) fn named(auth: &AuthInfo) -> Option<&str> {
    let has_others = auth.auth_provider.is_some()
        || auth.token.is_some()
        || auth.token_file.is_some()
        || (auth.username.is_some() && auth.password.is_some());
    let exec = auth.exec.as_ref().filter(|_| !has_others)?;
    Some(exec.command.as_deref().unwrap_or("(without a name)"))
}

/// Runs the program, if there is one to run, and puts what it fetched in its place. Blocks for as long as it runs.
/// Returns when the credentials end, if they do.
///
/// # Errors
/// The program and what it complains about, for people.
pub(super) fn fetch(auth: &mut AuthInfo) -> Result<Option<SystemTime>, String> {
    let Some(name) = named(auth).map(str::to_owned) else {
        auth.exec = None;
        return Ok(None);
    };
    let wrong = |reason: String| format!("the program `{name}` of the kubeconfig {reason}");
    let exec = auth.exec.take().ok_or_else(|| wrong("is gone".to_owned()))?;
    let fetched = run(&exec).map_err(wrong)?;
    let ends = fetched.ends();
    fetched.put_into(auth);
    Ok(ends)
}

fn run(exec: &ExecConfig) -> Result<Fetched, String> {
    let command = exec.command.as_ref().ok_or("has no command")?;
    let is_interactive = exec.interactive_mode != Some(ExecInteractiveMode::Never) && stdin().is_terminal();
    let mut spec = json!({"interactive": is_interactive});
    if exec.provide_cluster_info {
        spec["cluster"] = serde_json::to_value(&exec.cluster).map_err(|error| error.to_string())?;
    }
    let question = json!({"apiVersion": exec.api_version, "kind": "ExecCredential", "spec": spec});
    let mut program = Command::new(command);
    program.args(exec.args.iter().flatten());
    for variable in exec.env.iter().flatten() {
        if let (Some(name), Some(value)) = (variable.get("name"), variable.get("value")) {
            program.env(name, value);
        }
    }
    program.env("KUBERNETES_EXEC_INFO", question.to_string());
    // Somebody who is asked something sees the question.
    let (from, to) =
        if is_interactive { (Stdio::inherit(), Stdio::inherit()) } else { (Stdio::null(), Stdio::piped()) };
    let output = program.stdin(from).stderr(to).output();
    understood(output.map_err(|error| format!("cannot be run: {error}"))?)
}

fn understood(output: Output) -> Result<Fetched, String> {
    let Output { status, stdout, stderr } = output;
    let stdout = Zeroizing::new(stdout);
    if !status.success() {
        let complaint: String =
            String::from_utf8_lossy(&stderr).trim().chars().take(LONGEST_COMPLAINT).collect();
        return Err(format!("failed ({status}): {complaint}"));
    }
    // Where in the answer the error is can be told, what is there cannot: it may be the secret.
    let answer: Answer = serde_json::from_slice(&stdout).map_err(|error| {
        format!("answers no ExecCredential: line {}, column {}", error.line(), error.column())
    })?;
    answer.status.ok_or_else(|| "answers without a status".to_owned())
}

impl Fetched {
    fn ends(&self) -> Option<SystemTime> {
        let seconds = u64::try_from(self.expiration_timestamp.as_ref()?.0.as_second()).unwrap_or(0);
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    fn put_into(self, auth: &mut AuthInfo) {
        if let (Some(certificate), Some(key)) = (self.client_certificate_data, self.client_key_data) {
            (auth.client_certificate, auth.client_key) = (None, None);
            auth.client_certificate_data = Some(base64(certificate));
            auth.client_key_data = Some(base64(key).into());
        }
        auth.token = self.token.map(Into::into);
    }
}

/// As a kubeconfig has what is PEM.
fn base64(text: String) -> String {
    match serde_json::to_value(ByteString(text.into_bytes())) {
        Ok(Value::String(text)) => text,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(script: &str) -> AuthInfo {
        let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", "command": "sh",
            "args": ["-c", script], "env": [{"name": "WORD", "value": "open sesame"}]});
        serde_json::from_value(json!({"exec": exec})).unwrap()
    }

    #[test]
    fn what_is_fetched_takes_the_programs_place() {
        let mut auth = user(
            r#"printf '{"status":{"token":"%s","expirationTimestamp":"1970-01-01T00:01:00Z","clientCertificateData":"A","clientKeyData":"%s"}}' "$WORD" "$(printf %s "$KUBERNETES_EXEC_INFO" | tr -d '"')""#,
        );
        assert_eq!(named(&auth), Some("sh"));
        let ends = fetch(&mut auth).unwrap();
        assert_eq!(ends, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(60)));
        let auth = serde_json::to_value(&auth).unwrap();
        assert_eq!((&auth["token"], &auth["exec"]), (&json!("open sesame"), &Value::Null));
        assert_eq!(auth["client-certificate-data"], json!("QQ=="));
        let question =
            "{apiVersion:client.authentication.k8s.io/v1,kind:ExecCredential,spec:{interactive:false}}";
        assert_eq!(auth["client-key-data"], json!(base64(question.to_owned())));
    }

    #[test]
    fn a_user_who_has_other_credentials_needs_no_program() {
        for other in
            [json!({"token": "t"}), json!({"tokenFile": "/f"}), json!({"username": "u", "password": "p"})]
        {
            let mut auth: AuthInfo = serde_json::from_value(other.clone()).unwrap();
            auth.exec = user("exit 1").exec;
            assert_eq!(named(&auth), None, "{other}");
            assert_eq!(fetch(&mut auth), Ok(None), "{other}");
            assert!(auth.exec.is_none());
        }
    }

    #[test]
    fn what_goes_wrong_names_the_program_and_keeps_the_secret() {
        for (script, expected) in [
            (
                "echo no ticket today >&2; exit 3",
                "`sh` of the kubeconfig failed (exit status: 3): no ticket today",
            ),
            ("echo '{\"status\":{\"token\":secret}}'", "no ExecCredential: line 1"),
            ("echo '{}'", "without a status"),
        ] {
            let error = fetch(&mut user(script)).unwrap_err();
            assert!(error.contains(expected) && !error.contains("secret"), "{error}");
        }
        let mut missing = user("");
        missing.exec.as_mut().unwrap().command = Some("/no/such/program".to_owned());
        assert!(
            fetch(&mut missing).unwrap_err().contains("`/no/such/program` of the kubeconfig cannot be run")
        );
    }
}
