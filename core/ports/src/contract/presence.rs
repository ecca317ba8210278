//! The contract of [`Presence`].

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringside_types::{ChannelId, Epoch, SessionId, Slot, UserId};
use uuid::Uuid;

use crate::presence::{Account, Charge, Connection, JointVerdict, Presence, Rate, Status, Verdict};

/// Comes back so slowly that no part of the suite sees a token return.
const SLOW: Rate = Rate { per_minute: 1, burst: 10 };

/// Runs every part, each over a fresh engine.
pub async fn suite<P: Presence>(make: impl AsyncFn() -> P) {
    connections_come_and_go(make().await).await;
    a_status_is_over_all_connections(make().await).await;
    earlier_tenures_of_a_slot_end(make().await).await;
    a_limit_of_connections_holds(make().await).await;
    racing_connections_stop_at_the_limit(make().await).await;
    a_bucket_grants_its_burst(make().await).await;
    accounts_are_apart(make().await).await;
    no_limit_is_no_limit(make().await).await;
    tokens_come_back(make().await).await;
    racing_charges_stop_at_the_burst(make().await).await;
    a_refund_is_a_token_again(make().await).await;
    refunds_stop_at_the_burst(make().await).await;
    a_refused_group_takes_nothing(make().await).await;
}

fn user(number: u128) -> UserId {
    UserId(Uuid::from_u128(number))
}

fn connection(user_id: UserId, number: u64) -> Connection {
    Connection { user_id, session_id: SessionId(Uuid::from_u128(9)), slot: Slot(1), epoch: Epoch(2), number }
}

/// The bucket of what was typed at one address.
fn guesses(login: &str) -> Account {
    Account::LoginGuesses(IpAddr::V4(Ipv4Addr::LOCALHOST), login.into())
}

fn charge(account: Account) -> Charge {
    Charge::one(account, SLOW)
}

fn granted(verdicts: &[Verdict]) -> usize {
    verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Granted { .. })).count()
}

async fn connected<P: Presence>(presence: &P, users: &[UserId]) -> Vec<HashSet<Connection>> {
    let connections = presence.connections(users).await.expect("answers");
    connections.into_iter().map(|of_user| of_user.into_iter().collect()).collect()
}

/// Connections are found by user in the order asked, and go one by one; unknown ones are ignored.
pub async fn connections_come_and_go<P: Presence>(presence: P) {
    let (one, two) = (user(1), user(2));
    assert_eq!(connected(&presence, &[]).await, Vec::<HashSet<Connection>>::new());
    for (of, number) in [(one, 1), (one, 2), (two, 3)] {
        assert_eq!(presence.connect(connection(of, number), 0).await, Ok(true));
    }
    assert_eq!(
        presence.connect(connection(one, 1), 0).await,
        Ok(true),
        "a repetition is no second connection"
    );
    let first: HashSet<_> = [connection(one, 1), connection(one, 2)].into();
    let second: HashSet<_> = [connection(two, 3)].into();
    let all = connected(&presence, &[two, user(9), one]).await;
    assert_eq!(all, [second.clone(), HashSet::new(), first]);
    let gone = [connection(one, 1), connection(one, 99), connection(user(9), 1)];
    presence.disconnect(&gone).await.expect("unknown ones are ignored");
    presence.disconnect(&[]).await.expect("nothing to do");
    let all = connected(&presence, &[one, two]).await;
    assert_eq!(all, [[connection(one, 2)].into(), second]);
}

/// What each connection says counts while it is there; unknown ones say nothing.
pub async fn a_status_is_over_all_connections<P: Presence>(presence: P) {
    let (one, two) = (user(1), user(2));
    let seen = async || presence.statuses(&[two, one]).await.expect("answers");
    assert_eq!(seen().await, [Status::Offline, Status::Offline]);
    assert_eq!(presence.statuses(&[]).await, Ok(vec![]));
    for (of, number) in [(one, 1), (one, 2), (two, 3)] {
        presence.connect(connection(of, number), 0).await.expect("connects");
    }
    assert_eq!(seen().await, [Status::Online, Status::Online]);
    presence.set_status(&[connection(one, 1)], Status::Dnd).await.expect("sets");
    assert_eq!(seen().await, [Status::Online, Status::Dnd]);
    presence.connect(connection(one, 1), 0).await.expect("a repetition");
    assert_eq!(seen().await, [Status::Online, Status::Dnd], "changes nothing");
    presence.disconnect(&[connection(one, 1)]).await.expect("disconnects");
    assert_eq!(seen().await, [Status::Online, Status::Online]);
    let both = [connection(one, 2), connection(two, 3), connection(user(9), 9)];
    presence.set_status(&both, Status::Offline).await.expect("unknown ones are ignored");
    assert_eq!(seen().await, [Status::Offline, Status::Offline]);
    assert_eq!(presence.statuses(&[user(9)]).await, Ok(vec![Status::Offline]));
}

