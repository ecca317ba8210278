//! `ringside init` and `ringside run`: what must be there is made once, and what can't run apart says so.

mod support;

use std::path::Path;

use support::{Server, folder, run};

fn init(data: &Path) -> Vec<String> {
    let output = run(&["init", "--data-dir", &data.display().to_string()], &[]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn init_makes_what_is_missing_and_nothing_twice() {
    let data = folder();
    let path = data.path().join("new");
    let first = init(&path);
    assert_eq!(first.len(), 4, "{first:?}");
    assert!(first.iter().all(|line| line.starts_with("made ")), "{first:?}");
    let second = init(&path);
    assert!(second.iter().all(|line| line.starts_with("there ")), "{second:?}");
    let named = ["partitions of messages", "Directory", "first progress", "signs access tokens"];
    for (line, name) in second.iter().zip(named) {
        assert!(line.contains(name), "{line}");
    }
}

#[test]
fn init_makes_what_up_makes() {
    let (by_init, by_up) = (folder(), folder());
    init(by_init.path());
    let server = Server::start(by_init.path(), &[], &[]);
    server.register("ada");
    assert!(server.stop().success());
    assert!(Server::start(by_up.path(), &[], &[]).stop().success());
    assert!(init(by_up.path()).iter().all(|line| line.starts_with("there ")));
}

#[test]
fn init_on_a_running_servers_folder_is_refused() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    let output = run(&["init", "--data-dir", &data.path().display().to_string()], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is in use by another Ringside"));
    assert!(server.stop().success());
}

/// What a start of these roles is answered; the folder must not have been touched.
fn refused(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let data = folder();
    let path = data.path().join("untouched");
    let path_text = path.display().to_string();
    let arguments = [&["run", "--data-dir", path_text.as_str()], arguments].concat();
    let output = run(&arguments, environment);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!path.exists(), "it says so before it makes anything");
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn a_role_apart_says_which_engine_can_not_be_shared() {
    for role in ["edge", "api", "message", "user", "channel", "presence"] {
        let told = refused(&["--roles", role], &[]);
        assert!(told.contains(&format!("{role} can't run apart from ")), "{told}");
        let engine = if role == "api" { "presence is in the memory" } else { "the log" };
        assert!(told.contains(engine) && told.contains("`ringside up`"), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    let told = refused(&[], &[("RINGSIDE_ROLES", "user,channel")]);
    assert!(told.contains("user and channel can't run apart from edge, api, message and presence"), "{told}");
}

#[test]
fn a_role_that_there_is_not_names_those_that_there_are() {
    let told = refused(&["--roles", "edges"], &[]);
    assert!(told.contains("edges") && told.contains("`edge`") && told.contains("`presence`"), "{told}");
    assert!(refused(&["--roles", ""], &[]).contains("at least one of"));
}

#[test]
fn all_roles_are_a_whole_server() {
    let data = folder();
    let server = Server::start_by(&["run", "--roles", "presence,channel,user,message,api,edge"], data.path());
    server.register("ada");
    assert!(server.stop().success());
}
