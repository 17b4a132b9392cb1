//! A temporary folder, and the watchman who tidies up when the test process cannot.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// Reads process numbers, the last one counts; when its input closes it ends that process and removes the folder. Signals that
/// a terminal sends to everybody do not stop it.
const WATCHMAN: &str = "trap '' INT TERM HUP; while read -r pid; do last=$pid; done; \
                        if [ -n \"$last\" ]; then kill -KILL \"$last\"; fi; rm -rf \"$1\"";

/// A temporary folder that is removed when this is dropped, or when the process ends in whatever way.
pub struct Scratch {
    folder: PathBuf,
    watchman: Child,
    input: Mutex<Option<ChildStdin>>,
}

impl Scratch {
    /// A fresh folder; `name` is part of its name.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("evener-{name}-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a temporary folder");
        let mut watchman = Command::new("sh")
            .args(["-c", WATCHMAN, "watchman"])
            .arg(&folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let input = Mutex::new(watchman.stdin.take());
        Self { folder, watchman, input }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// `name` in the folder, as text.
    pub fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Writes `text` into the file `name`, and gives its path.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.folder.join(name), text).expect("a file in the temporary folder");
        self.file(name)
    }

    /// The process that must not outlive this one; `None`: there is none now.
    pub(crate) fn guards(&self, process: Option<u32>) {
        let mut input = self.input.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(input) = input.as_mut() {
            let line = process.map_or_else(String::new, |process| process.to_string());
            let _ = writeln!(input, "{line}");
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let input = self.input.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(input.take());
        let _ = self.watchman.wait();
    }
}
