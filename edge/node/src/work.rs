//! Reads and appends that run beside the node's task, and what they report back.

pub(crate) mod admission;

use ringside_application::mentions::{in_text, with_mentions};
use ringside_application::presence_view::PresenceView;
use ringside_clock::now;
use ringside_domain::feed::{GapRange, Turn};
use ringside_domain::page::ChannelPage;
use ringside_domain::rows::{Key, KeyRow, Wanted};
use ringside_domain::seat::FENCE;
use ringside_edge_protocol::{AdmitRefusal, ConnectionRef, SignalRequest};
use ringside_ports::EngineError;
use ringside_ports::log::Append;
use ringside_ports::{Accounts, Channels, Log, MessageStore, Presence};
use ringside_session::heartbeat::PROBE_DEADLINE;
use ringside_types::authorization::Operation;
use ringside_types::{ChannelId, Epoch, PartitionId, Slot, Topic, UserId, partition_of};
use ringside_wire::records::{
    Amend, ChannelTurn, Command, Control, Effective, Joins, Leaves, Tick, amend, command, control,
};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::outbound::Sending;
use crate::pages::{PageRead, read_gap, read_page};
use crate::presence::Moved;
use crate::presence::attention::Absent;
use crate::requests::admissions::Applicant;
use crate::runner::Engines;
use crate::signals::lookup::{self, Verdict};
use crate::standards::{Standard, Standing};
use admission::{Admission, admit};

/// The pause before a failed gap read or append of joins is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// What it takes, beyond a probe's deadline, until Presence counts a silent connection no more.
const PROBE_MARGIN: Duration = Duration::from_millis(300);

/// What a piece of work came to.
pub(crate) enum Done {
    Admission(Applicant, Result<Admission, AdmitRefusal>),
    /// The connections of this user that did not answer are gone.
    Probed(UserId),
    /// Joins and leaves are in the log, up to this batch of them.
    Turns(u64),
    Page(PageRead, Result<Box<ChannelPage>, EngineError>),
    Gap(GapRange, Vec<Effective>),
    /// What channels hold their senders to.
    Learned(Vec<(ChannelId, Standard)>),
    /// The Directory's word on a sender and on what the channel holds them to, and the messages that waited for it.
    Checked(UserId, ChannelId, Result<Standing, EngineError>, Vec<Sending>),
    /// What the engines say of receipts and signs of typing.
    LookedUp(Vec<(SignalRequest, Verdict)>),
    /// Receipts and signs of typing are in the log.
    Signals,
    /// Presence has counted a change.
    Moved(Moved),
    /// A connection has said what it wished to, or could not.
    PresenceSet(ConnectionRef, UserId, Option<Box<str>>, Result<Moved, EngineError>),
    /// A connection of this user is not counted any more.
    Went(UserId, Moved),
    /// What connections see of those whom they watch.
    Looked(Vec<(ConnectionRef, PresenceView)>),
    /// Who is away, and wants to be notified how.
    LookedForAbsent(Absent),
    /// When users went is written.
    Noted,
    /// All edges are told of changes.
    PresenceTold,
    /// The Directory's word on a reader whom the edge does not know as a member.
    Reader(PageRead, Result<bool, EngineError>),
    Nothing,
}

pub(crate) async fn admission<L, S: MessageStore, D: Accounts + Channels, P: Presence>(
    engines: Engines<L, S, D, P>,
    applicant: Applicant,
    limit: u32,
) -> Done {
    let Engines { store, directory, presence, .. } = &engines;
    Done::Admission(applicant, admit(store, directory, presence, applicant.counted, limit).await)
}

/// Waits until a probe is over: the answer's deadline, and what it takes to end a connection that gave none.
pub(crate) async fn probe(user: UserId) -> Done {
    tokio::time::sleep(PROBE_DEADLINE + PROBE_MARGIN).await;
    Done::Probed(user)
}

