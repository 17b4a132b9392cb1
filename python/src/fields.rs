//! What Python gives, read part by part, so that whatever is wrong is told by the part's name.

use crate::errors::unusable;
use pyo3::exceptions::{PyAttributeError, PyOverflowError, PyTypeError, PyUnicodeEncodeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySequence, PyString};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;

/// The attributes of an object that holds options.
pub(crate) struct Fields<'a, 'py> {
    group: &'static str,
    class: &'static str,
    given: &'a Bound<'py, PyAny>,
}

impl<'a, 'py> Fields<'a, 'py> {
    /// Those of any object that has them; errors speak of `group`, and of `class` as the documented one.
    pub(crate) fn of(group: &'static str, class: &'static str, given: &'a Bound<'py, PyAny>) -> Self {
        Self { group, class, given }
    }

    /// The value of a field. TypeError says what is wanted in place of another type, ConfigError why a value cannot be used.
    pub(crate) fn get<T: Wanted>(&self, field: &str) -> PyResult<T> {
        read(&self.place(field), &self.object(field)?)
    }

    /// As `get`, of a text or path that may be left out, and says nothing when it is empty: ConfigError.
    pub(crate) fn filled<T: Wanted + AsRef<OsStr>>(&self, field: &str) -> PyResult<Option<T>> {
        let value: Option<T> = self.get(field)?;
        if value.as_ref().is_some_and(|value| value.as_ref().is_empty()) {
            return Err(unusable(format!("{}: is empty; None leaves it out", self.place(field))));
        }
        Ok(value)
    }

    /// A field as it is.
    pub(crate) fn object(&self, field: &str) -> PyResult<Bound<'py, PyAny>> {
        let py = self.given.py();
        self.given.getattr(field).map_err(|error| {
            if !error.is_instance_of::<PyAttributeError>(py) {
                return error;
            }
            mistyped(self.group, self.class, &type_name(self.given))
        })
    }

    /// A field as it is, unless it is None.
    pub(crate) fn optional(&self, field: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(Some(self.object(field)?).filter(|value| !value.is_none()))
    }

    fn place(&self, field: &str) -> String {
        format!("{}: {field}", self.group)
    }
}

/// A value that stands at `place`; errors as those of [`Fields::get`].
pub(crate) fn read<T: Wanted>(place: &str, value: &Bound<'_, PyAny>) -> PyResult<T> {
    T::read(value).map_err(|error| {
        if error.is_instance_of::<PyTypeError>(value.py()) {
            return mistyped(place, &T::wanted(), &T::found(value));
        }
        if error.is_instance_of::<PyUnicodeEncodeError>(value.py()) {
            return unusable(format!("{place}: is no UTF-8 text"));
        }
        if error.is_instance_of::<PyOverflowError>(value.py()) {
            return unusable(format!("{place}: is out of range"));
        }
        // Of the application's own code.
        error
    })
}

pub(crate) fn mistyped(place: &str, wanted: &str, found: &str) -> PyErr {
    PyTypeError::new_err(format!("{place}: {wanted} is wanted, not {found}"))
}

/// The name of a value's type, for people.
pub(crate) fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "something else".to_owned(), |name| name.to_string())
}

/// What a value can be read as.
pub(crate) trait Wanted: Sized {
    /// What it is called, for people.
    fn wanted() -> String;

    /// TypeError for another type.
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self>;

    /// What is there in its place, for people.
    fn found(value: &Bound<'_, PyAny>) -> String {
        type_name(value)
    }
}

macro_rules! wanted {
    ($($type:ty: $wanted:literal),+ $(,)?) => {$(
        impl Wanted for $type {
            fn wanted() -> String {
                $wanted.to_owned()
            }

            fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
                value.extract().map_err(Into::into)
            }
        }
    )+};
}

wanted! {
    bool: "True or False",
    f64: "a number",
    i64: "a whole number",
    String: "a text",
    PathBuf: "a path",
}

impl<T: Wanted> Wanted for Option<T> {
    fn wanted() -> String {
        format!("{} or None", T::wanted())
    }

    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if value.is_none() { Ok(None) } else { T::read(value).map(Some) }
    }

    fn found(value: &Bound<'_, PyAny>) -> String {
        T::found(value)
    }
}

impl Wanted for Vec<String> {
    fn wanted() -> String {
        "a list of texts".to_owned()
    }

    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        value.extract()
    }

    fn found(value: &Bound<'_, PyAny>) -> String {
        // Not whatever can be gone through: that may have no end.
        let elements = value.cast::<PySequence>().into_iter().flat_map(|list| list.try_iter());
        one_with_another(value, elements.flatten().flatten())
    }
}

impl Wanted for BTreeMap<String, String> {
    fn wanted() -> String {
        "a dict of texts".to_owned()
    }

    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        value.extract()
    }

    fn found(value: &Bound<'_, PyAny>) -> String {
        let pairs = value.cast::<PyDict>().into_iter().flatten();
        one_with_another(value, pairs.flat_map(|(key, value)| [key, value]))
    }
}

/// What is wrong with something that ought to hold texts alone: what else it holds, or its own type.
fn one_with_another<'py>(
    value: &Bound<'py, PyAny>,
    mut elements: impl Iterator<Item = Bound<'py, PyAny>>,
) -> String {
    let other = elements.find(|element| !element.is_instance_of::<PyString>());
    other.map_or_else(|| type_name(value), |other| format!("one with {} in it", type_name(&other)))
}
