//! Which edges listen to a channel: their joins and leaves by number, and the leases that count.

#[expect(dead_code, reason = "the tests of replay use the rest")]
mod support;

use ringside_types::{Epoch, RINGSIDE_EPOCH_MS, Slot, UnixMillis};
use ringside_wire::InvalidRecord;
use ringside_wire::records::{
    ChannelTurn, EpochDead, Joins, Leaves, Member, Membership, MembershipKind, command,
};
use support::{Death, Record, nth, run};
use uuid::Uuid;

const TIME: UnixMillis = UnixMillis(RINGSIDE_EPOCH_MS + 1_000_000);
const SLOT: u32 = 1;

fn turns(n: u64) -> Vec<ChannelTurn> {
    vec![ChannelTurn { channel_id: Uuid::from_u128(0).as_bytes().to_vec().into(), n }]
}

fn join(epoch: u64, n: u64) -> command::Body {
    command::Body::Joins(Joins { slot: SLOT, epoch, channels: turns(n) })
}

fn leave(epoch: u64, n: u64) -> command::Body {
    command::Body::Leaves(Leaves { slot: SLOT, epoch, channels: turns(n) })
}

fn dead(epoch: u64) -> command::Body {
    command::Body::EpochDead(EpochDead { slot: SLOT, epoch })
}

fn log(bodies: &[command::Body]) -> Vec<Record> {
    bodies.iter().map(|body| Record { time: TIME, body: body.clone() }).collect()
}

/// An edge's lease, its number, the record from which it listens (0: it has left), and the record that wrote it.
type Row = (u64, u64, u64, u64);

