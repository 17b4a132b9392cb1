//! Endpoints as Python gives them: text, or (addresses, weight, zone).

use crate::errors::unusable;
use evener_discovery::{Address, AddressError, Endpoint, NamedLists};
use pyo3::prelude::*;
use std::collections::HashMap;

/// `"h:p;weight=3"`, or an `evener.grpc.Endpoint`, which is a tuple.
#[derive(FromPyObject)]
pub(crate) enum Spec {
    Text(String),
    Parts((String, u32, Option<String>)),
}

/// The engine's endpoints; ConfigError names the first that cannot be used.
pub(crate) fn endpoints(specs: Vec<Spec>) -> PyResult<Vec<Endpoint>> {
    specs.into_iter().map(endpoint).collect()
}

/// The engine's named lists.
pub(crate) fn lists(specs: HashMap<String, Vec<Spec>>) -> PyResult<NamedLists> {
    specs.into_iter().map(|(name, list)| Ok((name, endpoints(list)?))).collect::<PyResult<_>>()
}

fn endpoint(spec: Spec) -> PyResult<Endpoint> {
    let (addresses, weight, zone) = match spec {
        Spec::Text(text) => return text.parse().map_err(|error: AddressError| unusable(error)),
        Spec::Parts(parts) => parts,
    };
    let addresses: Result<Vec<Address>, _> = addresses.split('|').map(str::parse).collect();
    let endpoint = Endpoint::new(addresses.map_err(unusable)?).with_weight(weight);
    Ok(match zone {
        Some(zone) => endpoint.with_zone(zone),
        None => endpoint,
    })
}
