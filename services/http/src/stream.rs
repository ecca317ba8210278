//! A connection's bytes: TCP, with TLS or without.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A connection that can be given up.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// Closing it resets it from now on. Otherwise the kernel keeps, after our close, what a peer never takes.
    fn reset_on_close(&self);
}

impl Stream for TcpStream {
    fn reset_on_close(&self) {
        // It fails on a socket that is closed already.
        let _ = self.set_zero_linger();
    }
}

impl Stream for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset_on_close(&self) {
        self.get_ref().0.reset_on_close();
    }
}

impl Stream for tokio_rustls::client::TlsStream<TcpStream> {
    fn reset_on_close(&self) {
        self.get_ref().0.reset_on_close();
    }
}

#[cfg(test)]
impl Stream for tokio::io::DuplexStream {
    fn reset_on_close(&self) {}
}
