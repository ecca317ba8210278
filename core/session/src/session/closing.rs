//! How an open connection ends: dismissed with a goodbye, silenced, failed, or closed by its peer.

use ringside_types::CloseCode;
use ringside_websocket::write_close;
use ringside_wire::event::GoodbyeReason;

use super::{Client, Session};
use crate::context::Context;
use crate::frames;
use crate::limits::{CLOSE_TIMEOUT, SLOW_CLOSE_TIMEOUT};
use crate::output::Output;

impl Client {
    /// Sends `goodbye` and a close frame; the connection ends when the peer has answered, or a while later.
    pub(super) fn dismiss(&mut self, reason: GoodbyeReason, code: CloseCode, context: &mut Context<'_>) {
        if !self.begin_close(context) {
            return;
        }
        let spread = context.host.random();
        frames::write_goodbye(context.host.queue(), context.scratch, reason, code, spread);
        context.output(Output::SetTimer(CLOSE_TIMEOUT));
    }

    /// Dismisses the client such that not one more event reaches it: nothing that is queued is sent any more, but for
    /// what the kernel has.
    pub(super) fn silence(&mut self, reason: GoodbyeReason, code: CloseCode, context: &mut Context<'_>) {
        context.host.queue().clear();
        self.dismiss(reason, code, context);
    }

    /// Closes for what the peer did wrong.
    pub(super) fn fail(&mut self, code: u16, context: &mut Context<'_>) {
        if self.begin_close(context) {
            write_close(context.host.queue(), Some(code), "", None);
        }
        context.output(Output::CloseAfterAnswer);
    }

    /// The peer's close frame: it is answered, unless it is an answer itself.
    pub(super) fn handle_close(&mut self, code: Option<u16>, context: &mut Context<'_>) {
        if self.begin_close(context) {
            write_close(context.host.queue(), code, "", None);
        }
        context.output(Output::CloseAfterFlush);
    }

    /// From here on nothing is for the client but a close frame. False: it has been sent already.
    pub(super) fn begin_close(&mut self, context: &mut Context<'_>) -> bool {
        if self.is_closing {
            return false;
        }
        self.is_closing = true;
        self.reader = None;
        context.output(Output::Leave(self.user_id));
        true
    }
}

impl Session {
    /// A peer that doesn't read won't answer a close: the reactor's linger says how long it may take to.
    pub(super) fn close_slowly(&self, context: &mut Context<'_>) {
        context.output(Output::SetTimer(SLOW_CLOSE_TIMEOUT));
        context.output(Output::CloseAfterFlush);
    }
}
