//! Debian packages: found missing by what they bring, installed where that is allowed, named exactly where it is not.

use crate::command::{Run, is_installed};
use std::path::Path;

/// A package, and how to see that what it brings is there already, from wherever.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    pub name: &'static str,
    pub probe: Probe,
}

/// What shows that a package is there.
#[derive(Clone, Copy, Debug)]
pub enum Probe {
    /// A program in PATH.
    Program(&'static str),
    /// Any of these files.
    File(&'static [&'static str]),
    /// A module Python can import.
    PythonModule(&'static str),
    /// Only the toolchain can tell, and has told: it is missing.
    Missing,
}

pub const fn program(name: &'static str, program: &'static str) -> Package {
    Package { name, probe: Probe::Program(program) }
}

pub const fn file(name: &'static str, files: &'static [&'static str]) -> Package {
    Package { name, probe: Probe::File(files) }
}

pub const fn python_module(name: &'static str, module: &'static str) -> Package {
    Package { name, probe: Probe::PythonModule(module) }
}

pub const fn missing(name: &'static str) -> Package {
    Package { name, probe: Probe::Missing }
}

impl Package {
    fn is_there(&self) -> bool {
        match self.probe {
            Probe::Program(name) => is_installed(name),
            Probe::File(paths) => paths.iter().any(|path| Path::new(path).exists()),
            Probe::PythonModule(name) => imports(name),
            Probe::Missing => false,
        }
    }
}

/// Sees to it that every package's content is there. When something is missing and may not be installed, the
/// error says what, and the command that brings it.
pub fn ensure(packages: &[Package]) -> Result<(), String> {
    let mut names: Vec<&str> =
        packages.iter().filter(|package| !package.is_there()).map(|package| package.name).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Ok(());
    }
    println!("Missing: {}", names.join(" "));
    if !is_installed("apt-get") || !is_root() {
        return Err(format!(
            "These Debian packages are missing, and this user cannot install them: {0}\n\
             Run as root: apt-get update && apt-get install -y --no-install-recommends {0}",
            names.join(" ")
        ));
    }
    install(&names)?;
    let still: Vec<&str> = packages
        .iter()
        .filter(|package| !matches!(package.probe, Probe::Missing) && !package.is_there())
        .map(|package| package.name)
        .collect();
    if still.is_empty() {
        return Ok(());
    }
    Err(format!("Installed, but what they should bring is not there: {}", still.join(" ")))
}

fn install(names: &[&str]) -> Result<(), String> {
    let apt = || Run::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").arg("-q");
    apt().arg("update").succeed()?;
    apt()
        .args(["-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends"])
        .args(names)
        .succeed()
        .map(|_| ())
}

/// Only root may install; asked of the system, since the standard library does not know.
pub fn is_root() -> bool {
    Run::new("id").arg("-u").quiet().end().is_ok_and(|ended| ended.text.trim() == "0")
}

fn imports(module: &str) -> bool {
    Run::new("python3")
        .args(["-c", &format!("import {module}")])
        .quiet()
        .end()
        .is_ok_and(|ended| ended.is_success())
}
