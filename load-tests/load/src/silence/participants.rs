//! The people of a run: who is in which channel, and how each of them will be evicted.

use ringside_test_client::eviction::Eviction;
use ringside_test_client::rest::{Rest, RestError, Session};
use uuid::Uuid;

/// One user with the session of the socket.
pub(super) struct Person {
    pub username: String,
    pub session: Session,
    pub channel: Uuid,
    pub owner_token: String,
    pub eviction: Eviction,
}

/// A channel's owner, who also speaks.
pub(super) struct Speaker {
    pub session: Session,
    pub channel: Uuid,
}

/// Registers everybody and makes the channels.
pub(super) async fn register(
    rest: Rest,
    sockets: u32,
    per_channel: u32,
) -> Result<(Vec<Speaker>, Vec<Person>), RestError> {
    let mut speakers = Vec::new();
    let mut people = Vec::new();
    let mut number = 0;
    while number < sockets {
        let session = rest.sign_up(&format!("speaker{}", speakers.len())).await?;
        let mut group = Vec::new();
        for _ in 0..per_channel.min(sockets - number) {
            let username = format!("listener{number}");
            let eviction = Eviction::ALL[number as usize % Eviction::ALL.len()];
            group.push((username.clone(), rest.sign_up(&username).await?, eviction));
            number += 1;
        }
        let members: Vec<Uuid> = group.iter().map(|(_, session, _)| session.account.user_id).collect();
        let token = session.account.access_token.clone();
        let channel = rest.create_channel(&token, "group", "traffic", &members).await?;
        people.extend(group.into_iter().map(|(username, session, eviction)| Person {
            username,
            session,
            channel,
            owner_token: token.clone(),
            eviction,
        }));
        speakers.push(Speaker { session, channel });
    }
    Ok((speakers, people))
}