#[test]
fn an_edge_listens_by_its_latest_number_in_its_latest_lease() {
    // Answers: the lease, the number, the record from which it listens.
    let check = |name: &str, bodies: &[command::Body], rows: &[Row], answers: &[(u64, u64, u64)], current| {
        let log = log(bodies);
        let outcome = run(&log, &[1], &[]);
        let seen = outcome.tables.interest.values();
        let seen = seen.map(|row| (row.slot, row.epoch, row.n, row.record_id, row.stamp));
        let expected = rows.iter().map(|(epoch, n, from, by)| {
            (Slot(SLOT as u16), Epoch(*epoch), *n, nth(TIME, *from).0, nth(TIME, *by).1)
        });
        assert_eq!(seen.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{name}");
        let told = outcome.joined.iter().map(|(_, epoch, answer)| (epoch.0, answer.n, answer.joined_id));
        let expected = answers.iter().map(|(epoch, n, from)| (*epoch, *n, nth(TIME, *from).0.0));
        assert_eq!(told.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{name}");
        let slots: Vec<_> = outcome.tables.slots.values().map(|row| (row.slot.0, row.epoch.0)).collect();
        assert_eq!(slots, [(SLOT as u16, current)], "{name}");
        let again = run(&log, &[log.len(), 1], &[Some(Death::Heads)]);
        let decided_again = again.tables.without_void_interest();
        assert_eq!(decided_again, outcome.tables.without_void_interest(), "{name}: decided again");
    };
    check("joined", &[join(1, 1)], &[(1, 1, 1, 1)], &[(1, 1, 1)], 1);
    check("said again", &[join(1, 1), join(1, 1)], &[(1, 1, 1, 1)], &[(1, 1, 1), (1, 1, 1)], 1);
    check("joined anew", &[join(1, 1), join(1, 2)], &[(1, 2, 2, 2)], &[(1, 1, 1), (1, 2, 2)], 1);
    check("an earlier join comes late", &[join(1, 2), join(1, 1)], &[(1, 2, 1, 1)], &[(1, 2, 1)], 1);
    check("left", &[join(1, 1), leave(1, 1)], &[(1, 1, 0, 2)], &[(1, 1, 1)], 1);
    check("left twice", &[join(1, 1), leave(1, 1), leave(1, 1)], &[(1, 1, 0, 2)], &[(1, 1, 1)], 1);
    check("a leave overtakes its join", &[leave(1, 1), join(1, 1)], &[(1, 1, 0, 1)], &[], 1);
    check("an earlier leave comes late", &[join(1, 2), leave(1, 1)], &[(1, 2, 1, 1)], &[(1, 2, 1)], 1);
    check("a later leave ends it", &[join(1, 1), leave(1, 2)], &[(1, 2, 0, 2)], &[(1, 1, 1)], 1);
    check(
        "left and joined anew",
        &[join(1, 1), leave(1, 1), join(1, 2)],
        &[(1, 2, 3, 3)],
        &[(1, 1, 1), (1, 2, 3)],
        1,
    );
    check(
        "another lease",
        &[join(1, 5), join(2, 1)],
        &[(1, 5, 1, 1), (2, 1, 2, 2)],
        &[(1, 5, 1), (2, 1, 2)],
        2,
    );
    check("a lease that is over joins", &[join(2, 1), join(1, 5)], &[(2, 1, 1, 1)], &[(2, 1, 1)], 2);
    check("a lease that is over leaves", &[join(2, 1), leave(1, 5)], &[(2, 1, 1, 1)], &[(2, 1, 1)], 2);
    check("a dead lease", &[join(1, 1), dead(1), join(1, 2)], &[(1, 1, 1, 1)], &[(1, 1, 1)], 2);
    check("a lease dead long ago", &[join(3, 1), dead(1)], &[(3, 1, 1, 1)], &[(3, 1, 1)], 3);
}

#[test]
fn a_slot_that_there_can_not_be_is_put_aside() {
    let slot = u32::from(u16::MAX) + 1;
    let bodies = [
        command::Body::Joins(Joins { slot, epoch: 1, channels: turns(1) }),
        command::Body::Leaves(Leaves { slot, epoch: 1, channels: turns(1) }),
        command::Body::EpochDead(EpochDead { slot, epoch: 1 }),
    ];
    let outcome = run(&log(&bodies), &[bodies.len()], &[]);
    let reason = InvalidRecord::Field("slot").to_string();
    assert_eq!(outcome.dead, vec![reason; bodies.len()]);
    assert!(outcome.tables.interest.is_empty() && outcome.tables.slots.is_empty());
}

#[test]
fn events_go_to_those_who_listen_in_their_latest_lease_alone() {
    let change = || {
        let member = Member { user_id: Uuid::from_u128(9).as_bytes().to_vec().into(), role: "owner".into() };
        command::Body::Membership(Membership {
            channel_id: turns(0)[0].channel_id.clone(),
            version: 1,
            actor_id: member.user_id.clone(),
            kind: MembershipKind::Created.into(),
            members: vec![member],
            ..Membership::default()
        })
    };
    for (name, bodies, expected) in [
        ("nobody has joined", vec![], &[][..]),
        ("joined", vec![join(1, 1)], &[1]),
        ("left", vec![join(1, 1), leave(1, 1)], &[]),
        ("joined in two leases", vec![join(1, 1), join(2, 1)], &[2]),
        ("dead", vec![join(1, 1), dead(1)], &[]),
    ] {
        let bodies = [bodies, vec![change()]].concat();
        let outcome = run(&log(&bodies), &[1], &[]);
        let told: Vec<_> = outcome.events.iter().map(|(_, epoch, ..)| epoch.0).collect();
        assert_eq!(told, expected, "{name}");
    }
}

#[test]
fn what_is_left_of_a_lease_that_is_over_is_deleted_when_it_is_read() {
    let log = log(&[join(1, 1), join(2, 1)]);
    for (death, left) in [(None, &[1, 2][..]), (Some(Death::Progress), &[2])] {
        let outcome = run(&log, &[1], &[None, death]);
        let epochs: Vec<_> = outcome.tables.interest.keys().map(|(_, _, epoch)| epoch.0).collect();
        assert_eq!(epochs, left, "{death:?}");
    }
}

/// Its rows are there when it is decided again, and the edge still waits.
#[test]
fn a_join_that_a_crash_left_unanswered_is_answered() {
    for death in [Death::Rows, Death::Heads, Death::Edges] {
        let outcome = run(&log(&[join(1, 1)]), &[1], &[Some(death)]);
        let told: Vec<_> = outcome.joined.iter().map(|(_, _, answer)| (answer.n, answer.joined_id)).collect();
        assert_eq!(told, [(1, nth(TIME, 1).0.0)], "{death:?}");
    }
}
