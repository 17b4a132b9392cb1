//! Endpoints as Python gives them: text, or (addresses, weight, zone).

use crate::errors::unusable;
use evener_discovery::{Address, AddressError, Endpoint, NamedLists};
use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyString};
use std::collections::HashMap;

/// `"h:p;weight=3"`, or an `evener.grpc.Endpoint`, which is a tuple.
#[derive(FromPyObject)]
pub(crate) enum Spec {
    Text(String),
    Parts((String, u32, Option<String>)),
}

/// A list of the application's, from whatever can be gone through, once; see [`elements`].
pub(crate) struct Listed<T>(pub(crate) Vec<T>);

impl<'py, T: FromPyObjectOwned<'py>> FromPyObject<'_, 'py> for Listed<T> {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        elements(&given)?
            .map(|element| element?.extract().map_err(Into::into))
            .collect::<PyResult<_>>()
            .map(Self)
    }
}

/// The elements of a list of endpoints. TypeError for a text, which could be gone through too: its characters are none.
pub(crate) fn elements<'py>(given: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyIterator>> {
    if given.is_instance_of::<PyString>() || given.is_instance_of::<PyBytes>() {
        return Err(PyTypeError::new_err("a list of endpoints is wanted, not a text"));
    }
    given.try_iter()
}

/// The engine's endpoints; ConfigError names the first that cannot be used.
pub(crate) fn endpoints(specs: Vec<Spec>) -> PyResult<Vec<Endpoint>> {
    specs.into_iter().map(endpoint).collect()
}

/// The engine's named lists.
pub(crate) fn lists(specs: HashMap<String, Listed<Spec>>) -> PyResult<NamedLists> {
    specs.into_iter().map(|(name, list)| Ok((name, endpoints(list.0)?))).collect::<PyResult<_>>()
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
