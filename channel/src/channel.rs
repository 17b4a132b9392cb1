//! One channel, as its transport and its calls see it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use evener_core::{Connectivity, Health};
use evener_discovery::Endpoint;

use crate::calls::{CallReport, CallTicket, StartCall};
use crate::config::{ConfigError, ServiceConfig, Warning};
use crate::driver::Driver;
use crate::engine::Engine;
use crate::options::{ChannelOptions, OpenError, UpdateError};
use crate::setup::set_up_with;
use crate::stats::EndpointStats;

/// A target's endpoints, balanced. See the crate's documentation for how one is driven.
///
/// A cheap handle, to clone and to use from any thread; every method may be called at any time. When
/// the last clone is dropped the channel closes as by [`Channel::close`].
#[derive(Debug, Clone)]
pub struct Channel {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    engine: Arc<Engine>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.engine.close();
    }
}

/// What the service config says of a method, for whoever sends its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallConfig {
    /// The longest a call may take; a shorter deadline of the application's own wins.
    pub timeout: Option<Duration>,
    /// Whether calls wait while the channel fails; the application's own word wins.
    pub wait_for_ready: Option<bool>,
    /// The longest request message in bytes; a smaller limit of the application's own wins.
    pub max_request_bytes: Option<u64>,
    /// The longest response message in bytes; a smaller limit of the application's own wins.
    pub max_response_bytes: Option<u64>,
}

