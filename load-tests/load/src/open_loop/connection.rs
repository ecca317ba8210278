//! One connection of a worker: a non-blocking stream, the machine, and what waits to be written.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use ringside_test_client::websocket::{Failure, Input, Machine, Target};

/// Bytes that may wait for a server that doesn't read; beyond it the connection is given up.
const MAX_QUEUED_BYTES: usize = 8 * 1024 * 1024;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum EndReason {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Failure(#[from] Failure),
    #[error("the server closed with {0:?}")]
    Closed(Option<u16>),
    #[error("the server ended the connection")]
    EndOfStream,
    #[error("the server does not read: {MAX_QUEUED_BYTES} bytes wait")]
    Stuck,
}

/// What one read brought.
pub(super) struct ReadOutcome {
    pub bytes: usize,
    pub frames: u64,
}

pub(super) struct AgentConnection {
    pub stream: TcpStream,
    machine: Machine,
    out: Vec<u8>,
    written: usize,
    /// Whether epoll has been asked to tell when there is room again.
    pub watches_room: bool,
    /// Whether it is counted as open: `hello` was read, or the upgrade is done where none is awaited.
    pub is_open: bool,
    /// Whether it lies in the worker's list of connections to flush.
    pub is_dirty: bool,
    pub has_ended: bool,
}

impl AgentConnection {
    /// Connects and queues the upgrade.
    pub(super) fn open(target: &Target, token: &str, nonce: u128) -> io::Result<Self> {
        let stream = TcpStream::connect(target.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut out = Vec::new();
        let machine = Machine::connect(&mut out, target, token, nonce);
        Ok(Self {
            stream,
            machine,
            out,
            written: 0,
            watches_room: false,
            is_open: false,
            is_dirty: false,
            has_ended: false,
        })
    }

    pub(super) fn queue(&mut self, text: &[u8]) {
        self.machine.write_text(&mut self.out, text);
    }

    pub(super) fn has_upgraded(&self) -> bool {
        self.machine.is_open()
    }

    /// Writes what the socket takes. True when nothing is left.
    pub(super) fn flush(&mut self) -> Result<bool, EndReason> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.out.len() - self.written > MAX_QUEUED_BYTES {
                        return Err(EndReason::Stuck);
                    }
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        // Thousands of connections: an idle one keeps no buffer.
        self.out = Vec::new();
        self.written = 0;
        Ok(true)
    }

    pub(super) fn has_queued(&self) -> bool {
        self.written < self.out.len()
    }

    /// Reads once into the worker's buffer and gives every text message to the sink.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<Option<ReadOutcome>, EndReason> {
        let bytes = match self.stream.read(buffer) {
            Ok(0) => return Err(EndReason::EndOfStream),
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let mut frames = 0;
        let mut closed = None;
        self.machine.receive(&mut buffer[..bytes], &mut self.out, &mut |input| match input {
            Input::Upgraded => {}
            Input::Text(text) => {
                frames += 1;
                sink(text);
            }
            Input::Closed(code) => closed = Some(code),
        })?;
        match closed {
            Some(code) => Err(EndReason::Closed(code)),
            None => Ok(Some(ReadOutcome { bytes, frames })),
        }
    }
}
