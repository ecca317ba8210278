//! The machine on a tokio stream, for clients that are few and look at everything.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Failure, Input, Machine, Target};

/// Bytes asked of the socket at once.
const READ_BYTES: usize = 64 * 1024;
/// The upgrade has to be answered within this time.
const UPGRADE_DEADLINE: Duration = Duration::from_secs(10);

/// What a socket read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    Text(Vec<u8>),
    /// The server closed, with this code if it named one. The last of all.
    Closed(Option<u16>),
}

/// Why there is no connection, or no longer.
#[derive(Debug, Error)]
pub enum SocketError {
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The server broke the protocol or refused the upgrade.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// No answer to the upgrade in time.
    #[error("no answer to the upgrade within {} s", UPGRADE_DEADLINE.as_secs())]
    Deadline,
}

/// A connection that has been upgraded.
pub struct Socket {
    stream: TcpStream,
    machine: Machine,
    out: Vec<u8>,
    /// Bytes of `out` that the transport has taken.
    written: usize,
    incoming: VecDeque<Incoming>,
    buffer: Box<[u8]>,
}

impl Socket {
    pub async fn connect(target: &Target, token: &str, nonce: u128) -> Result<Self, SocketError> {
        let stream = timeout(UPGRADE_DEADLINE, TcpStream::connect(target.address)).await;
        let stream = stream.map_err(|_| SocketError::Deadline)??;
        stream.set_nodelay(true)?;
        let mut out = Vec::new();
        let machine = Machine::connect(&mut out, target, token, nonce);
        let buffer = vec![0; READ_BYTES].into_boxed_slice();
        let mut socket = Self { stream, machine, out, written: 0, incoming: VecDeque::new(), buffer };
        timeout(UPGRADE_DEADLINE, socket.upgrade()).await.map_err(|_| SocketError::Deadline)??;
        Ok(socket)
    }

    async fn upgrade(&mut self) -> Result<(), SocketError> {
        self.flush().await?;
        while !self.machine.is_open() {
            self.read().await?;
        }
        Ok(())
    }

    /// Queues a text message.
    pub fn queue(&mut self, text: &str) {
        self.machine.write_text(&mut self.out, text.as_bytes());
    }

    /// Queues a close frame.
    pub fn queue_close(&mut self, code: u16) {
        self.machine.write_close(&mut self.out, code);
    }

    /// Writes all that is queued. Safe to cancel: what was written is not written again.
    pub async fn flush(&mut self) -> Result<(), SocketError> {
        while self.written < self.out.len() {
            self.written += self.stream.write(&self.out[self.written..]).await?;
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Queues one text message and writes all that is queued.
    pub async fn send(&mut self, text: &str) -> Result<(), SocketError> {
        self.queue(text);
        self.flush().await
    }

    /// The next message or close. Safe to cancel: nothing that was read is lost.
    pub async fn next(&mut self) -> Result<Incoming, SocketError> {
        loop {
            if let Some(incoming) = self.incoming.pop_front() {
                return Ok(incoming);
            }
            self.read().await?;
        }
    }

    /// A message that was read already.
    pub fn take_ready(&mut self) -> Option<Incoming> {
        self.incoming.pop_front()
    }

    async fn read(&mut self) -> Result<(), SocketError> {
        // Pongs first: a read may wait for long.
        self.flush().await?;
        let count = self.stream.read(&mut self.buffer).await?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let incoming = &mut self.incoming;
        self.machine.receive(&mut self.buffer[..count], &mut self.out, &mut |input| match input {
            Input::Upgraded => {}
            Input::Text(text) => incoming.push_back(Incoming::Text(text.to_vec())),
            Input::Closed(code) => incoming.push_back(Incoming::Closed(code)),
        })?;
        Ok(())
    }
}
