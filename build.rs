//! Tells the program the target triple it is built for, which only a build script is told.
#![allow(
    clippy::disallowed_methods,
    reason = "cargo speaks to a build script through the environment"
)]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!(
        "cargo:rustc-env=HF_BUILD_TARGET={}",
        std::env::var("TARGET").unwrap_or_default()
    );
}
