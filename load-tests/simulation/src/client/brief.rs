//! What happened to a client, in a line of the trace.

use ringside_checker::history::Event;
use ringside_types::ChannelId;
use uuid::Uuid;

/// An event in a line of the trace.
pub(super) fn brief(event: &Event) -> String {
    match event {
        Event::Sent { client_id, content, .. } => format!("sends {content} as {}", short(client_id)),
        Event::Asked { client_id, message_id, amendment, .. } => {
            format!("asks {amendment:?} of {message_id} as {}", short(client_id))
        }
        Event::Acked { client_id, .. } => format!("has an ack for {}", short(client_id)),
        Event::Refused { client_id, code, .. } => format!("is refused {}: {code}", short(client_id)),
        Event::Rejected { client_id, code, .. } => format!("has {} rejected: {code}", short(client_id)),
        Event::Unconfirmed { client_id, .. } => format!("does not know about {}", short(client_id)),
        Event::New { message, .. } => format!("sees {} as #{}", message.content, message.seq),
        Event::Changed { change, .. } => format!("sees change {change:?}"),
        Event::Page { messages, changes, has_more, reset, .. } => {
            let (first, last) = (messages.first().map(|it| it.seq), messages.last().map(|it| it.seq));
            format!("page #{first:?}–{last:?}, {} changes, more {has_more}, reset {reset}", changes.len())
        }
        Event::SyncDone { channels, .. } => {
            format!("sync done at {:?}", channels.iter().map(|(_, seq)| seq).collect::<Vec<_>>())
        }
        Event::SyncSent { channels, .. } => {
            format!("syncs from {:?}", channels.iter().map(|(_, last)| last).collect::<Vec<_>>())
        }
        other => format!("{other:?}"),
    }
}

/// The channel that an event is about, where it is about one.
pub(super) fn channel_of(event: &Event) -> Option<ChannelId> {
    match event {
        Event::Sent { channel, .. }
        | Event::Asked { channel, .. }
        | Event::Acked { channel, .. }
        | Event::Refused { channel, .. }
        | Event::Rejected { channel, .. }
        | Event::Unconfirmed { channel, .. }
        | Event::New { channel, .. }
        | Event::Changed { channel, .. }
        | Event::Page { channel, .. } => Some(ChannelId(*channel)),
        Event::Evicted { channel, .. } | Event::Readmitted { channel } => channel.map(ChannelId),
        _ => None,
    }
}

fn short(id: &Uuid) -> String {
    id.simple().to_string()[..8].to_owned()
}
