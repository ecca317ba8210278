//! The crash test, tested end to end: a fake server that keeps the contract passes, and each defect is named.

mod server;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Parser;
use ringside_checker::Fault;
use ringside_crash::{CrashOptions, CrashReport};
use ringside_test_client::server::ServerOptions;

use server::Defect;

const ARGUMENTS: &str = "FAKE_SERVER_ARGUMENTS";
const DEFECT: &str = "FAKE_SERVER_DEFECT";

/// The server's process: this test binary, started again by [`server`] to run this one test. Without its arguments in the
/// environment there is nothing to serve.
#[test]
fn serve() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let mut options = server::Options::parse_from(std::iter::once("ringside").chain(arguments.split(' ')));
    let all = [
        Defect::None,
        Defect::Loses,
        Defect::Doubles,
        Defect::Gaps,
        Defect::Stale,
        Defect::Forgets,
        Defect::Miscounts,
    ];
    let chosen = std::env::var(DEFECT).expect("a defect");
    options.defect = all.into_iter().find(|defect| format!("{defect:?}") == chosen).expect("a known defect");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(server::run(options));
}

/// An executable that takes the flags of `ringside up`.
fn server(folder: &Path, defect: Defect) -> PathBuf {
    let script = folder.join("server");
    let test = std::env::current_exe().expect("this test's path");
    let text =
        format!("#!/bin/sh\n{DEFECT}={defect:?} {ARGUMENTS}=\"$*\" exec {} serve --exact\n", test.display());
    std::fs::write(&script, text).expect("a script");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("executable");
    script
}

fn crash(defect: Defect) -> CrashReport {
    let folder = tempfile::tempdir().expect("a folder");
    let options = CrashOptions {
        server: ServerOptions {
            binary: server(folder.path(), defect),
            environment: Vec::new(),
            before: None,
            init: false,
        },
        data_dir: Some(folder.path().join("data")),
        seed: Some(11),
        clients: 10,
        channels: 5,
        evicted_clients: 0,
        kills: 3,
        duration: 4.0,
        pause_ms: 30.0,
        history_file: Some(folder.path().join("history.json")),
        keep: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(ringside_crash::run(&options)).expect("a verdict")
}

fn names(report: &CrashReport) -> Vec<Fault> {
    report.verdict.violations.iter().map(|violation| violation.fault).collect()
}

#[test]
fn a_server_without_a_defect_passes() {
    let report = crash(Defect::None);
    assert!(report.is_clean(), "{report}");
    let counts = report.verdict.counts;
    assert!(report.kills == 3 && counts.acknowledged > 200 && counts.synced > 100, "{report}");
    assert!(counts.attempts > counts.messages && counts.connections > 30, "{report}");
    assert!(counts.receipts > 50 && counts.cursors > 200 && counts.unread > 100, "{report}");
}

#[test]
fn losing_what_was_acknowledged_is_named() {
    let report = crash(Defect::Loses);
    assert!(!report.is_clean() && names(&report).contains(&Fault::LostAcknowledged), "{report}");
}

#[test]
fn doubling_retries_is_named() {
    let report = crash(Defect::Doubles);
    assert!(!report.is_clean() && names(&report).contains(&Fault::RetryDoubled), "{report}");
}

#[test]
fn silent_gaps_are_named() {
    let report = crash(Defect::Gaps);
    assert!(!report.is_clean() && names(&report).contains(&Fault::Gap), "{report}");
}

#[test]
fn incomplete_syncs_are_named() {
    let report = crash(Defect::Stale);
    assert!(!report.is_clean() && names(&report).contains(&Fault::SyncIncomplete), "{report}");
}

#[test]
fn cursors_that_fall_back_are_named() {
    let report = crash(Defect::Forgets);
    assert!(!report.is_clean() && names(&report).contains(&Fault::CursorRegressed), "{report}");
}

#[test]
fn wrong_unread_counts_are_named() {
    let report = crash(Defect::Miscounts);
    assert!(!report.is_clean() && names(&report).contains(&Fault::UnreadWrong), "{report}");
}
