//! A data folder outlives a version: each that an earlier one wrote opens, holds what it held, and goes on.
//!
//! `folders/first-light.tar.gz` is of the first version that was there: two people, a DM, and a group with three messages,
//! of which one is edited, one pinned and reacted to, one deleted.

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::{Server, folder};

fn unpacked(archive: &str, into: &Path) {
    let archive = format!("{}/tests/folders/{archive}", env!("CARGO_MANIFEST_DIR"));
    let done = Command::new("tar").args(["-xzSf", &archive, "-C"]).arg(into).status().expect("tar");
    assert!(done.success());
}

fn post(server: &Server, path: &str, token: &str, body: &Value) -> Value {
    let headers = format!("Authorization: Bearer {token}\r\n");
    let (status, answer) = server.post_api(&format!("/api/v1{path}"), &headers, &body.to_string());
    assert!((200..300).contains(&status), "{path}: {status} {answer}");
    serde_json::from_str(&answer).expect("JSON")
}

fn items(server: &Server, path: &str, token: &str) -> Vec<Value> {
    let (status, body) = server.get_api_as(&format!("/api/v1{path}"), token);
    assert_eq!(status, 200, "{path}: {body}");
    let list: Value = serde_json::from_str(&body).expect("JSON");
    list["items"].as_array().expect("a list").clone()
}

#[test]
fn a_folder_of_first_light_opens_and_goes_on() {
    let data = folder();
    unpacked("first-light.tar.gz", data.path());
    let server = Server::start(&data.path().join("first-light"), &[], &[]);
    let login = json!({"login": "ada", "password": "correct horse"});
    let token =
        post(&server, "/auth/login", "", &login)["access_token"].as_str().expect("a token").to_owned();
    let channels = items(&server, "/channels", &token);
    assert_eq!(channels.len(), 2);
    let group = channels.iter().find(|channel| channel["name"] == "ring").expect("the group");
    let path = format!("/channels/{}", group["id"].as_str().expect("an id"));
    let seen = |server: &Server| -> Vec<Value> {
        let history = items(server, &format!("{path}/messages"), &token);
        history.iter().map(|one| json!([one["seq"], one["content"], one["deleted"]])).collect()
    };
    let before = [json!([3, "", true]), json!([2, "message 2", null]), json!([1, "edited", null])];
    assert_eq!(seen(&server), before);
    assert_eq!(items(&server, &format!("{path}/pins"), &token).len(), 1);
    let sent = post(&server, &format!("{path}/messages"), &token, &json!({"content": "and on"}));
    assert_eq!(sent["seq"], 4);
    server.kill();
    let server = Server::start(&data.path().join("first-light"), &[], &[]);
    assert_eq!(seen(&server)[0], json!([4, "and on", null]));
    assert_eq!(seen(&server)[1..], before);
}
