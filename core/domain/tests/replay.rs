//! Whatever is in the log, however it is cut into batches, and wherever the process dies: the tables are those of an
//! undisturbed run, every record keeps its id, and no edge lacks an event.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use ringside_types::authorization::Operation;
use ringside_types::limits::{IDEMPOTENCY_WINDOW_MS, MESSAGE_EMOJI_MAX};
use ringside_types::{ChannelId, ClientId, MessageId, RINGSIDE_EPOCH_MS, UnixMillis, UserId};
use ringside_wire::records::{
    Amend, Channel, ChannelTurn, EpochDead, Joins, Leaves, Member, Membership, MembershipKind, Mentions,
    Reaction, Send, Settings, amend, command,
};
use support::{Death, Outcome, PARTITION, Record, Tables, run};
use uuid::Uuid;

const CHANNELS: u128 = 2;
const USERS: u128 = 3;
/// Few, so that retries are common.
const CLIENT_IDS: u128 = 5;
const HOUR_MS: u64 = 3_600_000;

#[derive(Clone, Copy, Debug)]
enum Wish {
    Send {
        channel: u128,
        user: u128,
        client: u128,
        /// Of which record before it, whatever that was, it is the reply.
        answers: Option<usize>,
    },
    Membership {
        channel: u128,
        user: u128,
        how: Standing,
        old_version: bool,
    },
    Settings {
        channel: u128,
        how: Standard,
        old_version: bool,
    },
    Join {
        channel: u128,
        slot: u32,
        epoch: u64,
        n: u64,
    },
    Leave {
        channel: u128,
        slot: u32,
        epoch: u64,
        n: u64,
    },
    EpochDead {
        slot: u32,
        epoch: u64,
    },
    /// Of a record before it, whatever that was.
    Amend {
        channel: u128,
        user: u128,
        client: u128,
        back: usize,
        how: How,
    },
}

#[derive(Clone, Copy, Debug)]
enum Standing {
    Added,
    Removed,
    Role { admin: bool },
}

/// What becomes of a channel.
#[derive(Clone, Copy, Debug)]
enum Standard {
    Updated { admins_post: bool, from_join: bool },
    Closed { closed: bool },
    Deleted,
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        3 => Just(Standing::Added),
        2 => Just(Standing::Removed),
        3 => any::<bool>().prop_map(|admin| Standing::Role { admin }),
    ]
}

fn standard() -> impl Strategy<Value = Standard> {
    prop_oneof![
        8 => (any::<bool>(), any::<bool>())
            .prop_map(|(admins_post, from_join)| Standard::Updated { admins_post, from_join }),
        8 => any::<bool>().prop_map(|closed| Standard::Closed { closed }),
        1 => Just(Standard::Deleted),
    ]
}

#[derive(Clone, Copy, Debug)]
enum How {
    Edit,
    Delete,
    React { removed: bool },
    Pin { pinned: bool },
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        3 => Just(How::Edit),
        1 => Just(How::Delete),
        3 => any::<bool>().prop_map(|removed| How::React { removed }),
        2 => any::<bool>().prop_map(|pinned| How::Pin { pinned }),
    ]
}

fn amend() -> impl Strategy<Value = Wish> {
    // Client ids of their own, so that some are retries and few collide with messages.
    (0..CHANNELS, 0..USERS, CLIENT_IDS..CLIENT_IDS * 4, 1..12_usize, how())
        .prop_map(|(channel, user, client, back, how)| Wish::Amend { channel, user, client, back, how })
}

fn wish() -> impl Strategy<Value = Wish> {
    let channel = 0..CHANNELS;
    let user = 0..USERS;
    let turn = (0..CHANNELS, 0..2_u32, 1..4_u64, 1..4_u64);
    prop_oneof![
        8 => (channel.clone(), user.clone(), 0..CLIENT_IDS, prop::option::weighted(0.3, 1..12_usize)).prop_map(
            |(channel, user, client, answers)| Wish::Send { channel, user, client, answers }
        ),
        4 => (channel.clone(), user, standing(), prop::bool::weighted(0.2)).prop_map(
            |(channel, user, how, old_version)| Wish::Membership { channel, user, how, old_version }
        ),
        3 => (channel, standard(), prop::bool::weighted(0.2))
            .prop_map(|(channel, how, old_version)| Wish::Settings { channel, how, old_version }),
        2 => turn.clone().prop_map(|(channel, slot, epoch, n)| Wish::Join { channel, slot, epoch, n }),
        1 => turn.prop_map(|(channel, slot, epoch, n)| Wish::Leave { channel, slot, epoch, n }),
        1 => (0..2_u32, 1..4_u64).prop_map(|(slot, epoch)| Wish::EpochDead { slot, epoch }),
        8 => amend(),
    ]
}

