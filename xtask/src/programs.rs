//! Builds the example programs, the demo's servers and clients among them, and says how each is started.

use crate::command::Run;
use crate::steps::{native, python};
use crate::venv::Venv;
use crate::workspace::Workspace;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The two languages every part is there in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Language {
    Python,
    Cpp,
}

/// The network of the addresses in the quick starts, and the one on loopback that stands for it in tests.
const SHOWN_NETWORK: &str = "10.0.0.";
pub const TEST_NETWORK: &str = "127.77.0.";

impl Language {
    pub const BOTH: [Self; 2] = [Self::Python, Self::Cpp];

    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::Cpp => "C++",
        }
    }
}

/// What was built. The demo and the tests of the examples both start from here.
pub struct Programs {
    python: PathBuf,
    scripts: PathBuf,
    stubs: PathBuf,
    native: PathBuf,
}

impl Programs {
    pub fn backend(&self, language: Language) -> Command {
        self.command(language, "backend")
    }

    pub fn client(&self, language: Language) -> Command {
        self.command(language, "client")
    }

    /// Servers that do as they are told.
    pub fn fleet(&self, language: Language) -> Command {
        self.command(language, "fleet")
    }

    /// A compiled example.
    pub fn executable(&self, name: &str) -> PathBuf {
        self.native.join(name)
    }

    /// The interpreter, and the folder of the generated stubs for its PYTHONPATH.
    pub fn interpreter(&self) -> (&Path, &Path) {
        (&self.python, &self.stubs)
    }

    fn command(&self, language: Language, name: &str) -> Command {
        match language {
            Language::Cpp => Command::new(self.executable(name)),
            Language::Python => {
                let mut command = Command::new(&self.python);
                command.arg(self.scripts.join(format!("{name}.py"))).env("PYTHONPATH", &self.stubs);
                command
            }
        }
    }
}

pub fn build(workspace: &Workspace) -> Result<Programs, String> {
    let venv = python::environment(workspace)?;
    let stubs = stubs(workspace, &venv)?;
    let native = executables(workspace, &quickstarts(workspace)?)?;
    Ok(Programs { python: venv.program("python"), scripts: workspace.file("examples/demo"), stubs, native })
}

/// What `build` has built before.
pub fn built(workspace: &Workspace) -> Programs {
    Programs {
        python: Venv::at(workspace, python::ENVIRONMENT).program("python"),
        scripts: workspace.file("examples/demo"),
        stubs: workspace.target("examples/python"),
        native: workspace.target("examples/cpp"),
    }
}

/// Python's generated stubs, made anew only when the service has changed.
fn stubs(workspace: &Workspace, venv: &Venv) -> Result<PathBuf, String> {
    let folder = workspace.target_folder("examples/python")?;
    let proto = workspace.file("testdata/proto/demo.proto");
    if is_newer(&folder.join("demo_pb2_grpc.py"), &proto) {
        return Ok(folder);
    }
    let into = |flag: &str| format!("--{flag}_out={}", folder.display());
    venv.run("python")
        .args(["-m", "grpc_tools.protoc", &into("python"), &into("grpc_python")])
        .arg(format!("--proto_path={}", workspace.file("testdata/proto").display()))
        .arg(&proto)
        .succeed()?;
    Ok(folder)
}

/// The quick start's sources with the addresses of servers that a test can start: the text shows some that it cannot.
pub fn quickstarts(workspace: &Workspace) -> Result<PathBuf, String> {
    let from = workspace.file("examples/quickstart");
    let into = workspace.target_folder("examples/quickstart")?;
    for entry in fs::read_dir(&from).map_err(|error| format!("{}: {error}", from.display()))?.flatten() {
        let text = fs::read_to_string(entry.path())
            .map_err(|error| format!("{}: {error}", entry.path().display()))?;
        let text = text.replace(SHOWN_NETWORK, TEST_NETWORK);
        let copy = into.join(entry.file_name());
        // Left alone when it is the same, so that nothing is built anew.
        if fs::read_to_string(&copy).is_ok_and(|old| old == text) {
            continue;
        }
        fs::write(&copy, text).map_err(|error| format!("{}: {error}", copy.display()))?;
    }
    Ok(into)
}

fn executables(workspace: &Workspace, quickstarts: &Path) -> Result<PathBuf, String> {
    let library = native::build_library(workspace)?;
    let source = workspace.file("examples");
    let build = native::build_folder(workspace, "examples/cpp", &source)?;
    Run::new("cmake")
        .arg("-S")
        .arg(&source)
        .arg("-B")
        .arg(&build)
        .args(["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"])
        .arg(format!("-DEVENER_LIBRARY_DIR={}", library.display()))
        .arg(format!("-DEVENER_QUICKSTART_DIR={}", quickstarts.display()))
        .succeed()?;
    Run::new("cmake").arg("--build").arg(&build).succeed()?;
    Ok(build)
}

fn is_newer(made: &Path, source: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    match (modified(made), modified(source)) {
        (Some(made), Some(source)) => made >= source,
        _ => false,
    }
}