/// Connections of a slot's earlier tenures are gone, and no others.
pub async fn earlier_tenures_of_a_slot_end<P: Presence>(presence: P) {
    let (one, two) = (user(1), user(2));
    let later = Connection { epoch: Epoch(5), ..connection(one, 2) };
    let elsewhere = Connection { slot: Slot(7), ..connection(two, 4) };
    for connection in [connection(one, 1), later, connection(two, 3), elsewhere] {
        presence.connect(connection, 0).await.expect("connects");
    }
    let mut ended = presence.end_tenures(Slot(1), Epoch(5)).await.expect("ends");
    ended.sort_unstable();
    assert_eq!(ended, [one, two]);
    let all = connected(&presence, &[one, two]).await;
    assert_eq!(all, [[later].into(), [elsewhere].into()]);
    assert_eq!(presence.end_tenures(Slot(1), Epoch(5)).await, Ok(vec![]), "a second time");
    presence.end_tenures(Slot(1), Epoch(6)).await.expect("ends");
    assert_eq!(presence.statuses(&[one, two]).await, Ok(vec![Status::Offline, Status::Online]));
}

/// A user has at most so many; what goes makes room.
pub async fn a_limit_of_connections_holds<P: Presence>(presence: P) {
    let one = user(1);
    for (number, expected) in [(1, true), (2, true), (3, false)] {
        assert_eq!(presence.connect(connection(one, number), 2).await, Ok(expected), "connection {number}");
    }
    assert_eq!(connected(&presence, &[one]).await[0].len(), 2);
    assert_eq!(presence.connect(connection(user(2), 1), 2).await, Ok(true), "another user has their own");
    presence.disconnect(&[connection(one, 3)]).await.expect("one that was refused is unknown");
    assert_eq!(presence.connect(connection(one, 4), 2).await, Ok(false));
    presence.disconnect(&[connection(one, 1)]).await.expect("disconnects");
    assert_eq!(presence.connect(connection(one, 5), 2).await, Ok(true));
    assert_eq!(presence.connect(connection(one, 6), 0).await, Ok(true), "0 is no limit");
}

/// Fifty connect at once where five may.
pub async fn racing_connections_stop_at_the_limit<P: Presence>(presence: P) {
    let racers: Vec<_> = (0..50)
        .map(|number| {
            let presence = presence.clone();
            tokio::spawn(async move { presence.connect(connection(user(1), number), 5).await })
        })
        .collect();
    let mut added = 0;
    for racer in racers {
        added += usize::from(racer.await.expect("no panic").expect("answers"));
    }
    assert_eq!(added, 5);
    assert_eq!(connected(&presence, &[user(1)]).await[0].len(), 5);
}

/// A rested bucket grants its burst, then refuses and says when to come back; a refusal takes nothing.
pub async fn a_bucket_grants_its_burst<P: Presence>(presence: P) {
    let account = Account::UserMessages(user(1));
    assert_eq!(presence.charge(&[]).await, Ok(Vec::new()));
    let charges = vec![charge(account.clone()); 12];
    let verdicts = presence.charge(&charges).await.expect("answers");
    for (verdict, left) in verdicts.iter().zip((0..10).rev()) {
        assert_eq!(*verdict, Verdict::Granted { remaining: left });
    }
    for verdict in &verdicts[10..] {
        let Verdict::Refused { retry_after_ms } = verdict else { panic!("{verdict:?}") };
        assert!((1..=60_000).contains(retry_after_ms), "a token a minute: {retry_after_ms} ms");
    }
    let more = vec![charge(account); 50];
    assert_eq!(granted(&presence.charge(&more).await.expect("answers")), 0);
}

