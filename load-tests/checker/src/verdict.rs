//! What the checker finds: which invariant is broken, in what way, by whose record, and how much evidence there was.

use std::collections::HashMap;
use std::fmt;

use ringside_test_client::eviction::Eviction;
use uuid::Uuid;

/// Violations of one kind that are kept with their context; a broken server easily makes millions, and the first ones of
/// each kind tell the story.
pub const MAX_REPORTED_PER_FAULT: usize = 10;

/// The invariants, by their number in the testing rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// 1: every stored message appears exactly once in the final history.
    StoredOnce,
    /// 2: nothing appears that was not sent.
    NothingInvented,
    /// 3: (channel, seq) is one message for everyone.
    OneMessagePerSeq,
    /// 4: each reader sees increasing seq, all subsequences of one dense order.
    OneOrder,
    /// 5: ack(A) before send(B) by one sender implies seq(A) < seq(B).
    AckOrdersSends,
    /// 6: reads never go backwards, over reconnects too.
    ReadsAdvance,
    /// 7: sync returns exactly the suffix, or an explicit reset.
    SyncIsSuffix,
    /// 8: N retries, one message.
    RetriesCollapse,
    /// 9: no event reaches a removed member or a revoked session later than a bound.
    SilentAfterRemoval,
    /// 10: edits and deletions converge.
    ChangesConverge,
    /// 10: read cursors never regress.
    CursorsGrow,
    /// 10, what follows from cursors: unread is the last seq less the seq read last.
    UnreadIsArithmetic,
}

impl Invariant {
    /// The number in the testing rules.
    pub fn number(self) -> u8 {
        match self {
            Self::StoredOnce => 1,
            Self::NothingInvented => 2,
            Self::OneMessagePerSeq => 3,
            Self::OneOrder => 4,
            Self::AckOrdersSends => 5,
            Self::ReadsAdvance => 6,
            Self::SyncIsSuffix => 7,
            Self::RetriesCollapse => 8,
            Self::SilentAfterRemoval => 9,
            Self::ChangesConverge | Self::CursorsGrow | Self::UnreadIsArithmetic => 10,
        }
    }
}

/// What exactly went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Acknowledged, never refused, and absent from the final history.
    LostAcknowledged,
    /// Seen by a client, absent from the final history.
    LostSeen,
    /// Twice in the final history.
    DoubledInHistory,
    /// `seq` of the final history is not 1, 2, 3 …, or ids do not increase with it.
    HistoryNotDense,
    /// Two members read different final histories.
    ReadingsDiffer,
    /// Nobody sent this, or not so.
    Phantom,
    /// Every attempt was refused, yet it appears.
    RefusedAppears,
    /// Somebody who is no member saw it.
    ForeignReader,
    /// A frame that the contract does not allow.
    Malformed,
    /// One (channel, seq) with two messages.
    SequenceConflict,
    /// One message id with two meanings, or ids that do not increase with seq.
    IdConflict,
    /// `message.new` twice on one connection.
    DuplicateLive,
    /// `message.new` with a seq below the one before it.
    Reordered,
    /// `message.new` that skips a seq on one connection.
    Gap,
    /// A later send got a lower seq than one already acknowledged.
    CausalityBroken,
    /// A sync ended below what was already seen before it began.
    StaleRead,
    /// The first page does not follow what the client had.
    NotTheSuffix,
    /// A hole between or within the pages of one sync.
    HoleInSync,
    /// `sync.done` names what no page brought, or leaves a channel out; or a settled client has not seen all.
    SyncIncomplete,
    /// One idempotency key, two messages.
    RetryDoubled,
    /// A message that had been seen was refused to its sender, who sent it again without being a member any more.
    RetryRefused,
    /// A deleted message came back.
    DeletionUndone,
    /// One (channel, change) with two meanings.
    ChangeConflict,
    /// A change came live twice, or below one that had come.
    DoubledChange,
    /// A number of `change` is missing from a stream or a sync.
    GapInChanges,
    /// A settled client never saw a change.
    LostChange,
    /// An acknowledged edit, deletion, reaction or pin is not in the final state, and nothing later took its place.
    LostAmendment,
    /// What a client put together is not what REST says.
    ViewDiverges,
    /// A reaction's count is not that of its changes, or not everybody's.
    ReactionDiverges,
    /// An event reached an evicted client after the bound.
    EventAfterRemoval,
    /// A cursor fell below what had been told of it.
    CursorRegressed,
    /// A cursor names no message of its channel, or one above its head.
    CursorAstray,
    /// A cursor stands where none of its user's devices had said it was.
    CursorInvented,
    /// Read further than delivered.
    ReadNotDelivered,
    /// A cursor ends below what was told, or below a receipt that can't have been lost.
    CursorLost,
    /// Two members are told different cursors in the end.
    CursorsDiffer,
    /// A receipt of a message that was there was refused.
    ReceiptRefused,
    /// An unread count is not what a recount finds.
    UnreadWrong,
}

