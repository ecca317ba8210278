//! What clients saw, written down by themselves: the only evidence that the checker looks at.
//!
//! A history holds no opinion. Every client appends a [`Record`] for each frame that it sent or read, with the time of one
//! clock that all clients of the run share and the generation of the connection it happened on. At the end the final
//! history of each channel is read over REST, by more than one member.

use ringside_test_client::amendment::{Amendment, Change};
use ringside_test_client::cursor::{Cursor, Unread};
use ringside_test_client::eviction::Eviction;
use ringside_test_client::websocket::Message;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Everything that one run left behind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    /// The seed that the run's decisions came from.
    pub seed: u64,
    /// The channels of the run, with their final contents.
    pub channels: Vec<ChannelHistory>,
    /// One entry for each client (a device: several may belong to one user).
    pub clients: Vec<ClientHistory>,
    /// Clients that are evicted and readmitted; they are not among the members.
    #[serde(default, rename = "guests")]
    pub evicted_clients: Vec<ClientHistory>,
    /// From then on the server was not killed any more; none: not known.
    #[serde(default)]
    pub undisturbed_from_us: Option<u64>,
}

/// A channel and what it held at the end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelHistory {
    pub channel_id: Uuid,
    /// User ids of the members; constant over a run.
    pub members: Vec<Uuid>,
    /// The whole channel as members read it after everything was quiet.
    pub readings: Vec<FinalReading>,
    /// All its changes, from a last sync that asked for them from the first one; none: they were not to be had.
    #[serde(default)]
    pub changes: Option<Vec<Change>>,
    /// What each member was told of cursors and unread messages after everything was quiet.
    #[serde(default, rename = "standings")]
    pub final_cursors: Vec<FinalCursors>,
}

/// How far the members of a channel have come in the end, as one of them sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FinalCursors {
    /// The member who asked.
    pub reader: Uuid,
    /// The list of receipts.
    pub cursors: Vec<Cursor>,
    /// What the reader has not read, by the list of channels; none: the channel was not in it.
    pub listed: Option<Unread>,
    /// The same by `sync.done`.
    pub synced: Option<Unread>,
}

/// One member's reading of a whole channel over REST.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FinalReading {
    /// The member who read.
    pub reader: Uuid,
    /// Oldest first.
    pub messages: Vec<SeenMessage>,
    /// Messages that are pinned; none: not asked.
    #[serde(default)]
    pub pins: Option<Vec<u64>>,
}

/// One client's own records, in the order in which they happened to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientHistory {
    /// Number of the client in the run.
    pub client: u32,
    /// Whose device it is.
    pub user_id: Uuid,
    /// Whether its last sync ended with `sync.done` after all sending had stopped: then it must have seen everything.
    pub settled: bool,
    /// What happened, in order.
    pub records: Vec<Record>,
}

/// One event of one client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Microseconds since the start of the run, on the clock of all clients.
    pub at_us: u64,
    /// Which connection of this client: 1, 2, 3 …
    pub connection: u32,
    pub event: Event,
}

/// What can happen to a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// `hello` was read.
    Opened,
    /// The connection ended, for whatever reason.
    Closed {
        /// The close code, when the server sent one.
        code: Option<u16>,
    },
    /// A `message.send` was handed to the socket. A retry is another such record with the same `client_id`.
    Sent { channel: Uuid, client_id: Uuid, content: String },
    /// A change of a message was asked for; answered like a message that is sent. A retry is another such record.
    Asked {
        channel: Uuid,
        client_id: Uuid,
        message_id: u64,
        #[serde(rename = "wish")]
        amendment: Amendment,
    },
    /// `message.ack` was read, or a 2xx over REST.
    Acked { channel: Uuid, client_id: Uuid },
    /// An attempt was refused for certain: an `error` other than `unavailable` and `internal`.
    Refused { channel: Uuid, client_id: Uuid, code: String },
    /// `message.rejected` was read: the channel did not take what had been acknowledged.
    Rejected { channel: Uuid, client_id: Uuid, code: String },
    /// `unavailable` or `internal`: whether this attempt was stored is unknown.
    Unconfirmed { channel: Uuid, client_id: Uuid },
    /// `message.new` was read.
    New { channel: Uuid, message: SeenMessage },
    /// `message.delivered` or `message.read` was handed to the socket.
    Receipt {
        channel: Uuid,
        /// The frame's id, which a refusal names.
        frame_id: Uuid,
        /// Up to which message.
        message_id: u64,
        /// Whether it was read.
        is_read: bool,
    },
    /// A receipt was refused for certain.
    ReceiptRefused { frame_id: Uuid, code: String },
    /// `message.status` was read.
    Status {
        channel: Uuid,
        /// Whose, and how far.
        cursor: Cursor,
    },
    /// The list of receipts was read over REST.
    Receipts {
        channel: Uuid,
        /// When it was asked for; the record's own time is the answer's.
        asked_us: u64,
        /// One for each member.
        cursors: Vec<Cursor>,
    },
    /// The list of channels was read over REST.
    Listed {
        /// When it was asked for.
        asked_us: u64,
        /// What is unread of each.
        channels: Vec<Unread>,
    },
    /// A numbered change was read.
    Changed { channel: Uuid, change: Change },
    /// A `sync` was handed to the socket.
    SyncSent {
        /// Channels asked for, each with the last message id known to the client.
        channels: Vec<(Uuid, Option<u64>)>,
        /// The last change known, likewise.
        #[serde(default)]
        changes: Vec<(Uuid, u64)>,
    },
    /// `sync.page` was read.
    Page {
        channel: Uuid,
        /// Oldest first.
        messages: Vec<SeenMessage>,
        /// In the order of their numbers.
        #[serde(default)]
        changes: Vec<Change>,
        has_more: bool,
        /// Whether the client has to forget what it had.
        reset: bool,
    },
    /// `sync.done` was read.
    SyncDone {
        /// Each channel with the `last_seq` that the server named.
        channels: Vec<(Uuid, u64)>,
        /// And with its `last_change`.
        #[serde(default)]
        changes: Vec<(Uuid, u64)>,
        /// And with its `unread_count`.
        #[serde(default)]
        unread: Vec<(Uuid, u64)>,
    },
    /// The server answered that the user is not a member, to a sync.
    SyncRefused {
        /// Of which channel, where the answer names it.
        channel: Option<Uuid>,
    },
    /// The request that removed the user from this channel, or (without one) ended the session, was answered.
    #[serde(rename = "shut_out")]
    Evicted {
        channel: Option<Uuid>,
        #[serde(rename = "way")]
        eviction: Eviction,
    },
    /// The request that undoes an eviction is about to be made.
    #[serde(rename = "let_in")]
    Readmitted { channel: Option<Uuid> },
    /// Something that the contract does not allow, kept as text.
    Malformed {
        /// What was read, and why it makes no sense.
        detail: String,
    },
}

/// A message as some client saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenMessage {
    /// Given by the server; increases with `seq`.
    pub message_id: u64,
    /// Number in the channel.
    pub seq: u64,
    /// The sender's idempotency key.
    pub client_id: Uuid,
    /// The user who sent it.
    pub sender: Uuid,
    /// What it says; empty in a tombstone.
    pub content: String,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// Whether it was ever edited.
    #[serde(default)]
    pub edited: bool,
}

impl From<Message> for SeenMessage {
    fn from(message: Message) -> Self {
        Self {
            message_id: message.message_id,
            seq: message.seq,
            client_id: message.client_id,
            sender: message.sender.id,
            content: message.content,
            deleted: message.deleted,
            edited: message.edited_at.is_some(),
        }
    }
}
