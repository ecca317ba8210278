//! Commands on their way to the log: order, refusals, limits, answers.

mod support;

use ringside_application::backend::{AuthorizeAnswer, BackendError, SenderAnswer};
use ringside_application::policy::ChannelPolicy;
use ringside_edge_protocol::{ConnectionRef, Outcome, Submission, ToNode, ToShard};
use ringside_node::{Completion, Question};
use ringside_ports::channels::{ChannelKind, Role};
use ringside_ports::presence::JointDecision;
use ringside_types::authorization::Operation;
use ringside_types::{ErrorCode, Limits, Topic};
use ringside_wire::mention::Mentions;
use ringside_wire::records::{self, Membership, MembershipKind, command, control};
use support::{CHANNEL, TestNode, submission, texts, user};

const OPEN: ChannelPolicy = ChannelPolicy {
    version: 1,
    kind: ChannelKind::Group,
    slow_mode_s: 0,
    admins_post: false,
    is_closed: false,
};

/// Answers the question about senders alike for each of their commands.
fn answer_senders(
    test: &mut TestNode,
    access: &Result<Option<(Role, ChannelPolicy)>, BackendError>,
    repeated: &Result<bool, BackendError>,
) {
    answer_with(test, access, |count| repeated.clone().map(|repeated| vec![repeated; count]));
}

/// The same, with an answer about the repetitions among so many commands.
fn answer_with(
    test: &mut TestNode,
    access: &Result<Option<(Role, ChannelPolicy)>, BackendError>,
    repetitions: impl Fn(usize) -> Result<Vec<bool>, BackendError>,
) {
    let (question, asked) = test.question();
    let sender = |sender: ringside_application::backend::SenderRequest| SenderAnswer {
        access: access.clone(),
        are_repetitions: repetitions(sender.commands.len()),
        named: Ok(Vec::new()),
    };
    let senders = asked.senders.into_iter().map(sender).collect();
    test.complete(Completion::Authorized(question, Ok(AuthorizeAnswer { senders, ..Default::default() })));
}

/// A node with a member of a channel that restricts nobody.
fn with_member() -> (TestNode, ConnectionRef) {
    let mut test = TestNode::holding();
    let connection = test.connect(1, 4, &[CHANNEL]);
    send(&mut test, connection, "first");
    answer_senders(&mut test, &Ok(Some((Role::Member, OPEN))), &Ok(false));
    drop_presence(&mut test);
    test.confirm_append();
    test.deliveries();
    (test, connection)
}

/// A node where messages cost something, with a member of a channel.
fn with_limit() -> (TestNode, ConnectionRef) {
    let mut test = TestNode::with(Limits { messages_per_second: 1, ..Limits::default() });
    test.hold();
    let connection = test.connect(1, 4, &[CHANNEL]);
    drop_presence(&mut test);
    (test, connection)
}

fn drop_presence(test: &mut TestNode) {
    while test.effects().contains(&"append presence") {
        test.effect(|effect| match effect {
            ringside_node::Effect::Append(ringside_node::Batch::Presence(_), _) => Ok(()),
            other => Err(other.into()),
        });
    }
}

fn send(test: &mut TestNode, connection: ConnectionRef, id: &str) {
    let submission = submission(test, connection, 1, id);
    test.request(ToNode::Submit(submission));
}

/// A message with a text that may mention somebody.
fn naming(test: &TestNode, connection: ConnectionRef, id: &str, text: &str) -> Submission {
    let send = records::Send {
        content: text.into(),
        metadata: r#"{"mentions":["channel"]}"#.into(),
        ..records::Send::default()
    };
    with_record(test, connection, id, command::Body::Send(send))
}

/// A change of a message's text that may mention somebody.
fn edit(test: &TestNode, connection: ConnectionRef, id: &str, text: &str) -> Submission {
    let change = Some(records::amend::Change::Content(text.into()));
    let amend = records::Amend { change, ..records::Amend::default() };
    let submission = with_record(test, connection, id, command::Body::Amend(amend));
    Submission { operation: Operation::EditOwn, ..submission }
}

fn with_record(test: &TestNode, connection: ConnectionRef, id: &str, body: command::Body) -> Submission {
    let record = ringside_wire::encode(&records::Command { body: Some(body) });
    Submission { record, may_mention: true, ..submission(test, connection, 1, id) }
}

