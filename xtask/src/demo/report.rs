//! What a client says about itself, a JSON object a line.

use serde_json::Value;

/// One line of a client.
#[derive(Debug, Default, PartialEq)]
pub struct Report {
    /// Per server, the time of each call that succeeded, in microseconds.
    pub latencies: Vec<(String, Vec<u64>)>,
    pub failures: Vec<Failure>,
    pub endpoints: Vec<EndpointState>,
    pub list: ListState,
}

/// What the channel says of its list as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListState {
    /// `fresh`, `stale` or `unknown`.
    pub freshness: String,
    /// Since its registry was heard.
    pub age_seconds: f64,
}

/// A call that failed; times are wall-clock microseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub code: u64,
    pub message: String,
    pub started_us: u64,
    pub ended_us: u64,
}

/// One endpoint in the channel's own description.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointState {
    pub address: String,
    pub state: String,
    pub weight: u64,
    pub draining: bool,
    pub in_flight: u64,
    pub failed: u64,
}

impl Report {
    pub fn parse(line: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(line)
            .map_err(|error| format!("a client's line is no JSON ({error}): {line}"))?;
        Ok(Self {
            latencies: latencies(&value["latencies_us"]),
            failures: items(&value["failures"]).iter().map(failure).collect(),
            endpoints: items(&value["channel"]["endpoints"]).iter().map(endpoint).collect(),
            list: list(&value["channel"]["resolution"]),
        })
    }
}

fn latencies(value: &Value) -> Vec<(String, Vec<u64>)> {
    let Some(servers) = value.as_object() else {
        return Vec::new();
    };
    let times = |list: &Value| items(list).iter().filter_map(Value::as_u64).collect();
    servers.iter().map(|(server, list)| (server.clone(), times(list))).collect()
}

fn failure(value: &Value) -> Failure {
    Failure {
        code: number(&value["code"]),
        message: text(&value["message"]),
        started_us: number(&value["started_us"]),
        ended_us: number(&value["ended_us"]),
    }
}

fn endpoint(value: &Value) -> EndpointState {
    EndpointState {
        address: text(&value["addresses"][0]),
        state: text(&value["state"]),
        weight: number(&value["weight"]),
        draining: value["draining"].as_bool().unwrap_or(false),
        in_flight: number(&value["in_flight"]),
        failed: number(&value["failed"]),
    }
}

fn list(value: &Value) -> ListState {
    ListState {
        freshness: text(&value["freshness"]),
        age_seconds: value["age_seconds"].as_f64().unwrap_or_default(),
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_client_is_understood() {
        let report = Report::parse(
            r#"{"latencies_us":{"py-1":[1200,900]},
                "failures":[{"code":14,"message":"gone","started_us":5,"ended_us":9}],
                "channel":{"state":"READY","endpoints":[{"addresses":["127.0.0.1:1"],"state":"READY","weight":1,"in_flight":2}],
                           "resolution":{"freshness":"stale","age_seconds":1.5}}}"#,
        )
        .unwrap();
        assert_eq!(report.latencies, [("py-1".to_string(), vec![1200, 900])]);
        assert_eq!(report.failures[0].code, 14);
        assert_eq!(report.endpoints[0].address, "127.0.0.1:1");
        assert_eq!((report.endpoints[0].in_flight, report.endpoints[0].draining), (2, false));
        assert_eq!(report.list, ListState { freshness: "stale".to_string(), age_seconds: 1.5 });
    }

    #[test]
    fn a_line_that_is_none_is_an_error() {
        assert!(Report::parse("Traceback").is_err());
    }
}
