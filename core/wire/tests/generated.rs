//! `src/records.rs` is what `proto/records.proto` says: generated here, checked in, compared on every run.
//!
//! `RINGSIDE_REGENERATE=1 cargo test -p ringside-wire --test generated` writes it anew.

use std::path::Path;

#[test]
fn records_match_their_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = protox::compile(["records.proto"], [root.join("proto")]).expect("records.proto compiles");
    let out = tempfile::tempdir().expect("a temporary folder");
    prost_build::Config::new()
        .bytes(["."])
        .out_dir(out.path())
        .compile_fds(schema)
        .expect("records.proto generates");
    let generated =
        std::fs::read_to_string(out.path().join("ringside.records.v1.rs")).expect("generated file");
    let wanted =
        format!("//! Generated from `proto/records.proto`; see `tests/generated.rs`.\n\n{generated}");
    let target = root.join("src/records.rs");
    if std::env::var_os("RINGSIDE_REGENERATE").is_some() {
        std::fs::write(&target, &wanted).expect("src/records.rs is writable");
    }
    let found = std::fs::read_to_string(&target).expect("src/records.rs");
    assert!(found == wanted, "src/records.rs is stale: run with RINGSIDE_REGENERATE=1");
}
