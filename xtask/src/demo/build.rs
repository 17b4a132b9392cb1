//! Builds the demo's servers and clients, and says how each is started.

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

impl Language {
    pub const BOTH: [Self; 2] = [Self::Python, Self::Cpp];

    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::Cpp => "C++",
        }
    }
}

/// What was built.
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

    fn command(&self, language: Language, name: &str) -> Command {
        match language {
            Language::Cpp => Command::new(self.native.join(name)),
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
    let native = executables(workspace)?;
    Ok(Programs { python: venv.program("python"), scripts: workspace.file("examples/demo"), stubs, native })
}

/// Python's generated stubs, made anew only when the service has changed.
fn stubs(workspace: &Workspace, venv: &Venv) -> Result<PathBuf, String> {
    let folder = workspace.target_folder("demo/python")?;
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

fn executables(workspace: &Workspace) -> Result<PathBuf, String> {
    let library = native::build_library(workspace)?;
    let build = workspace.target_folder("demo/cpp")?;
    Run::new("cmake")
        .arg("-S")
        .arg(workspace.file("examples/demo"))
        .arg("-B")
        .arg(&build)
        .args(["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"])
        .arg(format!("-DEVENER_LIBRARY_DIR={}", library.display()))
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
