//! Messages, and what amends them, as records for the log.

use ringside_types::authorization::Operation;
use ringside_types::{ChannelId, ErrorCode};
use ringside_wire::amendment::{Amend, Change};
use ringside_wire::command::Send;
use ringside_wire::mention;
use ringside_wire::records::{self, Origin, amend, command};

use super::Client;
use crate::context::Context;
use crate::limits::CONNECTION_COMMANDS_MAX;
use crate::output::{Output, Submission};

impl Client {
    pub(super) fn send(&mut self, id: Option<&str>, send: Send<'_>, context: &mut Context<'_>) {
        let Some(origin) = self.admit_command(id, context) else { return };
        let channel_id = send.channel_id;
        let record = records::Send {
            channel_id: channel_id.as_bytes().to_vec().into(),
            sender_id: self.user_id.as_bytes().to_vec().into(),
            client_id: send.client_id.as_bytes().to_vec().into(),
            content: send.content.into_owned(),
            content_type: records::ContentType::from(send.content_type).into(),
            reply_to: send.reply_to.map_or(0, |id| id.0),
            metadata: send.metadata.to_owned(),
            sender: Some(records::Profile::clone(&self.profile)),
            origin: Some(origin),
        };
        self.submit(id, channel_id, command::Body::Send(record), context);
    }

    pub(super) fn amend(&mut self, id: Option<&str>, amend: Amend<'_>, context: &mut Context<'_>) {
        let Some(mut origin) = self.admit_command(id, context) else { return };
        if amend.client_id.is_none() {
            // A rejection names what the client does.
            origin.frame_id = id.unwrap_or_default().into();
        }
        // Without a key of the client's own a retry is a request of its own.
        let client_id = match amend.client_id {
            Some(id) => *id.as_bytes(),
            None => {
                (u128::from(context.host.random()) << 64 | u128::from(context.host.random())).to_be_bytes()
            }
        };
        let record = records::Amend {
            channel_id: amend.channel_id.as_bytes().to_vec().into(),
            sender_id: self.user_id.as_bytes().to_vec().into(),
            client_id: client_id.to_vec().into(),
            message_id: amend.message_id.0,
            sender: Some(records::Profile::clone(&self.profile)),
            origin: Some(origin),
            // Of a text with an `@` the node says whom it names.
            mentions: matches!(&amend.change, Change::Edit(text) if !mention::may_mention(text, ""))
                .then(records::Mentions::default),
            change: Some(amend.change.into_record()),
        };
        self.submit(id, amend.channel_id, command::Body::Amend(record), context);
    }

    /// Whether one more command of the connection can go to the log, and what says where it came from.
    fn admit_command(&mut self, id: Option<&str>, context: &mut Context<'_>) -> Option<Origin> {
        let Some((slot, epoch)) = context.lease.filter(|_| !context.is_node_full()) else {
            let sentence = "The server can't take the message now; send it again with the same id.";
            context.send_error(id, ErrorCode::Unavailable, sentence, Some(1_000));
            return None;
        };
        if self.commands >= CONNECTION_COMMANDS_MAX {
            let sentence = "Too many messages of this connection wait to be acknowledged.";
            context.send_error(id, ErrorCode::RateLimited, sentence, Some(1_000));
            return None;
        }
        self.commands += 1;
        context.counts.sends += 1;
        Some(Origin { slot: u32::from(slot.0), epoch: epoch.0, ..Origin::default() })
    }

    fn submit(
        &mut self,
        id: Option<&str>,
        channel_id: ChannelId,
        body: command::Body,
        context: &mut Context<'_>,
    ) {
        let operation = match &body {
            command::Body::Amend(records::Amend { change: Some(change), .. }) => change.operation(true),
            _ => Operation::Send,
        };
        let may_mention = match &body {
            command::Body::Send(send) => mention::may_mention(&send.content, &send.metadata),
            command::Body::Amend(records::Amend { change: Some(amend::Change::Content(text)), .. }) => {
                mention::may_mention(text, "")
            }
            _ => false,
        };
        let known_member = context.host.is_member(self.user_id, channel_id);
        context.output(Output::Submit(Submission {
            frame_id: id.map(Into::into),
            user_id: self.user_id,
            channel_id,
            record: ringside_wire::encode(&records::Command { body: Some(body) }),
            known_member,
            operation,
            may_mention,
        }));
    }
}
