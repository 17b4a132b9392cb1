//! The three environments: servers and clients as on a developer's machine, in a test environment, and in production.

use super::{Show, answered, answered_by_each, expect_line};
use crate::command::Run;
use crate::process::Process;
use crate::programs::TEST_NETWORK;
use evener_test_servers::{Authority, Bind, Etcd, Scratch};

/// The last numbers of the addresses of the test environment's servers, on port 50051.
pub const TEST_SERVERS: [u32; 2] = [3, 4];
/// The C++ client of all three.
const CLIENT: &str = "environment_client";
const BOTH: [&str; 2] = ["server 3", "server 4"];

/// One server that is named in the target, and what a client does when it is not there.
pub fn development(show: &Show) -> Result<(), String> {
    let mut server = show.start_python("environments/development/server.py", &["localhost:0"])?;
    let target = format!("localhost:{}", server.listening_port()?);
    lints(show, &[&target])?;
    let client = || show.python("environments/development/client.py").arg(&target);
    answered(client(), &["the development server"])?;
    answered(show.cpp(CLIENT).args(["development", &target, "10"]), &["the development server"])?;
    stop(server)?;
    let ended = client().succeed()?;
    let has_said_why = ended.text.contains("not connected: ") && ended.text.contains("onnection refused");
    if has_said_why && ended.text.contains("10  nobody's, from before") {
        return Ok(());
    }
    Err(format!("without a server it was to say why, and to fall back: {}", ended.text))
}

/// Servers behind a name; one of them says for a while that it does not serve.
pub fn test(show: &Show, names: &Bind) -> Result<(), String> {
    let start = |number: u32| {
        let (address, name) = (format!("{TEST_NETWORK}{number}:50051"), format!("server {number}"));
        let mut server = show.start_python("environments/test/server.py", &[&address, &name])?;
        server.listening_port().map(|_| server)
    };
    let [mut first, second] = [start(TEST_SERVERS[0])?, start(TEST_SERVERS[1])?];
    let target = format!("dns://{}/user-service.example.test:50051", names.address());
    let config = show.file("environments/test/service_config.json");
    lints(show, &[&target, &config.to_string_lossy()])?;
    let client = || show.python("environments/test/client.py").arg(&target);
    let compiled = || show.cpp(CLIENT).args(["test", &target]).env("SERVICE_CONFIG_FILE", &config);
    answered_by_each(client, &BOTH)?;
    answered_by_each(compiled, &BOTH)?;
    first.signal("USR1")?;
    expect_line(&mut first, "NOT_SERVING")?;
    answered(client(), &BOTH[1..])?;
    answered(compiled(), &BOTH[1..])?;
    first.signal("USR2")?;
    expect_line(&mut first, "SERVING")?;
    answered_by_each(client, &BOTH)?;
    stop(first)?;
    stop(second)
}

/// Servers that register themselves, with TLS; one leaves, and a client starts while etcd is down.
pub fn production(show: &Show, etcd: &Etcd) -> Result<(), String> {
    let authority = Authority::new();
    let certificate = authority.server(&["user-service"]);
    let registry = format!("etcd://{}", etcd.client());
    let start = |number: u32| {
        let (address, name) = (format!("{TEST_NETWORK}{number}:50052"), format!("server {number}"));
        let arguments = [&*address, &name, &registry, &certificate.certificate, &certificate.key];
        let mut server = show.start_python("environments/production/server.py", &arguments)?;
        expect_line(&mut server, &format!("registered {address}")).map(|()| server)
    };
    let [first, second] = [start(TEST_SERVERS[0])?, start(TEST_SERVERS[1])?];
    let target = format!("etcd://{}/user-service", etcd.client());
    let config = show.file("environments/production/service_config.json");
    lints(show, &[&target, &config.to_string_lossy()])?;
    let snapshots = Scratch::new("snapshots");
    let client = || -> Run {
        let run = show.python("environments/production/client.py").arg(&target).arg(authority.ca());
        run.env("SNAPSHOT_DIR", snapshots.path())
    };
    let compiled = || -> Run {
        let run = show.cpp(CLIENT).args(["production", &target]).env("SERVER_CA_FILE", authority.ca());
        run.env("SNAPSHOT_DIR", snapshots.path()).env("SERVICE_CONFIG_FILE", &config)
    };
    answered_by_each(client, &BOTH)?;
    answered_by_each(compiled, &BOTH)?;
    stop(first)?;
    answered(client(), &BOTH[1..])?;
    etcd.kill();
    answered(client(), &BOTH[1..])?;
    answered(compiled(), &BOTH[1..])?;
    etcd.restart();
    stop(second)
}

/// Nothing in these targets and files is wrong; there may be advice.
fn lints(show: &Show, subjects: &[&str]) -> Result<(), String> {
    let lint = |subject: &&str| show.evener().args(["lint", "--strict", subject]).succeed().map(|_| ());
    subjects.iter().try_for_each(lint)
}

/// SIGTERM, and its end waited for.
fn stop(server: Process) -> Result<(), String> {
    server.signal("TERM")?;
    server.end().map(|_| ())
}
