//! Where things are: the checkout, and the folders under its target directory.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Names the folder with the registries; the tests read it too.
pub const SERVERS: &str = "EVENER_SERVERS";

/// The checkout and its target directory, both absolute.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// The workspace this program was built in; `CARGO_TARGET_DIR` moves the target directory as it does for cargo.
    pub fn find() -> Result<Self, String> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().ok_or("the xtask folder has no parent")?.to_path_buf();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(given) => root.join(given),
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// The checkout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `path` inside the checkout.
    pub fn file(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// `path` inside the target directory.
    pub fn target(&self, path: &str) -> PathBuf {
        self.target.join(path)
    }

    /// Where the registries for the tests are: `EVENER_SERVERS`, otherwise where `cargo xtask servers` puts them.
    pub fn servers(&self) -> PathBuf {
        env::var_os(SERVERS).map_or_else(|| self.target("servers"), |given| self.root.join(given))
    }

    /// True when somebody brings their own.
    pub fn has_own_servers(&self) -> bool {
        env::var_os(SERVERS).is_some()
    }

    /// `path` inside the target directory, made when it is not there.
    pub fn target_folder(&self, path: &str) -> Result<PathBuf, String> {
        let folder = self.target(path);
        fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        Ok(folder)
    }
}
