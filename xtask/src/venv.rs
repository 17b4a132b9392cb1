//! Python's side: one virtual environment under the target directory, brought up to date only when something changed.

use crate::command::{Ended, Run};
use crate::packages::{Package, python_module};
use crate::workspace::Workspace;
use std::fs;
use std::path::{Path, PathBuf};

/// A virtual environment.
pub struct Venv {
    folder: PathBuf,
}

impl Venv {
    pub fn packages() -> Vec<Package> {
        vec![python_module("python3-venv", "ensurepip")]
    }

    /// The environment `name`, made when it is not there.
    pub fn ensure(workspace: &Workspace, name: &str) -> Result<Self, String> {
        let folder = workspace.target(name);
        if !folder.join("bin/pip").exists() {
            Run::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).succeed()?;
        }
        Ok(Self { folder })
    }

    /// The environment `name`, which has been made before.
    pub fn at(workspace: &Workspace, name: &str) -> Self {
        Self { folder: workspace.target(name) }
    }

    /// `program` of the environment.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// `program` of the environment, which also finds the environment's others in its PATH.
    pub fn run(&self, program: &str) -> Run {
        let others = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.folder.join("bin")).chain(std::env::split_paths(&others));
        let run = Run::new(self.program(program));
        match std::env::join_paths(folders) {
            Ok(path) => run.env_unseen("PATH", path),
            Err(_) => run,
        }
    }

    /// Installs what `requirements` lists, unless exactly this list is installed.
    pub fn require(&self, requirements: &Path) -> Result<(), String> {
        let wanted = fs::read_to_string(requirements)
            .map_err(|error| format!("{}: {error}", requirements.display()))?;
        let mark = self.folder.join("requirements.installed");
        if fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
            return Ok(());
        }
        self.pip(&["install", "--quiet", "--requirement", &requirements.to_string_lossy()])?;
        fs::write(&mark, wanted).map_err(|error| format!("{}: {error}", mark.display()))
    }

    pub fn pip(&self, arguments: &[&str]) -> Result<Ended, String> {
        self.run("python").args(["-m", "pip", "--disable-pip-version-check"]).args(arguments).succeed()
    }
}
