//! The operator's commands, on a stopped data folder and beside a running server.

mod support;

use std::path::Path;

use support::{Server, folder, run};

fn admin(data: &Path, arguments: &[&str]) -> (bool, String) {
    let data = data.display().to_string();
    let output = run(&[&["admin"], arguments, &["--data-dir", &data]].concat(), &[]);
    let said = if output.status.success() { &output.stdout } else { &output.stderr };
    (output.status.success(), String::from_utf8_lossy(said).trim().to_owned())
}

#[test]
fn accounts_are_made_listed_and_changed() {
    let data = folder();
    assert!(Server::start(data.path(), &[], &[]).stop().success());
    let done = |arguments: &[&str]| {
        let (success, said) = admin(data.path(), arguments);
        assert!(success, "{arguments:?}: {said}");
        said
    };
    let made = |name: &str| {
        done(&["users", "create", "--username", name, "--email", &format!("{name}@example.org")])
    };
    assert_ne!(made("ada"), made("bob"), "a password each");
    let listed = done(&["users", "list"]);
    let told: Vec<Vec<&str>> = listed.lines().map(|line| line.split('\t').skip(1).collect()).collect();
    assert_eq!(told, [["admin", "ada", "ada@example.org"], ["user", "bob", "bob@example.org"]]);
    assert!(done(&["role", "BOB@example.org", "admin"]).contains("bob has the role admin"));
    assert_eq!(done(&["users", "list"]).matches("\tadmin\t").count(), 2);
    assert_eq!(done(&["invite", "--days", "1"]).len(), 43, "a code");
    assert_eq!(done(&["password-reset", "bob"]).len(), 43, "a password");
    assert_eq!(done(&["sessions", "bob"]), "");
    assert_eq!(done(&["sessions", "bob", "--end"]), "0 sessions ended.");
    assert!(done(&["users", "erase", "bob"]).contains("is erased"));
    assert_eq!(done(&["users", "list"]).lines().count(), 1);
    assert!(Server::start(data.path(), &[], &[]).stop().success(), "it starts on what was changed");
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let data = folder();
    let (success, said) = admin(&data.path().join("nowhere"), &["users", "list"]);
    assert!(!success && said.contains("no data folder"), "{said}");
    assert!(!data.path().join("nowhere").exists(), "a mistyped folder is not made");
    let server = Server::start(data.path(), &[], &[]);
    let (success, said) = admin(data.path(), &["users", "list"]);
    assert!(!success && said.contains("Stop that one first"), "{said}");
    assert!(server.stop().success());
    let check = |arguments: &[&str], part: &str| {
        let (success, said) = admin(data.path(), arguments);
        assert!(!success && said.contains(part), "{arguments:?}: {said}");
    };
    check(&["role", "nobody", "admin"], "no account \"nobody\"");
    check(&["role", "nobody", "king"], "`admin` and `user`");
    check(&["invite", "--days", "0"], "--days is from 1");
    check(&["users", "create", "--username", "x", "--email", "x@example.org"], "--username has 3");
}
