//! Every frame of the WebSocket: which way it goes, and the schema of its payload. `/asyncapi.json` is made of this table, and
//! a test sends or receives each with a client that is not ours.

/// A frame: its type, what it is, the schema of its payload (empty: any).
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) kind: &'static str,
    pub(super) summary: &'static str,
    pub(super) payload: &'static str,
}

const fn frame(kind: &'static str, payload: &'static str, summary: &'static str) -> Frame {
    Frame { kind, summary, payload }
}

pub(super) const COMMANDS: &[Frame] = &[
    frame("message.send", "MessageSend", "Send a message. `id` is its idempotency key, a UUID."),
    frame("message.edit", "MessageEditing", "Edit one's message. Done once for an `id` that is a UUID."),
    frame(
        "message.delete",
        "MessageNamed",
        "Delete a message: own, or as an admin. Done once for an `id` that is a UUID.",
    ),
    frame(
        "reaction.add",
        "MessageReaction",
        "React to a message, which takes 50 different emoji. Done once for an `id` that is a UUID.",
    ),
    frame("reaction.remove", "MessageReaction", "Take it back. Done once for an `id` that is a UUID."),
    frame("message.delivered", "MessageNamed", "Everything up to this message came to a device."),
    frame("message.read", "MessageNamed", "Everything up to this message is read."),
    frame("typing.start", "ChannelNamed", "One types; said again while one goes on."),
    frame("typing.stop", "ChannelNamed", "One types no more."),
    frame("presence.set", "PresenceSet", "What this connection says of being there."),
    frame("presence.subscribe", "PresenceUsers", "Be told of these users."),
    frame("presence.unsubscribe", "PresenceUsers", "Be told of them no more."),
    frame("sync", "SyncAsked", "Ask for what was missed, channel by channel."),
    frame("auth", "TokenRenewal", "Live on with a new access token."),
    frame("ping", "", "Ask for a `pong` with the same payload."),
];

/// What the server sends.
pub(super) const EVENTS: &[Frame] = &[
    frame("hello", "Hello", "The first frame."),
    frame("message.ack", "Ack", "The log holds the request durably."),
    frame(
        "message.rejected",
        "Rejected",
        "Acknowledged, then refused: membership or a right was lost in between, there is no such message, or it takes no \
         further emoji (`bad_request`).",
    ),
    frame("message.new", "Message", "A new message, in the channel's one order."),
    frame("message.updated", "MessageUpdated", "A message was edited: as it is now."),
    frame("message.deleted", "MessageDeleted", "A message was deleted."),
    frame("message.pinned", "MessagePinChanged", "A message was pinned."),
    frame("message.unpinned", "MessagePinChanged", "A message is pinned no longer."),
    frame(
        "message.hidden",
        "MessageHidden",
        "Something changed in a message from before one joined, in a channel that hides those from joiners: the \
         change's number, and nothing else. Live and in `sync.page`.",
    ),
    frame("reaction.updated", "ReactionUpdated", "Somebody reacted, or took it back."),
    frame("message.status", "MessageStatus", "How far a member has come."),
    frame("typing.update", "TypingUpdate", "Who types now, each for six seconds."),
    frame("presence.update", "Presence", "Somebody came, went, or says something else."),
    frame(
        "notification",
        "Notification",
        "Something came while one was away, in a channel that is not muted.",
    ),
    frame("channel.created", "ChannelChanged", "A channel was made, the caller in it."),
    frame("channel.updated", "ChannelChanged", "A channel's name, topic, description or settings changed."),
    frame("channel.deleted", "ChannelChanged", "A channel is gone."),
    frame("channel.member_added", "MemberChanged", "Someone became a member."),
    frame("channel.member_removed", "MemberChanged", "Someone is a member no longer."),
    frame("channel.member_updated", "MemberChanged", "A member's role is another."),
    frame("sync.page", "SyncPage", "A part of what was missed."),
    frame("sync.done", "SyncDone", "All of what was missed has been sent."),
    frame("auth.ok", "AuthOk", "The connection lives on."),
    frame("pong", "", "The answer to `ping`."),
    frame("goodbye", "Goodbye", "Before a close that the server starts."),
    frame("error", "Error", "A command was refused; `id` names it."),
];
