//! One shard's connections: a handshake, then every message sent back.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ringside_reactor::{CloseReason, ConnectionId, Handler, Io, TimerKey};
use ringside_websocket::handshake::{RequestParser, write_refusal, write_switching_protocols};
use ringside_websocket::{Connection, Event, Limits, Opcode, Role, write_close, write_frame};

/// Bytes of one message: conformance suites send 16 MiB.
pub const MESSAGE_BYTES_MAX: u32 = 16 * 1024 * 1024;

enum Phase {
    Handshake(Box<RequestParser>),
    Open(Connection),
    Closing,
}

/// A handler that echoes.
#[derive(Default)]
pub struct Echo {
    connections: HashMap<ConnectionId, Phase, RandomState>,
}

impl Handler for Echo {
    type Mail = ();

    fn opened(&mut self, _: &mut Io, connection: ConnectionId) {
        self.connections.insert(connection, Phase::Handshake(Box::new(RequestParser::new())));
    }

    fn received(&mut self, io: &mut Io, connection: ConnectionId, data: &mut [u8]) {
        let Some(phase) = self.connections.get_mut(&connection) else { return };
        let mut data = data;
        if let Phase::Handshake(parser) = phase {
            let Some(out) = io.queue(connection) else { return };
            match shake_hands(parser, data, out) {
                Ok(None) => return,
                Ok(Some(consumed)) => {
                    *phase = Phase::Open(Connection::new(
                        Role::Server,
                        Limits { max_message_bytes: MESSAGE_BYTES_MAX },
                    ));
                    data = &mut data[consumed..];
                }
                Err(()) => {
                    *phase = Phase::Closing;
                    return io.close_after_answer(connection);
                }
            }
        }
        if let Phase::Open(machine) = phase {
            let Some(out) = io.queue(connection) else { return };
            if echo(machine, data, out) {
                *phase = Phase::Closing;
                io.close_after_flush(connection);
            }
        }
    }

    fn closed(&mut self, _: &mut Io, connection: ConnectionId, _: CloseReason) {
        self.connections.remove(&connection);
    }

    fn timer(&mut self, _: &mut Io, _: TimerKey) {}

    fn mail(&mut self, _: &mut Io, (): ()) {}
}

/// Answers a request; returns how much of `data` it took, once it is whole.
fn shake_hands(parser: &mut RequestParser, data: &[u8], out: &mut Vec<u8>) -> Result<Option<usize>, ()> {
    let upgraded = match parser.receive(data) {
        Ok(None) => return Ok(None),
        Ok(Some((request, consumed))) => request.upgrade().map(|key| {
            write_switching_protocols(out, key, None);
            consumed
        }),
        Err(refusal) => Err(refusal),
    };
    upgraded.map(Some).map_err(|refusal| {
        let body = refusal.to_string();
        write_refusal(out, refusal.status(), refusal.headers(), "text/plain", body.as_bytes());
    })
}

/// Sends back what came; says whether the connection ends.
fn echo(machine: &mut Connection, data: &mut [u8], out: &mut Vec<u8>) -> bool {
    let received = machine.receive(data, &mut |event| match event {
        Event::Text(text) => write_frame(out, Opcode::Text, text, None),
        Event::Binary(bytes) => write_frame(out, Opcode::Binary, bytes, None),
        Event::Ping(payload) => write_frame(out, Opcode::Pong, payload, None),
        Event::Pong(_) => {}
        Event::Close { code, .. } => write_close(out, code, "", None),
    });
    if let Err(violation) = received {
        write_close(out, Some(violation.close_code()), "", None);
        return true;
    }
    machine.is_finished()
}
