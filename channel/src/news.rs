//! What has become known since the last poll of an engine.

use evener_discovery::Endpoint;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// The endpoints, where they are others.
    pub(crate) list: Option<Vec<Endpoint>>,
    /// The service config that comes with the endpoints, where it is another; the inner `None` is none any more.
    pub(crate) resolved_config: Option<Option<String>>,
    /// What the service config's own source says, where it is something else than before.
    pub(crate) source_config: Option<Result<String, String>>,
    /// Why calls fail, or whether they do, may be another thing than before.
    pub(crate) moved: bool,
}