pub(crate) async fn page<L, S: MessageStore, D: Accounts, P>(
    engines: Engines<L, S, D, P>,
    request: PageRead,
) -> Done {
    Done::Page(request, read_page(&engines.store, &engines.directory, request).await.map(Box::new))
}

/// Reads a gap until it succeeds: nothing of the channel can be delivered before.
pub(crate) async fn gap<L, S: MessageStore, D: Accounts, P>(
    engines: Engines<L, S, D, P>,
    range: GapRange,
) -> Done {
    loop {
        match read_gap(&engines.store, &engines.directory, range).await {
            Ok(found) => return Done::Gap(range, found),
            Err(error) => {
                tracing::warn!(%error, channel = %range.channel_id, "reading a gap failed; trying again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// Asks the Directory what channels hold their senders to. Where it can't say, the first message to each asks again.
pub(crate) async fn standards<L, S, D: Channels, P>(
    engines: Engines<L, S, D, P>,
    wanted: Vec<ChannelId>,
) -> Done {
    let channels = engines.directory.channels(&wanted).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "what channels hold their senders to could not be looked up");
        Vec::new()
    });
    Done::Learned(channels.iter().map(|channel| (channel.id, channel.into())).collect())
}

/// Asks the Directory who a sender is, and whom their messages name; and the store which of them it has already, where
/// that matters.
pub(crate) async fn check<L, S: MessageStore, D: Accounts + Channels, P>(
    engines: Engines<L, S, D, P>,
    user: UserId,
    channel: ChannelId,
    mut sendings: Vec<Sending>,
) -> Done {
    let answer = async {
        let membership = engines.directory.membership(&[(channel, user)]).await?;
        let Some(Some(member)) = membership.first() else { return Ok(None) };
        let channels = engines.directory.channels(&[channel]).await?;
        Ok(channels.first().map(|channel| (member.role, Standard::from(channel))))
    };
    let answer = answer.await;
    if !matches!(&answer, Ok(Some((_, standard))) if standard.is_open_to(Operation::Send)) {
        find_repetitions(&engines.store, &mut sendings).await;
    }
    for sending in sendings.iter_mut().filter(|sending| sending.may_mention) {
        name_the_mentioned(&engines.directory, sending).await;
    }
    Done::Checked(user, channel, answer, sendings)
}

/// Marks the messages that the store has: a retry is acknowledged like the first, though its sender was removed, or would
/// have to wait in slow mode. Where the store can't say, they are judged anew.
async fn find_repetitions<S: MessageStore>(store: &S, sendings: &mut [Sending]) {
    let key = |sending: &Sending| match ringside_wire::decode(sending.record.clone()) {
        Ok(Command { body: Some(command::Body::Send(send)) }) => Key::of(&send).ok(),
        _ => None,
    };
    let keys: Vec<_> = sendings.iter().map(key).collect();
    let wanted = Wanted { keys: keys.iter().flatten().copied().collect(), ..Wanted::default() };
    let Ok(loaded) = store.load(&wanted).await else { return };
    let now = now();
    for (sending, key) in sendings.iter_mut().zip(keys) {
        let is_made = |row: &KeyRow| Some(row.key) == key && row.is_current(now);
        sending.is_repetition = loaded.keys.iter().any(is_made);
    }
}

/// Puts into the record of a message, or of an edit, whom its text names. A message is worth more than its mentions: where
/// they can't be had, it goes without, and an edited one keeps those that it has.
async fn name_the_mentioned<D: Accounts + Channels>(directory: &D, sending: &mut Sending) {
    let Ok(Command { body: Some(mut body) }) = ringside_wire::decode(sending.record.clone()) else { return };
    let channel = sending.channel_id;
    let named = match &mut body {
        command::Body::Send(send) => {
            let named = with_mentions(directory, channel, &send.content, &send.metadata).await;
            named.map(|metadata| metadata.map(|metadata| send.metadata = metadata))
        }
        command::Body::Amend(Amend { change: Some(amend::Change::Content(text)), mentions, .. }) => {
            let named = in_text(directory, channel, text).await;
            named.map(|named| {
                *mentions = Some(named.to_record());
                Some(())
            })
        }
        _ => return,
    };
    match named {
        Ok(Some(())) => sending.record = ringside_wire::encode(&Command { body: Some(body) }),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "whom a message mentions could not be looked up"),
    }
}

pub(crate) async fn reader<L, S, D: Channels, P>(engines: Engines<L, S, D, P>, request: PageRead) -> Done {
    let answer = engines.directory.membership(&[(request.read.channel_id, request.user_id)]).await;
    Done::Reader(request, answer.map(|members| matches!(members.first(), Some(Some(_)))))
}

/// Appends joins and leaves until the log has them, one record for the many channels of a partition. Batches run one
/// after the other, so that a leave never overtakes the join before it.
pub(crate) async fn turns<L: Log, S, D, P>(
    engines: Engines<L, S, D, P>,
    slot: Slot,
    epoch: Epoch,
    turns: Vec<Turn>,
    number: u64,
) -> Done {
    let appends = turn_records(slot, epoch, &turns, engines.log.partitions(Topic::MessagesSend));
    loop {
        match engines.log.append(appends.clone()).await {
            Ok(_) => return Done::Turns(number),
            Err(error) => {
                tracing::warn!(%error, "the log did not confirm joins; trying again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}

fn turn_records(slot: Slot, epoch: Epoch, turns: &[Turn], partitions: u16) -> Vec<Append> {
    let mut per_partition: BTreeMap<u16, (Vec<ChannelTurn>, Vec<ChannelTurn>)> = BTreeMap::new();
    for turn in turns {
        let (joins, leaves) = per_partition.entry(partition_of(turn.channel_id, partitions).0).or_default();
        let list = if turn.leaves { leaves } else { joins };
        list.push(ChannelTurn { channel_id: turn.channel_id.as_bytes().to_vec().into(), n: turn.n });
    }
    let (slot, epoch) = (u32::from(slot.0), epoch.0);
    let mut appends = Vec::new();
    for (partition, (joins, leaves)) in per_partition {
        let mut append = |body| {
            let payload = ringside_wire::encode(&Command { body: Some(body) });
            appends.push(Append { topic: Topic::MessagesSend, partition: PartitionId(partition), payload });
        };
        // A channel that left and was joined again in one batch: the leave names the lower number, and goes first.
        if !leaves.is_empty() {
            append(command::Body::Leaves(Leaves { slot, epoch, channels: leaves }));
        }
        if !joins.is_empty() {
            append(command::Body::Joins(Joins { slot, epoch, channels: joins }));
        }
    }
    appends
}

pub(crate) async fn look_up<L, S: MessageStore, D: Channels, P>(
    engines: Engines<L, S, D, P>,
    asked: Vec<SignalRequest>,
) -> Done {
    Done::LookedUp(lookup::look_up(&engines.store, &engines.directory, asked).await)
}

/// Appends receipts and signs of typing until the log has them: nobody repeats them.
pub(crate) async fn signals<L: Log, S, D, P>(engines: Engines<L, S, D, P>, appends: Vec<Append>) -> Done {
    while let Err(error) = engines.log.append(appends.clone()).await {
        tracing::warn!(%error, "the log did not confirm receipts; trying again");
        tokio::time::sleep(RETRY_PAUSE).await;
    }
    Done::Signals
}

/// Appends a tick. One that is not confirmed by the time it could have opened the fence is given up.
pub(crate) async fn tick<L: Log>(log: L, tick: Tick) {
    let payload = ringside_wire::encode(&Control { body: Some(control::Body::Tick(tick)) });
    let append = Append { topic: Topic::Control, partition: PartitionId(0), payload };
    match tokio::time::timeout(FENCE, log.append(vec![append])).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the log did not confirm this edge's tick"),
        Err(_) => tracing::warn!("the log did not answer this edge's tick in time"),
    }
}