/// One violation, with what is needed to look for its cause.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The rule that is broken.
    pub invariant: Invariant,
    /// How it is broken.
    pub fault: Fault,
    /// The channel, where the rule is about one.
    pub channel: Option<Uuid>,
    /// By whose record (number of the client and of its connection).
    pub witness: Option<(u32, u32)>,
    /// When, in µs since the start of the run.
    pub at_us: Option<u64>,
    /// Ids, numbers and values, for people.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {} {:?}: {}", self.invariant.number(), self.fault, self.detail)?;
        if let Some(channel) = self.channel {
            write!(f, " [channel {channel}]")?;
        }
        if let Some((client, connection)) = self.witness {
            write!(f, " [client {client}, connection {connection}]")?;
        }
        if let Some(at_us) = self.at_us {
            write!(f, " [at {}.{:06} s]", at_us / 1_000_000, at_us % 1_000_000)?;
        }
        Ok(())
    }
}

/// How much evidence there was: a verdict over nothing is worth nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Distinct messages that clients tried to send.
    pub messages: u64,
    /// `message.send` frames, retries included.
    pub attempts: u64,
    /// Messages acknowledged at least once.
    pub acknowledged: u64,
    /// Messages never acknowledged and never seen by anyone: whether they were stored stayed unknown.
    pub unknown: u64,
    /// Messages of the final histories.
    pub stored: u64,
    /// `message.new` frames read.
    pub live: u64,
    /// Messages read in `sync.page`s.
    pub synced: u64,
    /// Syncs that ended with `sync.done`.
    pub syncs: u64,
    /// Pages with `reset`.
    pub resets: u64,
    /// Connections that read `hello`.
    pub connections: u64,
    /// Requests for edits, deletions, reactions and pins, each counted once.
    pub amendments: u64,
    /// Changes in the final histories.
    pub changes: u64,
    /// Evictions, in the order of [`Eviction::ALL`].
    pub evictions: [u64; Eviction::ALL.len()],
    /// `message.delivered` and `message.read` sent.
    pub receipts: u64,
    /// Cursors told, by `message.status` and by lists.
    pub cursors: u64,
    /// Unread counts told, each counted anew.
    pub unread: u64,
}

/// What [`check`](crate::check) found.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The first [`MAX_REPORTED_PER_FAULT`] of each fault.
    pub violations: Vec<Violation>,
    /// How often each fault was found, those not kept included.
    pub faults: HashMap<Fault, u64>,
    /// The amount of evidence.
    pub counts: Counts,
}

impl Verdict {
    /// Whether no invariant was broken.
    pub fn holds(&self) -> bool {
        self.violations.is_empty()
    }

    pub(crate) fn add(&mut self, violation: Violation) {
        let found = self.faults.entry(violation.fault).or_insert(0);
        *found += 1;
        if *found <= MAX_REPORTED_PER_FAULT as u64 {
            self.violations.push(violation);
        }
    }
}
