//! The crash test, tested end to end: a miniature server that keeps its word passes, and each way to break it is named.

mod miniature;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Parser;
use ringside_checker::Fault;
use ringside_crash::{CrashOptions, CrashReport};
use ringside_test_client::server::ServerOptions;

use miniature::Mischief;

const ARGUMENTS: &str = "MINIATURE_ARGUMENTS";
const MISCHIEF: &str = "MINIATURE_MISCHIEF";

/// The server's process: this test binary, started again by [`server`] to run this one test. Without its arguments in the
/// environment there is nothing to serve.
#[test]
fn serve() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let mut options =
        miniature::Options::parse_from(std::iter::once("miniature").chain(arguments.split(' ')));
    let all = [
        Mischief::None,
        Mischief::Loses,
        Mischief::Doubles,
        Mischief::Gaps,
        Mischief::Stale,
        Mischief::Forgets,
        Mischief::Miscounts,
    ];
    let chosen = std::env::var(MISCHIEF).expect("a mischief");
    options.mischief =
        all.into_iter().find(|mischief| format!("{mischief:?}") == chosen).expect("a known mischief");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(miniature::run(options));
}

/// An executable that takes the flags of `ringside up`.
fn server(folder: &Path, mischief: Mischief) -> PathBuf {
    let script = folder.join("server");
    let test = std::env::current_exe().expect("this test's path");
    let text = format!(
        "#!/bin/sh\n{MISCHIEF}={mischief:?} {ARGUMENTS}=\"$*\" exec {} serve --exact\n",
        test.display()
    );
    std::fs::write(&script, text).expect("a script");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("executable");
    script
}

fn crash(mischief: Mischief) -> CrashReport {
    let folder = tempfile::tempdir().expect("a folder");
    let options = CrashOptions {
        server: ServerOptions { binary: server(folder.path(), mischief), environment: Vec::new() },
        data_dir: Some(folder.path().join("data")),
        seed: Some(11),
        clients: 10,
        channels: 5,
        guests: 0,
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
fn a_server_that_keeps_its_word_passes() {
    let report = crash(Mischief::None);
    assert!(report.is_clean(), "{report}");
    let counts = report.verdict.counts;
    assert!(report.kills == 3 && counts.acknowledged > 200 && counts.synced > 100, "{report}");
    assert!(counts.attempts > counts.messages && counts.connections > 30, "{report}");
    assert!(counts.receipts > 50 && counts.cursors > 200 && counts.unread > 100, "{report}");
}

#[test]
fn losing_what_was_acknowledged_is_named() {
    let report = crash(Mischief::Loses);
    assert!(!report.is_clean() && names(&report).contains(&Fault::LostAcknowledged), "{report}");
}

#[test]
fn doubling_retries_is_named() {
    let report = crash(Mischief::Doubles);
    assert!(!report.is_clean() && names(&report).contains(&Fault::RetryDoubled), "{report}");
}

#[test]
fn silent_gaps_are_named() {
    let report = crash(Mischief::Gaps);
    assert!(!report.is_clean() && names(&report).contains(&Fault::Gap), "{report}");
}

#[test]
fn incomplete_syncs_are_named() {
    let report = crash(Mischief::Stale);
    assert!(!report.is_clean() && names(&report).contains(&Fault::SyncIncomplete), "{report}");
}

#[test]
fn cursors_that_fall_back_are_named() {
    let report = crash(Mischief::Forgets);
    assert!(!report.is_clean() && names(&report).contains(&Fault::CursorRegressed), "{report}");
}

#[test]
fn wrong_unread_counts_are_named() {
    let report = crash(Mischief::Miscounts);
    assert!(!report.is_clean() && names(&report).contains(&Fault::UnreadWrong), "{report}");
}
