//! The contract of [`Presence`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringside_types::{ChannelId, Epoch, SessionId, Slot, UserId};
use uuid::Uuid;

use crate::presence::{
    Account, Charge, Connection, JointDecision, Presence, Rate, RateDecision, Status, StatusChange,
};

/// Comes back so slowly that no part of the suite sees a token return.
const SLOW: Rate = Rate { per_minute: 1, burst: 10 };

/// Runs every part, each over a fresh engine.
pub async fn suite<P: Presence>(make: impl AsyncFn() -> P) {
    connections_come_and_go(make().await).await;
    a_status_is_over_all_connections(make().await).await;
    earlier_leases_of_a_slot_end(make().await).await;
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
    racing_groups_stop_at_the_burst(make().await).await;
    a_group_may_ask_one_bucket_twice(make().await).await;
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

fn granted(verdicts: &[RateDecision]) -> usize {
    verdicts.iter().filter(|verdict| matches!(verdict, RateDecision::Granted { .. })).count()
}

async fn connect<P: Presence>(presence: &P, connection: Connection, limit: u32) -> bool {
    presence.connect(&[connection], limit).await.expect("answers")[0]
}

const fn change(before: Status, after: Status) -> StatusChange {
    StatusChange { before, after }
}

/// Connections go one by one, and each answer says what became of its user; unknown ones change nothing.
pub async fn connections_come_and_go<P: Presence>(presence: P) {
    use Status::{Offline, Online};
    let (one, two) = (user(1), user(2));
    let all = [connection(one, 1), connection(one, 2), connection(two, 3), connection(one, 1)];
    let added = presence.connect(&all, 2).await;
    assert_eq!(added, Ok(vec![true; 4]), "a repetition is no second connection");
    assert_eq!(presence.connect(&[], 2).await, Ok(vec![]));
    let gone = [connection(one, 1), connection(one, 99), connection(user(9), 1), connection(one, 2)];
    let changes = presence.disconnect(&gone).await.expect("answers");
    let expected =
        [change(Online, Online), change(Online, Online), change(Offline, Offline), change(Online, Offline)];
    assert_eq!(changes, expected);
    assert_eq!(presence.disconnect(&[]).await, Ok(vec![]));
    assert_eq!(presence.statuses(&[two, user(9), one]).await, Ok(vec![Online, Offline, Offline]));
}

/// What each connection says counts while it is there; unknown ones say nothing.
pub async fn a_status_is_over_all_connections<P: Presence>(presence: P) {
    use Status::{Dnd, Offline, Online};
    let (one, two) = (user(1), user(2));
    let seen = async || presence.statuses(&[two, one]).await.expect("answers");
    assert_eq!(seen().await, [Offline, Offline]);
    assert_eq!(presence.statuses(&[]).await, Ok(vec![]));
    for (of, number) in [(one, 1), (one, 2), (two, 3)] {
        assert!(connect(&presence, connection(of, number), 0).await);
    }
    assert_eq!(seen().await, [Online, Online]);
    let set = presence.set_status(&[(connection(one, 1), Dnd)]).await;
    assert_eq!(set, Ok(vec![change(Online, Dnd)]));
    assert!(connect(&presence, connection(one, 1), 0).await, "a repetition");
    assert_eq!(seen().await, [Online, Dnd], "changes nothing");
    presence.disconnect(&[connection(one, 1)]).await.expect("disconnects");
    assert_eq!(seen().await, [Online, Online]);
    let all = [(one, 2), (two, 3), (user(9), 9)].map(|(of, number)| (connection(of, number), Offline));
    let set = presence.set_status(&all).await;
    let expected = vec![change(Online, Offline), change(Online, Offline), change(Offline, Offline)];
    assert_eq!(set, Ok(expected), "unknown ones change nothing");
    assert_eq!(seen().await, [Offline, Offline]);
}

/// Connections of a slot's earlier leases are gone, and no others.
pub async fn earlier_leases_of_a_slot_end<P: Presence>(presence: P) {
    let (one, two) = (user(1), user(2));
    let later = Connection { epoch: Epoch(5), ..connection(one, 2) };
    let elsewhere = Connection { slot: Slot(7), ..connection(two, 4) };
    let all = [connection(one, 1), later, connection(two, 3), elsewhere];
    presence.connect(&all, 0).await.expect("connects");
    let gone = connection(user(3), 5);
    presence.connect(&[gone], 0).await.expect("connects");
    presence.disconnect(&[gone]).await.expect("disconnects");
    let refused = connection(two, 6);
    assert_eq!(presence.connect(&[refused], 2).await, Ok(vec![false]));
    let mut ended = presence.end_leases(Slot(1), Epoch(5)).await.expect("ends");
    ended.sort_unstable();
    assert_eq!(ended, [one, two], "who went before is not named");
    assert_eq!(presence.end_leases(Slot(1), Epoch(5)).await, Ok(vec![]), "a second time");
    let added = presence.connect(&[connection(one, 8), connection(one, 9)], 2).await;
    assert_eq!(added, Ok(vec![true, false]), "the later one counts still");
    presence.end_leases(Slot(1), Epoch(6)).await.expect("ends");
    assert_eq!(presence.statuses(&[one, two]).await, Ok(vec![Status::Offline, Status::Online]));
}

/// A user has at most so many; what goes makes room.
pub async fn a_limit_of_connections_holds<P: Presence>(presence: P) {
    let one = user(1);
    let three = [1, 2, 3].map(|number| connection(one, number));
    assert_eq!(presence.connect(&three, 2).await, Ok(vec![true, true, false]));
    assert!(connect(&presence, connection(user(2), 1), 2).await, "another user has their own");
    presence.disconnect(&[connection(one, 3)]).await.expect("one that was refused is unknown");
    assert!(!connect(&presence, connection(one, 4), 2).await);
    presence.disconnect(&[connection(one, 1)]).await.expect("disconnects");
    assert!(connect(&presence, connection(one, 5), 2).await);
    assert!(connect(&presence, connection(one, 6), 0).await, "0 is no limit");
}

/// Fifty connect at once where five may.
pub async fn racing_connections_stop_at_the_limit<P: Presence>(presence: P) {
    let racers: Vec<_> = (0..50)
        .map(|number| {
            let presence = presence.clone();
            tokio::spawn(async move { connect(&presence, connection(user(1), number), 5).await })
        })
        .collect();
    let mut added = 0;
    for racer in racers {
        added += usize::from(racer.await.expect("no panic"));
    }
    assert_eq!(added, 5);
}

/// A rested bucket grants its burst, then refuses and says when to come back; a refusal takes nothing.
pub async fn a_bucket_grants_its_burst<P: Presence>(presence: P) {
    let account = Account::UserMessages(user(1));
    assert_eq!(presence.charge(&[]).await, Ok(Vec::new()));
    let charges = vec![charge(account.clone()); 12];
    let verdicts = presence.charge(&charges).await.expect("answers");
    for (verdict, left) in verdicts.iter().zip((0..10).rev()) {
        assert_eq!(*verdict, RateDecision::Granted { remaining: left });
    }
    for verdict in &verdicts[10..] {
        let RateDecision::Refused { retry_after_ms } = verdict else { panic!("{verdict:?}") };
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
        // Those of no account.
        Account::StrangersGuesses(UserId(Uuid::nil())),
        Account::KnownAddressGuesses(UserId(Uuid::nil()), IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Account::SlowMode(ChannelId(id), UserId(id), 5),
        Account::SlowMode(ChannelId(id), UserId(id), 6),
        Account::SlowMode(ChannelId(id), user(8), 5),
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
        let [RateDecision::Refused { retry_after_ms }] = verdicts[..] else { continue };
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
    assert_eq!(verdicts[0], RateDecision::Granted { remaining: 2 });
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
    let own_refusal = |verdict: &JointDecision, at| matches!(verdict, JointDecision::Refused { charge, .. } if *charge == at);
    assert!(verdicts[..10].iter().all(|verdict| *verdict == JointDecision::Granted));
    assert!(verdicts[10..15].iter().all(|verdict| own_refusal(verdict, 0)));
    assert!(verdicts[15..].iter().all(|verdict| own_refusal(verdict, 1)), "by the user's limit");
    let others: Vec<_> = (0..12).map(|number| vec![of(10 + number), channel.clone()]).collect();
    let verdicts = presence.charge_jointly(&others).await.expect("answers");
    assert!(
        verdicts[..10].iter().all(|verdict| *verdict == JointDecision::Granted),
        "the channel's are there"
    );
    assert!(verdicts[10..].iter().all(|verdict| own_refusal(verdict, 1)));
    let JointDecision::Refused { retry_after_ms, .. } = verdicts[11] else { panic!("{verdicts:?}") };
    assert!((1..=60_000).contains(&retry_after_ms), "a token a minute: {retry_after_ms} ms");
    let refused = vec![of(20); 11];
    assert_eq!(
        granted(&presence.charge(&refused).await.expect("answers")),
        10,
        "nothing was taken of theirs"
    );
}

/// Fifty members ask at once where a channel has ten: ten pass, and nobody else has paid.
pub async fn racing_groups_stop_at_the_burst<P: Presence>(presence: P) {
    let channel = charge(Account::ChannelMessages(ChannelId(Uuid::from_u128(1))));
    let of = |number| charge(Account::UserMessages(user(number)));
    let racers: Vec<_> = (0..50)
        .map(|number| {
            let (presence, group) = (presence.clone(), vec![of(number), channel.clone()]);
            tokio::spawn(async move { presence.charge_jointly(&[group]).await.expect("answers")[0] })
        })
        .collect();
    let mut passed = Vec::new();
    for racer in racers {
        passed.push(racer.await.expect("no panic") == JointDecision::Granted);
    }
    assert_eq!(passed.iter().filter(|passed| **passed).count(), 10);
    for (number, passed) in (0..).zip(passed) {
        let left = presence.charge(&vec![of(number); 11]).await.expect("answers");
        assert_eq!(granted(&left), if passed { 9 } else { 10 }, "member {number}");
    }
}

/// What a group has taken counts for its next charge; and gone again where that one is refused.
pub async fn a_group_may_ask_one_bucket_twice<P: Presence>(presence: P) {
    let some = |tokens| Charge { tokens, ..charge(Account::UserMessages(user(1))) };
    let groups = [vec![some(6), some(5)], vec![some(6), some(3)], vec![some(1)], vec![some(1)]];
    let verdicts = presence.charge_jointly(&groups).await.expect("answers");
    let [JointDecision::Refused { charge, retry_after_ms }, ..] = verdicts[..] else {
        panic!("{verdicts:?}")
    };
    assert!(charge == 1 && (1..=60_000).contains(&retry_after_ms), "one token is missing: {verdicts:?}");
    assert_eq!(verdicts[1..3], [JointDecision::Granted, JointDecision::Granted]);
    assert!(matches!(verdicts[3], JointDecision::Refused { charge: 0, .. }), "{verdicts:?}");
}
