//! Channels are made, found and listed; what is answered is in the log.

mod support;

use std::sync::atomic::Ordering;

use ringside_application::service::{ChannelService as _, CreateChannel, PageRequest, ServiceError};
use ringside_ports::channels::{ChannelKind, Role};
use ringside_types::ChannelId;
use ringside_wire::records::MembershipKind;
use support::{TestContext, soon, user, users, wish};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Channels that are made at once.
const AT_ONCE: u128 = 100;

fn is_not_found<T>(answer: &Result<T, ServiceError>) -> bool {
    matches!(answer, Err(ServiceError::NotFound(_)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_is_answered_is_in_the_log() {
    let context = TestContext::new().await;
    let running = context.start();
    let wish = CreateChannel { description: "why".into(), ..wish(ChannelKind::Private, &[3, 2, 3, 1]) };
    let (channel, is_new) = running.conversations.create(user(1), wish).await.expect("makes");
    assert!(is_new);
    assert_eq!(
        (channel.creator_id, channel.name.as_str(), channel.description.as_str()),
        (user(1), "name", "why")
    );
    assert_eq!(channel.id.0.get_version_num(), 7);
    let sent = context.sent(channel.id).await;
    let [record] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((record.kind(), record.version, record.members.len()), (MembershipKind::Created, 1, 3));
    assert_eq!(record.members[0].role, "owner");
    assert_eq!(context.told(channel.id).await, sent);
    let seen = running.conversations.channel(user(2), channel.id).await.expect("sees");
    assert_eq!((seen.0, seen.1.map(|member| member.role)), (channel, Some(Role::Member)));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_share_passes() {
    let context = TestContext::new().await;
    let running = context.start();
    let mut creating = JoinSet::new();
    for number in 0..AT_ONCE {
        let conversations = running.conversations.clone();
        creating.spawn(async move {
            conversations.create(user(1 + number % 10), wish(ChannelKind::Group, &[20, 21])).await
        });
    }
    let made = soon("all of them", creating.join_all()).await;
    for answer in made {
        let (channel, is_new) = answer.expect("makes");
        assert!(is_new);
        assert_eq!((context.sent(channel.id).await.len(), context.told(channel.id).await.len()), (1, 1));
    }
    let appends = context.log.appends.load(Ordering::SeqCst);
    assert!(appends < AT_ONCE as usize, "{appends} appends for {AT_ONCE} channels");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dm_exists_once_however_it_is_opened() {
    let context = TestContext::new().await;
    let running = context.start();
    let mut opening = JoinSet::new();
    for number in 0..40 {
        let conversations = running.conversations.clone();
        let (one, other) = if number % 2 == 0 { (1, 2) } else { (2, 1) };
        opening.spawn(async move { conversations.create(user(one), wish(ChannelKind::Dm, &[other])).await });
    }
    let answers: Vec<_> = opening.join_all().await.into_iter().map(|answer| answer.expect("opens")).collect();
    assert_eq!(answers.iter().filter(|(_, is_new)| *is_new).count(), 1);
    assert!(answers.iter().all(|(channel, _)| *channel == answers[0].0), "the same body for all");
    let id = answers[0].0.id;
    assert_eq!(context.sent(id).await.len(), 1);
    let (other, is_new) =
        running.conversations.create(user(1), wish(ChannelKind::Dm, &[3])).await.expect("opens");
    assert!(is_new && other.id != id);
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_made_is_named() {
    let context = TestContext::new().await;
    let running = context.start();
    let check = async |caller: u128, wish: CreateChannel, wrong: &[&str]| {
        let Err(ServiceError::Invalid(fields)) = running.conversations.create(user(caller), wish).await
        else {
            panic!("not refused: {wrong:?}")
        };
        let fields: Vec<_> = fields.iter().map(|field| &*field.field).collect();
        assert_eq!(fields, wrong);
    };
    check(1, wish(ChannelKind::Dm, &[1]), &["member_ids"]).await;
    check(1, wish(ChannelKind::Dm, &[2, 3]), &["member_ids"]).await;
    check(1, wish(ChannelKind::Dm, &[999]), &["member_ids"]).await;
    check(1, wish(ChannelKind::Group, &[2, 998, 999]), &["member_ids"]).await;
    check(1, CreateChannel { name: " ".into(), ..wish(ChannelKind::Public, &[2]) }, &["name"]).await;
    let gone = running.conversations.create(user(999), wish(ChannelKind::Group, &[2])).await;
    assert!(matches!(gone, Err(ServiceError::Unauthorized(_))), "{gone:?}");
    running.stop().await;
}

#[tokio::test]
async fn who_is_not_in_it_does_not_learn_that_it_exists() {
    let context = TestContext::new().await;
    let running = context.start();
    let conversations = &running.conversations;
    let part = || PageRequest { cursor: None, limit: 10 };
    for kind in [ChannelKind::Dm, ChannelKind::Group, ChannelKind::Private] {
        let (channel, _) = conversations.create(user(1), wish(kind, &[2])).await.expect("makes");
        assert!(conversations.channel(user(2), channel.id).await.is_ok());
        assert!(is_not_found(&conversations.channel(user(3), channel.id).await), "{kind:?}");
        assert!(is_not_found(&conversations.members(user(3), channel.id, part()).await), "{kind:?}");
        let unknown = conversations.channel(user(3), ChannelId(Uuid::from_u128(5))).await;
        assert_eq!(unknown, conversations.channel(user(3), channel.id).await, "answered alike");
    }
    let (public, _) = conversations.create(user(1), wish(ChannelKind::Public, &[2])).await.expect("makes");
    assert_eq!(conversations.channel(user(3), public.id).await, Ok((public.clone(), None)));
    assert_eq!(conversations.members(user(3), public.id, part()).await, Err(ServiceError::NotAMember));
    running.stop().await;
}

#[tokio::test]
async fn lists_go_on_where_they_ended() {
    let context = TestContext::new().await;
    let running = context.start();
    let conversations = &running.conversations;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(
            conversations
                .create(user(1), wish(ChannelKind::Group, &[2, 3, 4, 5, 6, 7]))
                .await
                .expect("makes")
                .0,
        );
    }
    made.reverse();
    let (mut listed, mut sizes, mut cursor) = (Vec::new(), Vec::new(), None);
    loop {
        let part = conversations.list(user(2), PageRequest { cursor, limit: 3 }).await.expect("lists");
        sizes.push(part.items.len());
        assert!(part.items.iter().all(|mine| mine.membership.role == Role::Member));
        listed.extend(part.items.into_iter().map(|mine| mine.channel));
        cursor = part.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((sizes, listed), (vec![3, 3, 1], made.clone()));
    let whole = conversations.list(user(2), PageRequest { cursor: None, limit: 7 }).await.expect("lists");
    assert_eq!((whole.items.len(), whole.next_cursor), (7, None), "a cursor only where there is more");
    let (mut members, mut cursor) = (Vec::new(), None);
    loop {
        let part = PageRequest { cursor, limit: 3 };
        let part = conversations.members(user(2), made[0].id, part).await.expect("lists");
        members.extend(part.items.into_iter().map(|member| member.user_id));
        cursor = part.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(members, users(&[1, 2, 3, 4, 5, 6, 7]));
    let part = || PageRequest { cursor: Some("page 2".into()), limit: 3 };
    assert!(matches!(conversations.list(user(2), part()).await, Err(ServiceError::BadRequest(_))));
    assert!(matches!(
        conversations.members(user(2), made[0].id, part()).await,
        Err(ServiceError::BadRequest(_))
    ));
    running.stop().await;
}
