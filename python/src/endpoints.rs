//! Endpoints as Python gives them: text, or (addresses, weight, zone).

use crate::errors::unusable;
use crate::fields::{self, type_name};
use evener_discovery::{Address, AddressError, Endpoint, NamedLists};
use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyString};

/// `"h:p;weight=3"`, or an `evener.grpc.Endpoint`, which is a tuple.
pub(crate) enum Spec {
    Text(String),
    Parts { addresses: String, weight: i64, zone: Option<String> },
}

impl<'py> FromPyObject<'_, 'py> for Spec {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if given.is_instance_of::<PyString>() {
            return fields::read("endpoint", &given).map(Self::Text);
        }
        let parts = given.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>)>();
        let (addresses, weight, zone) = parts.map_err(|_| {
            let found = type_name(&given);
            PyTypeError::new_err(format!("an endpoint is a text or an evener.Endpoint, not {found}"))
        })?;
        Ok(Self::Parts {
            addresses: fields::read("endpoint: address", &addresses)?,
            weight: fields::read("endpoint: weight", &weight)?,
            zone: fields::read("endpoint: zone", &zone)?,
        })
    }
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
    given.try_iter().map_err(|error| {
        if !error.is_instance_of::<PyTypeError>(given.py()) {
            return error;
        }
        PyTypeError::new_err(format!("a list of endpoints is wanted, not {}", type_name(given)))
    })
}

/// The engine's endpoints; ConfigError names the first that cannot be used.
pub(crate) fn endpoints(specs: Vec<Spec>) -> PyResult<Vec<Endpoint>> {
    specs.into_iter().map(endpoint).collect()
}

/// The engine's named lists.
pub(crate) fn lists(given: &Bound<'_, PyAny>) -> PyResult<NamedLists> {
    let lists = given.cast::<PyDict>();
    let lists =
        lists.map_err(|_| fields::mistyped("lists", "a dict of lists of endpoints", &type_name(given)))?;
    let one = |(name, list): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        Ok((fields::read::<String>("lists: name", &name)?, endpoints(list.extract::<Listed<Spec>>()?.0)?))
    };
    lists.iter().map(one).collect::<PyResult<_>>()
}

fn endpoint(spec: Spec) -> PyResult<Endpoint> {
    let (addresses, weight, zone) = match spec {
        Spec::Text(text) => return text.parse().map_err(|error: AddressError| unusable(error)),
        Spec::Parts { addresses, weight, zone } => (addresses, self::weight(weight)?, zone),
    };
    let addresses: Result<Vec<Address>, _> = addresses.split('|').map(str::parse).collect();
    let endpoint = Endpoint::new(addresses.map_err(unusable)?).with_weight(weight);
    Ok(match zone {
        Some(zone) => endpoint.with_zone(zone),
        None => endpoint,
    })
}

fn weight(given: i64) -> PyResult<u32> {
    u32::try_from(given).map_err(|_| {
        unusable(format!("endpoint: weight: a whole number from 0 to {} is wanted, not {given}", u32::MAX))
    })
}