/// Answers the question about one sender with these members, and returns the names asked about.
fn answer_names(test: &mut TestNode, named: Result<&[(&str, u128)], &str>) -> Vec<String> {
    let (question, asked) = test.question();
    let [sender] = &asked.senders[..] else { panic!("not one sender: {:?}", asked.senders) };
    let of = |(name, number): &(&str, u128)| (name.to_string(), user(*number));
    let named = named.map(|named| named.iter().map(of).collect());
    let answer = SenderAnswer {
        access: Ok(Some((Role::Member, OPEN))),
        are_repetitions: Ok(vec![false; sender.commands.len()]),
        named: named.map_err(|error| BackendError(error.into())),
    };
    let answered = AuthorizeAnswer { senders: vec![answer], ..Default::default() };
    test.complete(Completion::Authorized(question, Ok(answered)));
    asked.senders[0].names.clone()
}

/// Whom the one command that goes to the log mentions, by number, and whether everyone; `None`: it does not say.
fn mentioned(test: &mut TestNode) -> Option<(Vec<u128>, bool)> {
    let appended = test.confirm_append();
    let [append] = &appended[..] else { panic!("not one command: {appended:?}") };
    let command: records::Command = ringside_wire::decode(append.payload.clone()).expect("a command");
    let mentions = match command.body.expect("a body") {
        command::Body::Send(send) => Mentions::in_metadata(&send.metadata),
        command::Body::Amend(amend) => Mentions::from_record(&amend.mentions?).expect("ids"),
        other => panic!("no text: {other:?}"),
    };
    let number = |user: &ringside_types::UserId| user.0.as_u128();
    Some((mentions.users.iter().map(number).collect(), mentions.everyone))
}

fn code(outcome: &Outcome) -> Option<ErrorCode> {
    match outcome {
        Outcome::Acknowledged => None,
        Outcome::Refused { code, .. } => Some(*code),
    }
}

