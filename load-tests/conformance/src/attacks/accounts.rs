//! Nobody learns who has an account, or their address, by asking.

use hyper::{HeaderMap, Method};
use ringside_test_client::rest::Answer;
use serde_json::{Value, json};

use super::{request, value};
use crate::test_server::{Failed, TestServer, expect};

/// An answer without what differs by the time and the turn.
fn shape(answer: &Answer) -> (u16, Vec<String>, Value) {
    let HeaderNames(names) = HeaderNames::of(&answer.headers);
    (answer.status, names, value(answer))
}

struct HeaderNames(Vec<String>);

impl HeaderNames {
    fn of(headers: &HeaderMap) -> Self {
        let mut names: Vec<String> = headers.keys().map(ToString::to_string).collect();
        names.sort();
        Self(names)
    }
}

pub(crate) async fn a_wrong_password_and_nobody_are_answered_alike(
    test_server: &TestServer,
) -> Result<(), Failed> {
    let server = test_server.start(&[("rest_per_minute", 0)]).await?;
    let rest = server.addresses.rest();
    rest.sign_up("ada").await?;
    let logins = [
        ("ada", "nobody"),
        ("ada@example.org", "nobody@example.org"),
        ("ADA", "NOBODY"),
        ("ada", "a' OR 1=1"),
    ];
    for (known, unknown) in logins {
        let body = |login: &str| Some(json!({ "login": login, "password": "a wrong but long password" }));
        let one = shape(&request(&rest, Method::POST, "/auth/login", None, body(known)).await?);
        let two = shape(&request(&rest, Method::POST, "/auth/login", None, body(unknown)).await?);
        expect(one.0 == 401 && one == two, || format!("{known} was answered {one:?}, {unknown} {two:?}"))?;
    }
    Ok(())
}

pub(crate) async fn addresses_are_not_shown(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&[("rest_per_minute", 0)]).await?;
    let rest = server.addresses.rest();
    let ada = rest.sign_up("ada").await?.account;
    let eve = rest.sign_up("eve").await?.account;
    let token = Some(eve.access_token.as_str());
    rest.create_channel(&eve.access_token, "group", "x", &[ada.user_id]).await?;
    let channels = value(&request(&rest, Method::GET, "/channels", token, None).await?);
    let channel = channels["items"][0]["id"].as_str().unwrap_or_default().to_owned();
    let paths = [
        format!("/users/{}", ada.user_id),
        "/users/search?q=ada".to_owned(),
        "/users/search?q=ada@example.org".to_owned(),
        "/users/search?q=example.org".to_owned(),
        format!("/channels/{channel}"),
        format!("/channels/{channel}/members"),
        "/users/me/contacts".to_owned(),
    ];
    for path in &paths {
        let answer = request(&rest, Method::GET, path, token, None).await?;
        let body = String::from_utf8_lossy(&answer.body);
        expect(!body.contains("ada@example.org"), || format!("{path} shows an address: {body}"))?;
    }
    for search in ["ada@example.org", "example.org"] {
        let found =
            value(&request(&rest, Method::GET, &format!("/users/search?q={search}"), token, None).await?);
        let count = found["items"].as_array().map_or(0, Vec::len);
        expect(count == 0, || format!("a search for {search} finds {found}"))?;
    }
    // A registration has to say what is taken; it says no more than that.
    let body = json!({ "email": "ada@example.org", "username": "other", "password": "a long password of o" });
    let taken = request(&rest, Method::POST, "/auth/register", None, Some(body)).await?;
    let text = String::from_utf8_lossy(&taken.body).into_owned();
    expect(taken.status == 409 && !text.contains(&ada.user_id.to_string()), || {
        format!("a taken address was answered {}: {text}", taken.status)
    })
}