impl Channel {
    /// Opens a channel to a target. It is IDLE and does nothing until its first call or
    /// [`Channel::state`]`(true)`; a wrong target or config is told at once.
    ///
    /// `token` comes with each of its events.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        driver: &Driver,
        target: &str,
        options: ChannelOptions,
        token: u64,
    ) -> Result<Self, OpenError> {
        let setup = set_up_with(target, options, &|scheme| driver.has_scheme(scheme))?;
        let engine = Arc::new(Engine::new(setup, driver.signal(), Instant::now()));
        if !driver.watch(Arc::clone(&engine), token) {
            return Err(OpenError::ShutDown);
        }
        Ok(Self { inner: Arc::new(Inner { engine }) })
    }

    /// Starts a call: picks an endpoint for it and counts it there.
    ///
    /// `method` is the full method name (`/package.Service/Method`). `wait_for_ready` is what the
    /// application said, if it said anything; the service config is asked otherwise.
    ///
    /// While the channel is IDLE or CONNECTING a call waits whatever `wait_for_ready` says; in
    /// TRANSIENT_FAILURE it fails with UNAVAILABLE and the endpoints' reasons, or waits if it may.
    /// Takes no lock and allocates nothing when it answers [`StartCall::Started`].
    pub fn start_call(&self, method: &str, wait_for_ready: Option<bool>) -> StartCall {
        self.inner.engine.start_call(method, wait_for_ready, Instant::now())
    }

    /// Starts a call as [`Channel::start_call`] does where an endpoint can take it at once. `None` says no more than that:
    /// then ask [`Channel::start_call`], which may take a lock to tell why. For hosts that must let go of something before
    /// they may wait, such as an interpreter's lock. Takes no lock and allocates nothing.
    pub fn try_start_call(&self) -> Option<CallTicket> {
        self.inner.engine.try_start_call(Instant::now())
    }

    /// Ends a started call, exactly once, whatever became of it. Takes no lock and allocates nothing.
    ///
    /// Answers false, and does nothing, if the ticket is none that this channel can have given out.
    pub fn finish_call(&self, call: CallTicket, report: CallReport) -> bool {
        self.inner.engine.finish_call(call, report, Instant::now())
    }

    /// Moves whenever [`StartCall::Wait`] may have become another answer.
    ///
    /// Who queues waiting calls itself compares this with the call's epoch *after* queueing it, and
    /// starts it again if they differ; otherwise [`Action::PickAgain`](crate::Action::PickAgain) comes.
    pub fn epoch(&self) -> u64 {
        self.inner.engine.shared.waiters.epoch()
    }

    /// Blocks until the epoch is another than `epoch` (true), or until the deadline (false). A deadline
    /// of `None` waits without end. The driver must be run by another thread meanwhile.
    pub fn wait(&self, epoch: u64, deadline: Option<Instant>) -> bool {
        self.inner.engine.shared.waiters.wait(epoch, deadline)
    }

    /// What the service config says of a method. Takes no lock and allocates nothing.
    pub fn method_config(&self, method: &str) -> CallConfig {
        let config = self.inner.engine.shared.config.load();
        let method = config.method(method);
        CallConfig {
            timeout: method.timeout,
            wait_for_ready: method.wait_for_ready,
            max_request_bytes: method.max_request_bytes,
            max_response_bytes: method.max_response_bytes,
        }
    }

    /// The whole service config as it is now.
    pub fn service_config(&self) -> Arc<ServiceConfig> {
        self.inner.engine.shared.config.load_full()
    }

    /// The service whose health each server is to be asked for (gRFC A17: `grpc.health.v1.Health/Watch` on every
    /// connection); empty for the server as a whole. `None`: a server that is connected counts as healthy,
    /// because the service config has no `healthCheckConfig.serviceName`, or because the policy is
    /// `pick_first`, which does not ask. May change with every [`Action::ServiceConfig`](crate::Action::ServiceConfig).
    pub fn health_service(&self) -> Option<String> {
        let config = self.inner.engine.shared.config.load();
        Some(config.asked_health()?.service_name.clone())
    }

    /// Tells what the transport sees of an endpoint's connection. `error` is the reason of a failure,
    /// or empty; up to 512 bytes of it are kept.
    ///
    /// Answers false, and does nothing, for an endpoint that is closed or never was.
    pub fn set_state(&self, endpoint: u32, state: Connectivity, error: &str) -> bool {
        self.inner.engine.set_state(endpoint, state, error)
    }

    /// Tells what an endpoint's server says of its health. Answers as [`Channel::set_state`].
    pub fn set_health(&self, endpoint: u32, health: Health) -> bool {
        self.inner.engine.set_health(endpoint, health)
    }

    /// The target to give gRPC for an endpoint (`ipv4:127.0.0.1:50051`); `None` if there is no such
    /// endpoint. Still known after `Close`, until [`Channel::closed`].
    pub fn endpoint_target(&self, endpoint: u32) -> Option<String> {
        self.inner.engine.endpoint_target(endpoint)
    }

    /// Acknowledges [`Action::Close`](crate::Action::Close): the transport knows the endpoint no more, its
    /// index may be given to another one. Answers false if that was not awaited.
    pub fn closed(&self, endpoint: u32) -> bool {
        self.inner.engine.acknowledge(endpoint)
    }

    /// Replaces the endpoints. From now on this list is the truth: the target is no longer looked up.
    ///
    /// Endpoints in both lists keep their connection, index and counts (an endpoint is its set of
    /// addresses, in any order); of several with the same addresses the first counts. Calls at removed
    /// ones go on, for as long as `drain_timeout` says.
    ///
    /// # Errors
    /// [`UpdateError`]; unless it says otherwise, nothing has changed.
    pub fn update_endpoints(&self, endpoints: Vec<Endpoint>) -> Result<(), UpdateError> {
        self.inner.engine.update_endpoints(endpoints)
    }

    /// Replaces the application's service config. Answers what in it is not obeyed.
    ///
    /// It is in force unless another one goes before it: see
    /// [`ChannelOptions::service_config`](crate::ChannelOptions::service_config).
    ///
    /// # Errors
    /// The config is wrong: the one before stays (gRFC A21).
    pub fn set_service_config(&self, json: &str) -> Result<Vec<Warning>, ConfigError> {
        self.inner.engine.set_service_config(json)
    }

    /// The name of the policy in force, as in gRPC's service config.
    pub fn policy_name(&self) -> &'static str {
        self.inner.engine.shared.config.load().policy.name()
    }

    /// The channel's state; with `try_to_connect`, an IDLE channel begins to connect after this answer.
    pub fn state(&self, try_to_connect: bool) -> Connectivity {
        self.inner.engine.state(try_to_connect)
    }

    /// Blocks until the state is another than `last` (true), or until the deadline (false).
    pub fn wait_for_state_change(&self, last: Connectivity, deadline: Option<Instant>) -> bool {
        self.inner.engine.wait_for_state_change(last, deadline)
    }

    /// Blocks until a call would find an endpoint (the state is READY), connecting an IDLE channel, or until the deadline.
    /// `None` waits without end. The driver must be run by another thread meanwhile.
    ///
    /// # Errors
    /// What is missing, for people: the resolution, the endpoints, or each one's last error; or that the channel is closed.
    pub fn wait_until_ready(&self, deadline: Option<Instant>) -> Result<(), String> {
        self.inner.engine.wait_until_ready(deadline)
    }

    /// The target as it was given. Logs, errors and [`Channel::describe`] have it without its secrets.
    pub fn target(&self) -> &str {
        self.inner.engine.shared.given()
    }

    /// What calls should have as `:authority`, and what certificates should be checked against.
    pub fn authority(&self) -> &str {
        &self.inner.engine.shared.authority
    }

    /// The channel as JSON: target, state, policy, service config, resolution, and each endpoint with
    /// its addresses, state, weight, calls and last error.
    pub fn describe(&self) -> String {
        self.inner.engine.describe(Instant::now()).to_string()
    }

    /// Each endpoint that is not closed in numbers, in the order of their indices.
    pub fn stats(&self) -> Vec<EndpointStats> {
        self.inner.engine.stats()
    }

    /// Closes the channel: new and waiting calls fail with CANCELLED, the state is SHUTDOWN. Calls that
    /// run may end; endpoints are closed as if they had been removed. Doing it twice does no more.
    pub fn close(&self) {
        self.inner.engine.close();
    }
}
