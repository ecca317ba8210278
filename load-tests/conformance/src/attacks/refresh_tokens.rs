//! A refresh token is good once, but for retries while its successor is unused; a replay ends its family, and so do a logout and another password.

use futures_util::future::join_all;
use hyper::Method;
use ringside_test_client::rest::password_of;
use ringside_test_client::websocket::Incoming;
use serde_json::json;

use super::{refresh, request};
use crate::test_server::{Client, Failed, TestServer, expect};

const RACERS: usize = 200;
/// Everybody comes from one address here.
const LIMITS: [(&str, u32); 3] =
    [("register_per_minute_per_address", 0), ("rest_per_minute", 0), ("login_failures_per_minute", 0)];

pub(crate) async fn two_hundred_uses_at_once_are_one_session(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&LIMITS).await?;
    let rest = server.addresses.rest();
    let session = rest.sign_up("ada").await?;
    let mut socket = Client::open(&server.addresses.target(), &session.account).await?;
    let racers = (0..RACERS).map(|_| refresh(&rest, &session.refresh_token));
    let answers = join_all(racers).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let odd: Vec<u16> = answers.iter().map(|answer| answer.status).filter(|status| *status != 200).collect();
    expect(odd.is_empty(), || format!("retries were answered {odd:?}"))?;
    // Any of the answers leads on: its token is the good one, or was superseded by it and may be retried.
    let any = answers[0].session("a retry's", 200)?;
    let next = refresh(&rest, &any.refresh_token).await?.session("the next", 200)?;
    let used = refresh(&rest, &next.refresh_token).await?.session("the one after", 200)?;
    // Now the first one's successor has been used: whoever presents it has a copy. The family is over, and the socket.
    let replay = refresh(&rest, &session.refresh_token).await?;
    expect(replay.status == 401, || format!("a replay was answered {}", replay.status))?;
    let again = refresh(&rest, &used.refresh_token).await?;
    expect(again.status == 401, || {
        format!("the family's token was answered {} after a replay", again.status)
    })?;
    let me = request(&rest, Method::GET, "/users/me", Some(&used.account.access_token), None).await?;
    expect(me.status == 401, || format!("the family's access token was answered {}", me.status))?;
    loop {
        match socket.incoming().await? {
            Incoming::Closed(code) => {
                return expect(code == Some(4009), || format!("the socket was closed with {code:?}"));
            }
            Incoming::Text(_) => {}
        }
    }
}

pub(crate) async fn none_outlives_its_session(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&LIMITS).await?;
    let rest = server.addresses.rest();
    // Logged out.
    let session = rest.sign_up("ada").await?;
    let token = Some(session.account.access_token.as_str());
    let body = json!({ "refresh_token": session.refresh_token });
    let logout = request(&rest, Method::POST, "/auth/logout", token, Some(body)).await?;
    expect(logout.status == 204, || format!("a logout was answered {}", logout.status))?;
    let after = refresh(&rest, &session.refresh_token).await?;
    expect(after.status == 401, || format!("a refresh after logout was answered {}", after.status))?;
    let me = request(&rest, Method::GET, "/users/me", token, None).await?;
    expect(me.status == 401, || format!("an access token after logout was answered {}", me.status))?;
    // Another password: the other sessions end, the one that changed it stays.
    let (here, there) = (rest.login("ada").await?, rest.login("ada").await?);
    let change = json!({ "current": password_of("ada"), "new": "a new and long password" });
    let token = Some(here.account.access_token.as_str());
    let changed = request(&rest, Method::PUT, "/users/me/password", token, Some(change)).await?;
    expect(changed.status == 204, || format!("a new password was answered {}", changed.status))?;
    let after = refresh(&rest, &there.refresh_token).await?;
    expect(after.status == 401, || format!("another session's refresh was answered {}", after.status))?;
    let stays = refresh(&rest, &here.refresh_token).await?;
    expect(stays.status == 200, || format!("the changer's own refresh was answered {}", stays.status))?;
    // What is no token at all.
    for nonsense in ["", "x", &here.account.access_token] {
        let answer = refresh(&rest, nonsense).await?;
        let refused = [400, 401, 422].contains(&answer.status);
        expect(refused, || format!("{nonsense:?} as a refresh token was answered {}", answer.status))?;
    }
    Ok(())
}