/// Each account has its bucket, whatever ids are alike.
pub async fn accounts_are_apart<P: Presence>(presence: P) {
    let id = Uuid::from_u128(7);
    let accounts = [
        Account::UserMessages(UserId(id)),
        Account::UserRequests(UserId(id)),
        Account::ChannelsMade(UserId(id)),
        Account::ChannelMessages(ChannelId(id)),
        Account::UserMessages(user(8)),
        Account::AddressRegistrations(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Account::AddressRegistrations(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        guesses("someone"),
        guesses("someone else"),
        Account::LoginGuesses(IpAddr::V6(Ipv6Addr::LOCALHOST), "someone".into()),
        // No text that is typed reaches these.
        guesses(&id.to_string()),
        Account::StrangersGuesses(UserId(id)),
        Account::KnownAddressGuesses(UserId(id), IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Account::PasswordChangeGuesses(UserId(id)),
    ];
    for account in accounts {
        let verdicts = presence.charge(&vec![charge(account.clone()); 11]).await.expect("answers");
        assert_eq!(granted(&verdicts), 10, "{account:?}");
    }
}

/// A rate of 0 switches a limit off.
pub async fn no_limit_is_no_limit<P: Presence>(presence: P) {
    let rate = Rate { per_minute: 0, burst: 0 };
    let charges = vec![Charge::one(Account::UserMessages(user(1)), rate); 1_000];
    assert_eq!(granted(&presence.charge(&charges).await.expect("answers")), 1_000);
}

/// After the time that a refusal names, there is a token.
pub async fn tokens_come_back<P: Presence>(presence: P) {
    let rate = Rate { per_minute: 1_200, burst: 1 };
    let charge = [Charge::one(Account::UserMessages(user(1)), rate)];
    let mut refusals = 0;
    while refusals < 3 {
        let verdicts = presence.charge(&charge).await.expect("answers");
        let [Verdict::Refused { retry_after_ms }] = verdicts[..] else { continue };
        assert!((1..=50).contains(&retry_after_ms), "1,200 a minute: {retry_after_ms} ms");
        refusals += 1;
        tokio::time::sleep(std::time::Duration::from_millis(retry_after_ms)).await;
        assert_eq!(granted(&presence.charge(&charge).await.expect("answers")), 1);
    }
}

/// Two hundred ask at once where ten may.
pub async fn racing_charges_stop_at_the_burst<P: Presence>(presence: P) {
    let racers: Vec<_> = (0..200)
        .map(|_| {
            let presence = presence.clone();
            let charge = charge(guesses("someone"));
            tokio::spawn(async move { presence.charge(&[charge]).await.expect("answers") })
        })
        .collect();
    let mut total = 0;
    for racer in racers {
        total += granted(&racer.await.expect("no panic"));
    }
    assert_eq!(total, 10);
}

/// A token that was given back is there for the next, and for no other account.
pub async fn a_refund_is_a_token_again<P: Presence>(presence: P) {
    let (one, other) = (guesses("someone"), guesses("another"));
    presence.refund(&[]).await.expect("nothing to do");
    for account in [&one, &other] {
        let spent = presence.charge(&vec![charge(account.clone()); 10]).await.expect("answers");
        assert_eq!(granted(&spent), 10);
    }
    let back = vec![charge(one.clone()); 3];
    presence.refund(&back).await.expect("answers");
    let verdicts = presence.charge(&vec![charge(one); 5]).await.expect("answers");
    assert_eq!(granted(&verdicts), 3);
    assert_eq!(verdicts[0], Verdict::Granted { remaining: 2 });
    assert_eq!(granted(&presence.charge(&[charge(other)]).await.expect("answers")), 0);
}

/// A rested bucket, one that was never asked, and one without a limit take nothing more.
pub async fn refunds_stop_at_the_burst<P: Presence>(presence: P) {
    let account = guesses("someone");
    presence.refund(&vec![charge(account.clone()); 5]).await.expect("an unknown bucket is full");
    presence.charge(&[charge(account.clone())]).await.expect("answers");
    presence.refund(&vec![charge(account.clone()); 5]).await.expect("answers");
    assert_eq!(granted(&presence.charge(&vec![charge(account.clone()); 12]).await.expect("answers")), 10);
    let unlimited = Charge::one(account, Rate { per_minute: 0, burst: 0 });
    presence.refund(&[unlimited]).await.expect("answers");
}

/// A member who is above their own limit uses nothing of the channel's up, whichever is asked first, and whatever else
/// is in the batch.
pub async fn a_refused_group_takes_nothing<P: Presence>(presence: P) {
    let channel = charge(Account::ChannelMessages(ChannelId(Uuid::from_u128(1))));
    let of = |number| charge(Account::UserMessages(user(number)));
    assert_eq!(presence.charge_jointly(&[]).await, Ok(Vec::new()));
    let groups: Vec<_> =
        (0..15).map(|_| vec![of(1)]).chain((0..40).map(|_| vec![channel.clone(), of(1)])).collect();
    let verdicts = presence.charge_jointly(&groups).await.expect("answers");
    let own_refusal =
        |verdict: &JointVerdict, at| matches!(verdict, JointVerdict::Refused { charge, .. } if *charge == at);
    assert!(verdicts[..10].iter().all(|verdict| *verdict == JointVerdict::Granted));
    assert!(verdicts[10..15].iter().all(|verdict| own_refusal(verdict, 0)));
    assert!(verdicts[15..].iter().all(|verdict| own_refusal(verdict, 1)), "by the user's limit");
    let others: Vec<_> = (0..12).map(|number| vec![of(10 + number), channel.clone()]).collect();
    let verdicts = presence.charge_jointly(&others).await.expect("answers");
    assert!(
        verdicts[..10].iter().all(|verdict| *verdict == JointVerdict::Granted),
        "the channel's are there"
    );
    assert!(verdicts[10..].iter().all(|verdict| own_refusal(verdict, 1)));
    let JointVerdict::Refused { retry_after_ms, .. } = verdicts[11] else { panic!("{verdicts:?}") };
    assert!((1..=60_000).contains(&retry_after_ms), "a token a minute: {retry_after_ms} ms");
    let refused = vec![of(20); 11];
    assert_eq!(
        granted(&presence.charge(&refused).await.expect("answers")),
        10,
        "nothing was taken of theirs"
    );
}
