//! One request, and what came of it before the answer's body.

use std::time::Duration;

use futures_util::io::AsyncBufRead;
use futures_util::stream::TryStreamExt;
use http_body_util::BodyExt;
use kube::Client;
use kube::api::{ListParams, WatchParams};
use kube::client::Body;
use kube::core::{Request, Status};

use super::lines::whole;

/// The longest text of a refusal that is read, in bytes.
const LONGEST_REFUSAL: usize = 1 << 20;

/// What is asked.
pub(super) enum Asked<'a> {
    /// A page of what there is.
    List(&'a ListParams),
    /// What changes from a version on.
    Watch(&'a WatchParams, &'a str),
}

/// Why there is no answer.
pub(super) enum Unanswered {
    /// This cannot be asked at all.
    Unfit(String),
    /// No header may hold what the token holds.
    UnfitToken,
    /// Nobody answered.
    Failed(kube::Error),
    /// The server answers with an error, and with the pause that it wants; none is zero.
    Refused { code: u16, message: String, retry_after: Duration },
}

/// Asks, and returns the answer's body as it comes. kube's own requests drop the headers, and so the pause.
pub(super) async fn ask(
    client: &Client,
    path: &Request,
    what: Asked<'_>,
    authorization: Option<String>,
) -> Result<impl AsyncBufRead + use<>, Unanswered> {
    let request = match what {
        Asked::List(parameters) => path.list(parameters),
        Asked::Watch(parameters, version) => path.watch(parameters, version),
    };
    let mut request = request.map_err(|error| Unanswered::Unfit(error.to_string()))?;
    if let Some(value) = authorization {
        let value = value.parse().map_err(|_| Unanswered::UnfitToken)?;
        request.headers_mut().insert("authorization", value);
    }
    let answer = client.send(request.map(Body::from)).await.map_err(Unanswered::Failed)?;
    let (status, retry_after) = (answer.status(), answer.headers().get("retry-after"));
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok()).unwrap_or(0);
    let body = answer.into_body().into_data_stream().map_err(std::io::Error::other).into_async_read();
    if !status.is_client_error() && !status.is_server_error() {
        return Ok(body);
    }
    let text = whole(body, LONGEST_REFUSAL).await.unwrap_or_default();
    Err(refused(status.as_u16(), text, retry_after))
}

/// What a server says when it refuses; mostly it says it as a `Status`, and the pause there or in a header.
fn refused(code: u16, text: String, retry_after: u32) -> Unanswered {
    let status = serde_json::from_str::<Status>(&text).ok();
    let asked = status.as_ref().and_then(|status| status.details.as_ref());
    let asked = asked.map_or(0, |details| details.retry_after_seconds).max(retry_after);
    let message = match status {
        Some(status) => status.message,
        None => text.trim().to_owned(),
    };
    Unanswered::Refused { code, message, retry_after: Duration::from_secs(asked.into()) }
}
