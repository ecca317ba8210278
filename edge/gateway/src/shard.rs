//! A gateway as a reactor's handler.

use ringside_edge_protocol::ToShard;
use ringside_reactor::{CloseReason, ConnectionId, Handler, Io, TimerKey};

use crate::gateway::{Gateway, Input};
use crate::recorder::ShardRecorder;

/// A shard: its gateway, and who writes down what it takes in, if anybody does.
#[derive(Debug)]
pub struct Shard {
    gateway: Gateway,
    recorder: Option<Box<ShardRecorder>>,
}

impl Shard {
    pub fn new(gateway: Gateway, recorder: Option<ShardRecorder>) -> Self {
        Self { gateway, recorder: recorder.map(Box::new) }
    }

    fn handle(&mut self, io: &mut Io, input: Input<'_>) {
        match &mut self.recorder {
            None => self.gateway.handle(io, input),
            Some(recorder) => recorder.record(&mut self.gateway, io, input),
        }
    }
}

impl Handler for Shard {
    type Mail = ToShard;

    fn opened(&mut self, io: &mut Io, connection: ConnectionId) {
        self.handle(io, Input::Opened(connection));
    }

    fn received(&mut self, io: &mut Io, connection: ConnectionId, data: &mut [u8]) {
        self.handle(io, Input::Bytes(connection, data));
    }

    fn closed(&mut self, io: &mut Io, connection: ConnectionId, _: CloseReason) {
        self.handle(io, Input::Closed(connection));
    }

    fn timer(&mut self, io: &mut Io, timer: TimerKey) {
        self.handle(io, Input::Timer(timer));
    }

    fn mail(&mut self, io: &mut Io, mail: ToShard) {
        self.handle(io, Input::Mail(mail));
    }

    fn overflowed(&mut self, io: &mut Io, connection: ConnectionId) {
        self.handle(io, Input::Overflowed(connection));
    }

    fn turn_ended(&mut self, io: &mut Io) {
        self.handle(io, Input::TurnEnded);
    }
}
