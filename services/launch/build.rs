//! Tells cargo that a release build holds the files of `web/`: also one that was added since. A debug build reads them
//! when they are asked for, and is not built anew for them.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rerun-if-changed=web");
    }
}