/// Steps of the log's clock: it stands, runs, jumps a day, and steps back.
fn steps() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 0..3_i64, 2 => -50..50_i64, 1 => Just(25 * HOUR_MS as i64)]
}

fn log() -> impl Strategy<Value = Vec<Record>> {
    prop::collection::vec((wish(), steps()), 1..60).prop_map(|wishes| {
        let (mut time, mut versions) = (RINGSIDE_EPOCH_MS + 1_000_000, BTreeMap::new());
        let mut ids: Vec<MessageId> = Vec::new();
        let record = |(wish, step): (Wish, i64)| {
            time = time.saturating_add_signed(step);
            let record = Record { time: UnixMillis(time), body: body(wish, &mut versions, &ids) };
            let last = ids.last().copied().unwrap_or_default();
            ids.push(MessageId::following(last, record.time, PARTITION));
            record
        };
        wishes.into_iter().map(record).collect()
    })
}

fn id(number: u128) -> Vec<u8> {
    Uuid::from_u128(number).as_bytes().to_vec()
}

fn body(wish: Wish, versions: &mut BTreeMap<u128, u64>, ids: &[MessageId]) -> command::Body {
    let turns = |channel: u128, n| vec![ChannelTurn { channel_id: id(channel).into(), n }];
    let before = |back| ids.len().checked_sub(back).map_or(MessageId::MAX, |place| ids[place]);
    match wish {
        Wish::Send { channel, user, client, answers } => command::Body::Send(Send {
            channel_id: id(channel).into(),
            sender_id: id(user).into(),
            client_id: id(client).into(),
            content: format!("{user} says {client}"),
            reply_to: answers.map_or(0, |back| before(back).0),
            ..Send::default()
        }),
        Wish::Membership { channel, user, how, old_version } => {
            let (kind, role) = match how {
                Standing::Added => (MembershipKind::Added, "member"),
                Standing::Removed => (MembershipKind::Removed, "member"),
                Standing::Role { admin: true } => (MembershipKind::Role, "admin"),
                Standing::Role { admin: false } => (MembershipKind::Role, "member"),
            };
            let member = Member { user_id: id(user).into(), role: role.into() };
            command::Body::Membership(Membership {
                members: vec![member],
                ..versioned(channel, kind, old_version, versions)
            })
        }
        Wish::Settings { channel, how, old_version } => {
            let (kind, settings) = match how {
                Standard::Updated { admins_post, from_join } => {
                    let settings =
                        Settings { admins_post, history_from_join: from_join, ..Settings::default() };
                    (MembershipKind::Updated, settings)
                }
                Standard::Closed { closed } => {
                    (MembershipKind::Closed, Settings { closed, ..Settings::default() })
                }
                Standard::Deleted => (MembershipKind::Deleted, Settings::default()),
            };
            let as_it_is = Channel { r#type: "group".into(), settings: Some(settings), ..Channel::default() };
            command::Body::Membership(Membership {
                channel: Some(as_it_is),
                ..versioned(channel, kind, old_version, versions)
            })
        }
        Wish::Join { channel, slot, epoch, n } => {
            command::Body::Joins(Joins { slot, epoch, channels: turns(channel, n) })
        }
        Wish::Leave { channel, slot, epoch, n } => {
            command::Body::Leaves(Leaves { slot, epoch, channels: turns(channel, n) })
        }
        Wish::EpochDead { slot, epoch } => command::Body::EpochDead(EpochDead { slot, epoch }),
        Wish::Amend { channel, user, client, back, how } => command::Body::Amend(Amend {
            channel_id: id(channel).into(),
            sender_id: id(user).into(),
            client_id: id(client).into(),
            message_id: before(back).0,
            sender: None,
            origin: None,
            mentions: matches!(how, How::Edit)
                .then(|| Mentions { users: vec![id(client).into()], everyone: client % 3 == 0 }),
            change: Some(change(how, user, client)),
        }),
    }
}

fn change(how: How, user: u128, client: u128) -> amend::Change {
    match how {
        How::Edit => amend::Change::Content(format!("{user} means {client}")),
        How::Delete => amend::Change::Deleted(true),
        How::React { removed } => amend::Change::Reaction(Reaction { emoji: "+1".into(), removed }),
        How::Pin { pinned } => amend::Change::Pinned(pinned),
    }
}

fn versioned(
    channel: u128,
    kind: MembershipKind,
    old_version: bool,
    versions: &mut BTreeMap<u128, u64>,
) -> Membership {
    let version = versions.entry(channel).or_insert(0);
    if !old_version {
        *version += 1;
    }
    Membership {
        channel_id: id(channel).into(),
        version: *version,
        actor_id: id(9).into(),
        kind: kind.into(),
        channel: None,
        members: Vec::new(),
    }
}

fn deaths() -> impl Strategy<Value = Vec<Option<Death>>> {
    let death =
        prop_oneof![Just(Death::Rows), Just(Death::Heads), Just(Death::Edges), Just(Death::Progress),];
    prop::collection::vec(prop::option::weighted(0.4, death), 0..40)
}

/// Counters have no holes, and rows agree with their heads.
fn is_dense(tables: &Tables) {
    let mut seqs: BTreeMap<ChannelId, u64> = BTreeMap::new();
    for row in tables.messages.values() {
        let seq = seqs.entry(row.channel_id).or_insert(0);
        *seq += 1;
        assert_eq!(row.seq, *seq, "messages are numbered without holes, in the order of their ids");
    }
    let mut changes: BTreeMap<ChannelId, u64> = BTreeMap::new();
    for row in tables.changes.values() {
        let change = changes.entry(row.channel_id).or_insert(0);
        *change += 1;
        assert_eq!(row.change, *change);
    }
    for head in tables.heads.values() {
        let mut of_channel = tables.messages.values().filter(|row| row.channel_id == head.channel_id);
        let last = of_channel.next_back().map_or(MessageId::ZERO, |row| row.message_id);
        assert_eq!(head.last_message_id, last);
        let of_messages = tables.messages.values().map(|row| (row.channel_id, row.stamp));
        let all = of_messages.chain(tables.changes.values().map(|row| (row.channel_id, row.stamp)));
        assert_eq!(all.filter(|row| row.0 == head.channel_id).max(), Some((head.channel_id, head.stamp)));
        assert_eq!(head.last_seq, seqs.get(&head.channel_id).copied().unwrap_or(0));
        assert_eq!(head.last_change, changes.get(&head.channel_id).copied().unwrap_or(0));
    }
}

/// Of one key's messages each is more than the window after the one before.
fn is_exactly_once(tables: &Tables) {
    let mut last: BTreeMap<(ChannelId, UserId, ClientId), UnixMillis> = BTreeMap::new();
    for row in tables.messages.values() {
        let time = row.message_id.time();
        let key = (row.channel_id, row.sender_id, row.client_id);
        if let Some(before) = last.insert(key, time) {
            assert!(time.since(before) > IDEMPOTENCY_WINDOW_MS, "{key:?} twice within a day");
        }
    }
}

/// Who sent was a member as of the record, and everyone who was and sent first is stored.
fn membership_decides(log: &[Record], outcome: &Outcome) {
    for (offset, record) in log.iter().enumerate() {
        let command::Body::Send(send) = &record.body else { continue };
        let id = outcome.ids[&(offset as u64)];
        let channel = ringside_wire::channel_id(&send.channel_id).expect("an id");
        let sender = ringside_wire::user_id(&send.sender_id).expect("an id");
        let rows = outcome.tables.memberships.values();
        let is_member =
            rows.filter(|row| row.channel_id == channel && row.user_id == sender).any(|row| row.holds_at(id));
        if !outcome.tables.messages.contains_key(&(channel, id)) {
            continue;
        }
        assert!(is_member, "a message of someone who was no member");
        let mut settings = outcome.tables.settings.values().filter(|row| row.channel_id == channel);
        let Some(held_to) = settings.find(|row| row.holds_at(id)) else { continue };
        assert!(!held_to.is_deleted && !held_to.is_closed, "a message in a channel that takes none");
        let mut rows = outcome.tables.memberships.values();
        let is_admin = rows.any(|row| {
            row.channel_id == channel && row.user_id == sender && row.holds_at(id) && row.role == "admin"
        });
        assert!(is_admin || !held_to.admins_post, "a message where admins alone post");
    }
}

/// What a closed channel took was all taking back.
fn a_closed_channel_takes_nothing_new(log: &[Record], outcome: &Outcome) {
    for (offset, record) in log.iter().enumerate() {
        let command::Body::Amend(amend) = &record.body else { continue };
        let id = outcome.ids[&(offset as u64)];
        let channel = ringside_wire::channel_id(&amend.channel_id).expect("an id");
        let mut settings = outcome.tables.settings.values().filter(|row| row.channel_id == channel);
        let is_closed = settings.any(|row| row.holds_at(id) && row.is_closed);
        let mut changes = outcome.tables.changes.values();
        if is_closed && changes.any(|row| row.channel_id == channel && row.record_id == id) {
            let change = amend.change.as_ref().expect("a change");
            assert_ne!(change.operation(true).within(true), Operation::WriteClosed, "{change:?}");
        }
    }
}

/// At no record two roles of one member, or two settings of one channel.
fn one_of_each_is_in_force(outcome: &Outcome) {
    for id in outcome.ids.values() {
        let mut seen = BTreeSet::new();
        for row in outcome.tables.memberships.values().filter(|row| row.holds_at(*id)) {
            assert!(seen.insert((row.channel_id, row.user_id)), "two intervals of one member at {id}");
        }
        let mut seen = BTreeSet::new();
        for row in outcome.tables.settings.values().filter(|row| row.holds_at(*id)) {
            assert!(seen.insert(row.channel_id), "two settings of one channel at {id}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn any_death_and_any_batches_make_the_same_tables(
        log in log(),
        sizes in prop::collection::vec(1..12_usize, 1..8),
        deaths in deaths(),
    ) {
        let undisturbed = run(&log, &[1], &[]);
        is_dense(&undisturbed.tables);
        is_exactly_once(&undisturbed.tables);
        membership_decides(&log, &undisturbed);
        a_closed_channel_takes_nothing_new(&log, &undisturbed);
        one_of_each_is_in_force(&undisturbed);
        let disturbed = run(&log, &sizes, &deaths);
        prop_assert_eq!(&disturbed.ids, &undisturbed.ids);
        for due in undisturbed.due_events() {
            prop_assert!(disturbed.events.contains(&due), "an edge lacks {due:?}");
        }
        prop_assert_eq!(
            disturbed.tables.without_void_interest(),
            undisturbed.tables.without_void_interest()
        );
    }
}

#[test]
fn a_message_takes_so_many_different_emoji() {
    let time = UnixMillis(RINGSIDE_EPOCH_MS + 1_000_000);
    let (mut versions, mut ids, mut log) = (BTreeMap::new(), Vec::new(), Vec::new());
    let joining = Wish::Membership { channel: 0, user: 0, how: Standing::Added, old_version: false };
    for wish in [joining, Wish::Send { channel: 0, user: 0, client: 0, answers: None }] {
        log.push(Record { time, body: body(wish, &mut versions, &ids) });
        ids.push(MessageId::following(ids.last().copied().unwrap_or_default(), time, PARTITION));
    }
    let mut react = |emoji: usize, removed, client| {
        let reaction = Reaction { emoji: format!("e{emoji}"), removed };
        let amend = Amend {
            channel_id: id(0).into(),
            sender_id: id(0).into(),
            client_id: id(client).into(),
            message_id: ids[1].0,
            change: Some(amend::Change::Reaction(reaction)),
            ..Amend::default()
        };
        log.push(Record { time, body: command::Body::Amend(amend) });
    };
    for emoji in 0..=MESSAGE_EMOJI_MAX {
        react(emoji, false, 100 + emoji as u128);
    }
    react(0, true, 1);
    react(MESSAGE_EMOJI_MAX, false, 2);
    react(MESSAGE_EMOJI_MAX + 1, false, 3);
    for sizes in [1, 7, log.len()] {
        let tables = run(&log, &[sizes], &[]).tables;
        let standing = tables.reactions.values().filter(|row| row.to_id == MessageId::ZERO);
        let standing: BTreeSet<&str> = standing.map(|row| row.emoji.as_str()).collect();
        assert_eq!(standing.len(), MESSAGE_EMOJI_MAX);
        assert!(!standing.contains("e0") && !standing.contains("e51") && standing.contains("e50"));
        assert_eq!(tables.changes.len(), 1 + MESSAGE_EMOJI_MAX + 2, "what is refused changes nothing");
    }
}