#[test]
fn one_append_is_under_way_and_what_comes_meanwhile_makes_the_next() {
    let (mut test, connection) = with_member();
    for id in ["a", "b", "c"] {
        send(&mut test, connection, id);
    }
    assert_eq!(test.effects(), ["append commands"]);
    assert_eq!(texts(&test.confirm_append(), Topic::MessagesSend), ["a"]);
    assert_eq!(texts(&test.confirm_append(), Topic::MessagesSend), ["b", "c"]);
    let told = test.deliveries();
    let [(0, ToShard::Answers(answers))] = &told[..] else { panic!("not one message: {told:?}") };
    let ids: Vec<&str> = answers.iter().filter_map(|answer| answer.frame_id.as_deref()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert!(answers.iter().all(|answer| answer.outcome == Outcome::Acknowledged));
}

#[test]
fn what_the_log_does_not_confirm_is_unavailable() {
    let (mut test, connection) = with_member();
    send(&mut test, connection, "a");
    test.refuse_append();
    assert_eq!(code(&test.answers()[0].1), Some(ErrorCode::Unavailable));
    send(&mut test, connection, "b");
    test.confirm_append();
    assert_eq!(test.answers()[0].1, Outcome::Acknowledged, "the next one goes");
}

#[test]
fn what_a_sender_sends_while_they_are_asked_about_waits_behind() {
    let mut test = TestNode::holding();
    let connection = test.connect(1, 4, &[CHANNEL]);
    drop_presence(&mut test);
    for id in ["a", "b"] {
        send(&mut test, connection, id);
    }
    // One that names somebody is asked about anew, and everything behind it waits.
    test.request(ToNode::Submit(naming(&test, connection, "c", "@ada")));
    send(&mut test, connection, "d");
    answer_senders(&mut test, &Ok(Some((Role::Member, OPEN))), &Ok(false));
    assert_eq!(texts(&test.confirm_append(), Topic::MessagesSend), ["a", "b"]);
    answer_senders(&mut test, &Ok(Some((Role::Member, OPEN))), &Ok(false));
    let appended = test.confirm_append();
    assert_eq!((appended.len(), texts(&appended[1..], Topic::MessagesSend)), (2, vec!["d".to_owned()]));
    send(&mut test, connection, "e");
    assert_eq!(texts(&test.confirm_append(), Topic::MessagesSend), ["e"], "nobody is asked any more");
}

#[test]
fn the_backend_s_word_decides() {
    let closed = ChannelPolicy { is_closed: true, kind: ChannelKind::Dm, ..OPEN };
    let quiet = ChannelPolicy { admins_post: true, ..OPEN };
    fn away<T>() -> Result<T, BackendError> {
        Err(BackendError("away".into()))
    }
    let table = [
        ("a member", Ok(Some((Role::Member, OPEN))), Ok(false), true, None),
        ("no member", Ok(None), Ok(false), true, Some(ErrorCode::NotAMember)),
        ("admins alone post", Ok(Some((Role::Member, quiet))), Ok(false), true, Some(ErrorCode::Forbidden)),
        ("an admin", Ok(Some((Role::Admin, quiet))), Ok(false), true, None),
        ("a closed DM", Ok(Some((Role::Member, closed))), Ok(false), true, Some(ErrorCode::Forbidden)),
        ("a retry of one removed", Ok(None), Ok(true), true, None),
        ("perhaps a retry of one removed", Ok(None), away(), true, Some(ErrorCode::Unavailable)),
        ("perhaps a retry of a member", Ok(Some((Role::Member, OPEN))), away(), true, None),
        ("nobody answers, a member", away(), away(), true, None),
        ("nobody answers, a stranger", away(), away(), false, Some(ErrorCode::Unavailable)),
    ];
    for (case, access, repeated, known_member, expected) in table {
        let mut test = TestNode::holding();
        let connection = test.connect(2, 4, &[]);
        drop_presence(&mut test);
        let asked = Submission { known_member, ..submission(&test, connection, 1, "a") };
        test.request(ToNode::Submit(asked));
        answer_senders(&mut test, &access, &repeated);
        if expected.is_none() {
            assert_eq!(test.effects(), ["append commands"], "{case}");
            test.confirm_append();
        }
        let answers = test.answers();
        assert_eq!(answers.len(), 1, "{case}");
        assert_eq!(code(&answers[0].1), expected, "{case}");
    }
}

#[test]
fn retries_behind_one_that_is_asked_about_are_asked_about_too() {
    let mut test = TestNode::holding();
    let connection = test.connect(2, 4, &[]);
    drop_presence(&mut test);
    for id in ["a", "b"] {
        send(&mut test, connection, id);
    }
    answer_senders(&mut test, &Ok(None), &Ok(false));
    let answers = test.answers();
    assert_eq!(answers.len(), 1, "only the first was asked about");
    assert_eq!(code(&answers[0].1), Some(ErrorCode::NotAMember));
    answer_senders(&mut test, &Ok(None), &Ok(true));
    assert_eq!(texts(&test.confirm_append(), Topic::MessagesSend), ["b"]);
    assert_eq!(test.answers()[0].1, Outcome::Acknowledged);
}

#[test]
fn what_control_closes_meanwhile_is_asked_about_again() {
    let mut test = TestNode::holding();
    let connection = test.connect(1, 4, &[CHANNEL]);
    drop_presence(&mut test);
    send(&mut test, connection, "a");
    let quiet = ChannelPolicy { admins_post: true, version: 2, ..OPEN };
    answer_with(&mut test, &Ok(Some((Role::Member, quiet))), |_| Ok(Vec::new()));
    assert_eq!(test.answers(), [], "nobody has said whether it is a retry");
    answer_senders(&mut test, &Ok(Some((Role::Member, quiet))), &Ok(true));
    assert_eq!(texts(&test.confirm_append(), Topic::MessagesSend), ["a"]);
}

#[test]
fn changes_of_messages_wait_for_nobody_where_the_channel_is_unknown() {
    let mut test = TestNode::holding();
    let connection = test.connect(1, 4, &[CHANNEL]);
    drop_presence(&mut test);
    let edit = Submission { operation: Operation::EditOwn, ..submission(&test, connection, 1, "edit") };
    test.request(ToNode::Submit(edit));
    assert_eq!(test.effects(), ["append commands"]);
}

#[test]
fn tokens_are_taken_for_a_batch_and_those_without_are_refused() {
    let (mut test, connection) = with_limit();
    for id in ["a", "b", "c"] {
        send(&mut test, connection, id);
    }
    answer_senders(&mut test, &Ok(Some((Role::Member, OPEN))), &Ok(false));
    let (question, asked) = test.question();
    assert!(matches!(&question, Question::Charges(batch) if batch.len() == 3));
    assert_eq!(
        asked.charges.iter().map(Vec::len).collect::<Vec<_>>(),
        [2, 2, 2],
        "of the user and the channel"
    );
    let charges = vec![
        JointDecision::Granted,
        JointDecision::Refused { charge: 0, retry_after_ms: 900 },
        JointDecision::Granted,
    ];
    test.complete(Completion::Authorized(question, Ok(AuthorizeAnswer { charges, ..Default::default() })));
    assert_eq!(texts(&test.confirm_append(), Topic::MessagesSend), ["a", "c"]);
    let answers = test.answers();
    let refused = answers.iter().find(|(id, _)| id == "b").expect("answered");
    assert!(matches!(
        refused.1,
        Outcome::Refused { code: ErrorCode::RateLimited, retry_after_ms: Some(900), .. }
    ));
}

#[test]
fn without_their_engine_limits_suffer_and_messages_do_not() {
    let (mut test, connection) = with_limit();
    send(&mut test, connection, "a");
    answer_senders(&mut test, &Ok(Some((Role::Member, OPEN))), &Ok(false));
    let (question, _) = test.question();
    test.complete(Completion::Authorized(question, Err(BackendError("away".into()))));
    test.confirm_append();
    assert_eq!(test.answers()[0].1, Outcome::Acknowledged);
}

#[test]
fn slow_mode_is_charged_with_the_message() {
    let mut test = TestNode::holding();
    let connection = test.connect(1, 4, &[CHANNEL]);
    drop_presence(&mut test);
    send(&mut test, connection, "a");
    let slow = ChannelPolicy { slow_mode_s: 30, ..OPEN };
    answer_senders(&mut test, &Ok(Some((Role::Member, slow))), &Ok(false));
    let (question, asked) = test.question();
    assert!(matches!(question, Question::Charges(_)));
    assert_eq!(asked.charges[0].last().map(|charge| charge.tokens), Some(30));
}

#[test]
fn one_batch_is_charged_at_a_time_and_the_next_after_its_append() {
    let (mut test, connection) = with_limit();
    let charged = |test: &mut TestNode, decision| {
        assert_eq!(test.effects(), ["ask charges"]);
        let (question, _) = test.question();
        let answered = AuthorizeAnswer { charges: vec![decision], ..Default::default() };
        test.complete(Completion::Authorized(question, Ok(answered)));
    };
    send(&mut test, connection, "a");
    answer_senders(&mut test, &Ok(Some((Role::Member, OPEN))), &Ok(false));
    send(&mut test, connection, "b");
    charged(&mut test, JointDecision::Refused { charge: 0, retry_after_ms: 900 });
    charged(&mut test, JointDecision::Granted);
    send(&mut test, connection, "c");
    assert_eq!(test.effects(), ["append commands"]);
    assert_eq!(
        texts(&test.confirm_append(), Topic::MessagesSend),
        ["b"],
        "nothing is left of the refused one"
    );
    charged(&mut test, JointDecision::Granted);
    assert_eq!(texts(&test.confirm_append(), Topic::MessagesSend), ["c"]);
}

#[test]
fn so_many_senders_are_asked_about_at_once() {
    let mut test = TestNode::holding();
    let connection = test.connect(1, 4, &[]);
    for number in 0..1_024 {
        let submission = submission(&test, connection, number, "a");
        test.request(ToNode::Submit(submission));
    }
    let behind = submission(&test, connection, 0, "behind");
    test.request(ToNode::Submit(behind));
    assert_eq!(test.answers(), []);
    let more = submission(&test, connection, 1_024, "more");
    test.request(ToNode::Submit(more));
    let answers = test.answers();
    assert_eq!((answers.len(), code(&answers[0].1)), (1, Some(ErrorCode::Unavailable)));
}

#[test]
fn so_many_commands_wait_for_the_log() {
    let (mut test, connection) = with_member();
    for _ in 0..=65_536 {
        send(&mut test, connection, "a");
    }
    assert_eq!(test.answers(), [], "one is under way");
    send(&mut test, connection, "more");
    assert_eq!(
        test.answers().iter().map(|(id, outcome)| (&**id, code(outcome))).collect::<Vec<_>>(),
        [("more", Some(ErrorCode::Unavailable))]
    );
    assert_eq!(test.confirm_append().len(), 1);
    assert_eq!(test.confirm_append().len(), 4_096, "in one append");
}

#[test]
fn a_member_who_was_mentioned_is_known_and_a_stranger_asked_about_each_time() {
    let (mut test, connection) = with_member();
    test.request(ToNode::Submit(naming(&test, connection, "a", "@ada @Bob @eve")));
    assert_eq!(answer_names(&mut test, Ok(&[("bob", 3), ("ada", 2)])), ["ada", "bob", "eve"]);
    assert_eq!(mentioned(&mut test), Some((vec![2, 3], false)));
    test.request(ToNode::Submit(naming(&test, connection, "b", "@bob and @channel")));
    assert_eq!(mentioned(&mut test), Some((vec![3], true)), "nobody is asked");
    test.request(ToNode::Submit(edit(&test, connection, "c", "@ada")));
    assert_eq!(mentioned(&mut test), Some((vec![2], false)), "for a change neither");
    test.request(ToNode::Submit(naming(&test, connection, "d", "@eve @ada")));
    assert_eq!(answer_names(&mut test, Ok(&[])), ["eve"]);
    assert_eq!(mentioned(&mut test), Some((vec![2], false)));
    test.request(ToNode::Submit(naming(&test, connection, "e", "ada@example.org")));
    assert_eq!(
        mentioned(&mut test),
        Some((vec![], false)),
        "an address names nobody, whatever metadata claims"
    );
}

#[test]
fn who_has_left_is_asked_about_again() {
    let left = |version, channel| {
        control::Body::Membership(Membership {
            channel_id: channel,
            version,
            kind: MembershipKind::Removed.into(),
            members: vec![records::Member {
                user_id: user(2).as_bytes().to_vec().into(),
                role: "member".into(),
            }],
            ..Membership::default()
        })
    };
    let here = || CHANNEL.as_bytes().to_vec().into();
    let (mut test, connection) = with_member();
    test.request(ToNode::Submit(naming(&test, connection, "a", "@ada")));
    answer_names(&mut test, Ok(&[("ada", 2)]));
    assert_eq!(mentioned(&mut test), Some((vec![2], false)));
    test.control(left(7, here()));
    test.request(ToNode::Submit(naming(&test, connection, "b", "@ada")));
    // They leave once more before the answer is here, which may be of before.
    test.control(left(9, here()));
    assert_eq!(answer_names(&mut test, Ok(&[("ada", 2)])), ["ada"]);
    assert_eq!(mentioned(&mut test), Some((vec![2], false)));
    test.request(ToNode::Submit(naming(&test, connection, "c", "@ada")));
    assert_eq!(answer_names(&mut test, Ok(&[])), ["ada"]);
    assert_eq!(mentioned(&mut test), Some((vec![], false)));
}

#[test]
fn a_message_goes_without_mentions_where_they_can_t_be_had_and_an_edited_one_keeps_its_own() {
    let (mut test, connection) = with_member();
    test.request(ToNode::Submit(naming(&test, connection, "a", "@ada")));
    answer_names(&mut test, Err("away"));
    assert_eq!(mentioned(&mut test), Some((vec![], false)));
    test.request(ToNode::Submit(edit(&test, connection, "b", "@ada")));
    answer_names(&mut test, Err("away"));
    assert_eq!(mentioned(&mut test), None);
    test.request(ToNode::Submit(naming(&test, connection, "c", "@ada")));
    assert_eq!(answer_names(&mut test, Ok(&[("ada", 2)])), ["ada"], "nothing was learned");
}

#[test]
fn what_waits_behind_a_sender_s_first_names_goes_with_the_answer() {
    let (mut test, connection) = with_member();
    for id in ["a", "b"] {
        test.request(ToNode::Submit(naming(&test, connection, id, "@ada")));
    }
    assert_eq!(answer_names(&mut test, Ok(&[("ada", 2)])), ["ada"]);
    assert_eq!(test.confirm_append().len(), 2, "nobody is asked again");
}
