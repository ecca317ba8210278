//! What a session is lent for the length of a call: time, settings, and the few things that it asks its host.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use ringside_types::forwarded::TrustedProxies;
use ringside_types::{ChannelId, Epoch, ErrorCode, Limits, MessageId, Slot, UnixMillis, UserId};
use ringside_wire::event::{ErrorPayload, Event};

use crate::frames;
use crate::origins::Origins;
use crate::output::{Output, Outputs};
use crate::token::Verifier;

/// What an operator may set of a session.
#[derive(Clone, Debug)]
pub struct Settings {
    pub limits: Limits,
    /// The server pings this often, give or take a tenth, in milliseconds.
    pub heartbeat_interval_ms: u64,
    /// Whose pages may connect.
    pub origins: Origins,
    /// Proxies whose `X-Forwarded-*` headers count.
    pub trusted_proxies: TrustedProxies,
}

/// What a session asks of whoever holds its socket and knows the channels of the shard.
pub trait Host {
    /// The bytes that wait to be sent: whole frames are appended. It holds only what the kernel was not given yet, so that
    /// clearing it drops whole frames.
    fn queue(&mut self) -> &mut Vec<u8>;

    /// Bytes appended and not yet sent, those that the kernel was given included.
    fn queued_bytes(&self) -> usize;

    /// The address at the other end. May cost system calls: asked at the handshake alone.
    fn peer_address(&mut self) -> Option<IpAddr>;

    fn random(&mut self) -> u64;

    /// Whether the shard knows the user as a member of the channel.
    fn is_member(&self, user: UserId, channel: ChannelId) -> bool;

    /// The last record of the channel that the shard has seen; `None`: none yet.
    fn last_record(&self, channel: ChannelId) -> Option<MessageId>;
}

/// What sessions have done, all of a shard together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Handshakes answered with 101.
    pub upgraded: u64,
    pub frames_in: u64,
    /// Commands handed to the node.
    pub sends: u64,
    /// Errors sent.
    pub errors: u64,
    /// Frames refused because they were beyond their user's budget.
    pub rate_limited: u64,
    /// Connections closed for sending on in spite of that.
    pub policy_closes: u64,
    /// Pages of missed messages sent.
    pub pages: u64,
    /// Connections that went silent.
    pub silent: u64,
}

/// Lent to a session for one call.
pub struct Context<'a> {
    pub now: Instant,
    /// The time of day.
    pub time: UnixMillis,
    pub settings: &'a Settings,
    pub verifier: &'a Verifier,
    /// The edge's slot and tenure; `None`: it has none, and no command can be sent.
    pub lease: Option<(Slot, Epoch)>,
    /// The shard's number, for the connection's name.
    pub shard: u16,
    /// The connection's number in its shard.
    pub token: u64,
    /// Whether the edge stops: nobody comes in any more.
    pub is_draining: bool,
    /// Whether the shard holds as many connections as it may.
    pub is_full: bool,
    /// Requests for which the node has room. Outputs that wait count as if all of them were requests.
    pub node_room: usize,
    pub host: &'a mut dyn Host,
    /// The JSON of a frame, before its header is known.
    pub scratch: &'a mut Vec<u8>,
    pub counts: &'a mut Counts,
    /// What the caller is to do.
    pub outputs: &'a mut Outputs,
}

impl Context<'_> {
    /// Whether the node has no room for one more request.
    pub(crate) fn is_node_full(&self) -> bool {
        self.outputs.len() >= self.node_room
    }

    /// Queues an event, as the answer to the command `id` if there is one.
    pub(crate) fn send(&mut self, id: Option<&str>, event: &Event<'_>) {
        frames::write(self.host.queue(), self.scratch, id, event);
    }

    /// Queues `error`.
    pub(crate) fn send_error(
        &mut self,
        id: Option<&str>,
        code: ErrorCode,
        message: &str,
        retry_after_ms: Option<u64>,
    ) {
        self.send_error_payload(id, ErrorPayload { code, message, retry_after_ms, channel_id: None });
    }

    /// Queues `error` about anything.
    pub(crate) fn send_error_payload(&mut self, id: Option<&str>, payload: ErrorPayload<'_>) {
        self.counts.errors += 1;
        self.send(id, &Event::Error(payload));
    }

    /// Adds what the caller is to do.
    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push(output);
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("token", &self.token).finish_non_exhaustive()
    }
}
