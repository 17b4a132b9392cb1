//! Numbers of a driver's events. Plain constants, there in every build: only what sends them is not.

/// What an event asks for (`evener_event.kind`).
#[repr(u32)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum evener_event_kind {
    /// Connect the endpoint and report its states. May come again for an endpoint that fell back to `EVENER_IDLE`.
    EVENER_EVENT_CONNECT = 1,
    /// Give up the endpoint's connection; the endpoint stays.
    EVENER_EVENT_DISCONNECT = 2,
    /// Cancel the calls that the endpoint still has.
    EVENER_EVENT_CANCEL_CALLS = 3,
    /// The endpoint is gone and has no calls: free what belongs to it, then call evener_channel_endpoint_closed.
    EVENER_EVENT_CLOSE = 4,
    /// The channel's state is now `state`.
    EVENER_EVENT_STATE_CHANGED = 5,
    /// Start the calls that wait again.
    EVENER_EVENT_PICK_AGAIN = 6,
    /// `text` is a line for the application's log, of level `level`.
    EVENER_EVENT_LOG = 7,
    /// Another service config is in force, whoever gave it (the application, DNS, a registry); `text` is its JSON. Not sent for the
    /// one of evener_channel_options.
    EVENER_EVENT_SERVICE_CONFIG = 8,
    /// Begin to resolve the target in `text`, of a scheme that evener_driver_register_scheme has made the program's own: say what is
    /// known with evener_resolver_push and its siblings, now and at any time until `EVENER_EVENT_RESOLVE_STOP` names this `resolver`.
    /// About no channel: `token` is 0. Channels with the same target and options share it.
    EVENER_EVENT_RESOLVE_START = 9,
    /// `resolver`'s target is no longer to be resolved. What is said of it from now on is dropped.
    EVENER_EVENT_RESOLVE_STOP = 10,
    /// Somebody has reason to think that what was pushed last for `resolver` is out of date.
    EVENER_EVENT_RESOLVE_NOW = 11,
}

/// How grave a line of log is (`evener_event.level`).
#[repr(u32)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum evener_log_level {
    /// Something does not work.
    EVENER_LOG_ERROR = 1,
    /// Something is not as it should be.
    EVENER_LOG_WARNING = 2,
    /// Something changed.
    EVENER_LOG_INFO = 3,
    /// For those who look for a fault.
    EVENER_LOG_DEBUG = 4,
}
