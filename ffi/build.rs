//! Names the shared library as programs are to look for it: by the version of its ABI (`EVENER_ABI_VERSION`).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libevener.so.1");
    }
}
