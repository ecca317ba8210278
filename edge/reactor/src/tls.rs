//! TLS of one accepted connection, on the shard's own thread: bytes of the wire in, plaintext out, and back.
//!
//! rustls is driven without its own buffers: records are decrypted where they lie in the receive buffer, and only a
//! record that came in pieces is kept. So an idle connection costs its keys and no buffer.
//!
//! Every state that rustls can be in either consumes input, produces output, or ends the loop: a peer can't make it
//! turn in place.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};

/// Bytes of a record that came in pieces, and of a handshake message over several records, kept at the most.
const PARTIAL_BYTES_MAX: usize = 64 * 1024;
/// Bytes of plaintext in one record (RFC 8446 section 5.1).
const RECORD_BYTES_MAX: usize = 16 * 1024;
/// What a record adds to its plaintext, at the most.
const RECORD_OVERHEAD_BYTES: usize = 64;

/// Why a TLS connection fails. What rustls wants to tell the peer is in the wire bytes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("TLS: {0}")]
    Protocol(#[from] rustls::Error),
    #[error("TLS: a handshake message larger than {PARTIAL_BYTES_MAX} bytes")]
    TooLarge,
}

/// What came with some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// The stream goes on.
    More,
    /// The peer has ended its side.
    Ended,
}

/// One connection's TLS.
pub(crate) struct Session {
    connection: UnbufferedServerConnection,
    partial: Vec<u8>,
    /// Handshake, alerts, key updates: to be sent before anything else.
    pub(crate) wire: Vec<u8>,
    said_goodbye: bool,
}

impl Session {
    pub(crate) fn new(config: &Arc<ServerConfig>) -> Result<Session, TlsError> {
        let connection = UnbufferedServerConnection::new(Arc::clone(config))?;
        Ok(Session { connection, partial: Vec::new(), wire: Vec::new(), said_goodbye: false })
    }

    /// Takes bytes from the wire and appends what they say to `plain`; what is owed to the peer is in `wire`.
    pub(crate) fn receive(&mut self, data: &mut [u8], plain: &mut Vec<u8>) -> Result<Received, TlsError> {
        let mut joined = std::mem::take(&mut self.partial);
        let data = if joined.is_empty() {
            data
        } else {
            joined.extend_from_slice(data);
            &mut joined[..]
        };
        let (consumed, received) = self.process(data, plain)?;
        let rest = &data[consumed..];
        if rest.len() > PARTIAL_BYTES_MAX {
            return Err(TlsError::TooLarge);
        }
        self.partial.extend_from_slice(rest);
        Ok(received)
    }

    /// How much of `data` is done with, and whether the peer's side goes on.
    fn process(&mut self, data: &mut [u8], plain: &mut Vec<u8>) -> Result<(usize, Received), TlsError> {
        let mut consumed = 0;
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(&mut data[consumed..]);
            let state = match state {
                Ok(state) => state,
                Err(error) => {
                    self.take_alert();
                    return Err(error.into());
                }
            };
            let ended = match state {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        plain.extend_from_slice(record.payload);
                    }
                    None
                }
                ConnectionState::EncodeTlsData(mut handshake) => {
                    encode(&mut self.wire, |out| handshake.encode(out))?;
                    None
                }
                ConnectionState::TransmitTlsData(transmit) => {
                    transmit.done();
                    None
                }
                ConnectionState::PeerClosed | ConnectionState::Closed => Some(Received::Ended),
                // Early data is not offered; whatever else there may be one day asks for more input.
                _ => Some(Received::More),
            };
            consumed += discard;
            if let Some(received) = ended {
                return Ok((consumed, received));
            }
        }
    }

    /// After an error rustls may have an alert for the peer.
    fn take_alert(&mut self) {
        if let UnbufferedStatus { state: Ok(ConnectionState::EncodeTlsData(mut alert)), .. } =
            self.connection.process_tls_records(&mut [])
        {
            // The connection ends either way.
            let _ = encode(&mut self.wire, |out| alert.encode(out));
        }
    }

    /// Whether there is something to say beside the handler's words.
    pub(crate) fn owes(&self, draining: bool) -> bool {
        !self.wire.is_empty() || (draining && !self.said_goodbye)
    }

    /// Appends `plain` in records to `out`; before the handshake is done nothing can be said, and nothing is.
    pub(crate) fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), TlsError> {
        // Its memory goes: an idle connection has no buffer.
        out.extend_from_slice(&std::mem::take(&mut self.wire));
        if plain.is_empty() {
            return Ok(());
        }
        self.settle(out)?;
        let UnbufferedStatus { state, .. } = self.connection.process_tls_records(&mut []);
        let ConnectionState::WriteTraffic(mut traffic) = state? else { return Ok(()) };
        for record in plain.chunks(RECORD_BYTES_MAX) {
            let before = out.len();
            out.resize(before + record.len() + RECORD_OVERHEAD_BYTES, 0);
            let written = traffic.encrypt(record, &mut out[before..]);
            let written = written.map_err(|error| match error {
                EncryptError::InsufficientSize(_) => {
                    rustls::Error::General("a record outgrew its buffer".into())
                }
                EncryptError::EncryptExhausted => rustls::Error::EncryptError,
            })?;
            out.truncate(before + written);
        }
        Ok(())
    }

    /// Appends what rustls wants to say by itself, such as its part of a key update.
    fn settle(&mut self, out: &mut Vec<u8>) -> Result<(), TlsError> {
        loop {
            let UnbufferedStatus { state, .. } = self.connection.process_tls_records(&mut []);
            match state? {
                ConnectionState::EncodeTlsData(mut message) => encode(out, |out| message.encode(out))?,
                ConnectionState::TransmitTlsData(transmit) => transmit.done(),
                _ => return Ok(()),
            }
        }
    }

    /// Appends close_notify, once.
    pub(crate) fn say_goodbye(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.said_goodbye, true) {
            return;
        }
        if self.settle(out).is_err() {
            return;
        }
        let UnbufferedStatus { state, .. } = self.connection.process_tls_records(&mut []);
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = state {
            let before = out.len();
            out.resize(before + RECORD_OVERHEAD_BYTES, 0);
            let written = traffic.queue_close_notify(&mut out[before..]).unwrap_or(0);
            out.truncate(before + written);
        }
    }
}

/// Lets rustls write to the end of `out`, which grows as it asks.
fn encode(
    out: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), TlsError> {
    let before = out.len();
    let written = match write(&mut out[before..]) {
        Err(EncodeError::InsufficientSize(needed)) => {
            out.resize(before + needed.required_size, 0);
            write(&mut out[before..])
        }
        other => other,
    };
    let written =
        written.map_err(|_| rustls::Error::General("a handshake message was not encoded".into()))?;
    out.truncate(before + written);
    Ok(())
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("partial", &self.partial.len()).finish_non_exhaustive()
    }
}
