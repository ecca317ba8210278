//! What must be asked before a signal counts: whether its user is a member, and where its message stands.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ringside_domain::rows::Wanted;
use ringside_edge_protocol::{Said, SignalRequest};
use ringside_ports::{Channels, EngineError, MessageStore};
use ringside_types::{ChannelId, ErrorCode, MessageId};

/// A signal that may count, with the position of its message; or why it does not.
pub(crate) type Verdict = Result<u64, (ErrorCode, &'static str)>;

pub(crate) const NOT_A_MEMBER: (ErrorCode, &str) =
    (ErrorCode::NotAMember, "You are not a member of this channel.");
pub(crate) const UNAVAILABLE: (ErrorCode, &str) =
    (ErrorCode::Unavailable, "The server can't take this now; send it again.");
const ABOVE_HEAD: (ErrorCode, &str) =
    (ErrorCode::BadRequest, "`message_id` is above the channel's last message.");
const NO_MESSAGE: (ErrorCode, &str) = (ErrorCode::NotFound, "There is no such message in this channel.");

/// The message that a signal names.
pub(crate) fn message_of(said: Said) -> Option<MessageId> {
    match said {
        Said::Delivered(id) | Said::Read(id) => Some(id),
        Said::Typing | Said::StoppedTyping => None,
    }
}

/// Asks once for all of them, and judges each.
pub(crate) async fn look_up<S: MessageStore, D: Channels>(
    store: &S,
    directory: &D,
    asked: Vec<SignalRequest>,
) -> Vec<(SignalRequest, Verdict)> {
    let members = members(directory, &asked).await;
    let places = places(store, &asked).await;
    let (Ok(members), Ok(places)) = (members, places) else {
        tracing::warn!(signals = asked.len(), "receipts could not be looked up");
        return asked.into_iter().map(|signal| (signal, Err(UNAVAILABLE))).collect();
    };
    let judged = asked.into_iter().zip(members).map(|(signal, is_member)| {
        let verdict = if is_member { places.judge(&signal) } else { Err(NOT_A_MEMBER) };
        (signal, verdict)
    });
    judged.collect()
}

/// Whether each one's user is a member; the Directory is asked where the edge does not know it.
async fn members<D: Channels>(directory: &D, asked: &[SignalRequest]) -> Result<Vec<bool>, EngineError> {
    let unknown = asked.iter().filter(|signal| !signal.known_member);
    let pairs: Vec<_> = unknown.map(|signal| (signal.channel_id, signal.user_id)).collect();
    let found = if pairs.is_empty() { Vec::new() } else { directory.membership(&pairs).await? };
    let mut found = found.into_iter();
    let is_member = |signal: &SignalRequest| signal.known_member || matches!(found.next(), Some(Some(_)));
    Ok(asked.iter().map(is_member).collect())
}

/// Heads of channels, and positions of messages.
struct Places {
    heads: HashMap<ChannelId, MessageId, RandomState>,
    seqs: HashMap<(ChannelId, MessageId), u64, RandomState>,
}

async fn places<S: MessageStore>(store: &S, asked: &[SignalRequest]) -> Result<Places, EngineError> {
    let named = asked.iter().filter_map(|signal| Some((signal.channel_id, message_of(signal.said)?)));
    let records: Vec<(ChannelId, MessageId)> = named.collect();
    let channels = records.iter().map(|(channel, _)| *channel).collect();
    let loaded = store.load(&Wanted { channels, records, ..Wanted::default() }).await?;
    Ok(Places {
        heads: loaded.heads.iter().map(|head| (head.channel_id, head.last_message_id)).collect(),
        seqs: loaded.messages.iter().map(|row| ((row.channel_id, row.message_id), row.seq)).collect(),
    })
}

impl Places {
    fn judge(&self, signal: &SignalRequest) -> Verdict {
        let Some(id) = message_of(signal.said) else { return Ok(0) };
        // Rows come before their head: what is above it is not there yet.
        if self.heads.get(&signal.channel_id).is_none_or(|head| id > *head) {
            return Err(ABOVE_HEAD);
        }
        self.seqs.get(&(signal.channel_id, id)).copied().ok_or(NO_MESSAGE)
    }
}
