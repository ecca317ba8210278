//! The WebSocket proxy: `/ws` behind the API's port, so that one line of a reverse proxy is enough.
//!
//! It judges nothing. The bytes go to the edge as they came, and the edge's come back as they are: whoever connects here
//! sees exactly what the edge would have shown, its refusals included. Where TLS is on, the way to the edge is TLS as
//! well, to our own certificate and no other.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::answers::refusal;
use crate::connections::{ConnectionTable, EvictionPolicy};
use crate::stream::Stream;

/// The path that is proxied.
pub const PATH: &str = "/ws";
/// Proxied connections at the most, beside those of the API.
pub const CONNECTIONS_MAX: usize = 8_192;
/// Bytes held for one direction of a connection; what waits beyond them waits in the sender's kernel.
const BUFFER_BYTES: usize = 8 * 1024;
/// The edge must be reached within this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Once the edge has ended a connection, the client gets this long to end it, too.
const LINGER: Duration = Duration::from_secs(5);
/// A reader that takes nothing for this long is cut off. The edge's own patience is shorter: it says goodbye first.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How the edge's answer begins to who may come in.
const LET_IN: &[u8] = b"HTTP/1.1 101 ";

/// Whether a request that begins so asks for [`PATH`].
pub(crate) fn is_upgrade(request: &[u8]) -> bool {
    let method_len = request.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let target = request[method_len..].strip_prefix(b" ");
    let behind = target.and_then(|target| target.strip_prefix(PATH.as_bytes()));
    behind.is_some_and(|behind| behind.first().is_some_and(|next| b" ?#\r\n".contains(next)))
}

/// Who is behind each connection of the proxy, by its address at the edge, which sees ours alone. There are as many as
/// connections. A clone is another handle.
#[derive(Clone, Debug, Default)]
pub struct Callers(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// By the number of their connection, too: the kernel may give an address to the next one before it is forgotten.
    callers: HashMap<SocketAddr, (u64, IpAddr)>,
    connections: u64,
}

/// One of them, as long as its connection lasts.
struct Caller<'a> {
    callers: &'a Callers,
    ours: SocketAddr,
    connection: u64,
}

impl Callers {
    /// Who is at the other end of a connection that the edge has from this address.
    pub fn behind(&self, peer: SocketAddr) -> IpAddr {
        let peer = canonical(peer);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.callers.get(&peer).map_or(peer.ip(), |(_, caller)| *caller)
    }

    fn add(&self, ours: SocketAddr, caller: IpAddr) -> Caller<'_> {
        let ours = canonical(ours);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.connections += 1;
        let connection = known.connections;
        known.callers.insert(ours, (connection, caller));
        Caller { callers: self, ours, connection }
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        let mut known = self.callers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.callers.get(&self.ours).is_some_and(|(connection, _)| *connection == self.connection) {
            known.callers.remove(&self.ours);
        }
    }
}

/// As both ends write it.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The way to the edge.
pub struct WebSocketProxy {
    edge: SocketAddr,
    tls: Option<TlsConnector>,
    callers: Callers,
    connections: Arc<ConnectionTable>,
}

impl WebSocketProxy {
    /// To the edge that listens on this address.
    pub fn new(edge: SocketAddr, tls: Option<TlsConnector>, callers: Callers) -> Self {
        let here: IpAddr = match edge.ip() {
            address if !address.is_unspecified() => address,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let connections = ConnectionTable::new(CONNECTIONS_MAX, EvictionPolicy::UnauthenticatedOnly);
        Self { edge: SocketAddr::new(here, edge.port()), tls, callers, connections }
    }

    /// What its connections hold.
    pub fn connections(&self) -> &Arc<ConnectionTable> {
        &self.connections
    }

    /// Waits until no connection is proxied any more.
    pub(crate) async fn empty(&self) {
        self.connections.empty().await;
    }

    /// Carries a connection whose first bytes are `first`, to its end.
    pub(crate) async fn carry<S: Stream>(&self, mut client: S, peer: SocketAddr, first: &[u8]) {
        let Some(slot) = self.connections.take(peer.ip()) else {
            return refuse(&mut client, "There are as many connections as this port takes; try again soon.")
                .await;
        };
        let reached = timeout(CONNECT_TIMEOUT, self.reach(peer)).await;
        // Its caller is known until the edge's connection, which is declared after it, is closed.
        let (_caller, edge) = match reached.unwrap_or_else(|slow| Err(slow.into())) {
            Ok(reached) => reached,
            Err(error) => {
                tracing::warn!(%error, "the edge could not be reached from the API's port");
                return refuse(&mut client, "The server can't let you in now; try again soon.").await;
            }
        };
        let ended = tokio::select! {
            ended = relay(&mut client, edge, first, || slot.state().mark_authenticated()) => ended,
            () = slot.state().evicted() => Err(io::ErrorKind::ConnectionReset.into()),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection through the door ended early");
            client.reset_on_close();
        }
    }

    /// A connection to the edge, which knows from the first byte on who is behind it.
    async fn reach(&self, peer: SocketAddr) -> io::Result<(Caller<'_>, Box<dyn Stream>)> {
        let edge = TcpStream::connect(self.edge).await?;
        let caller = self.callers.add(edge.local_addr()?, peer.ip());
        // Frames must not wait for each other.
        edge.set_nodelay(true)?;
        match &self.tls {
            None => Ok((caller, Box::new(edge))),
            Some(tls) => {
                let name = ServerName::IpAddress(self.edge.ip().into());
                Ok((caller, Box::new(tls.connect(name, edge).await?)))
            }
        }
    }
}

async fn refuse(client: &mut (impl AsyncWrite + Unpin), detail: &str) {
    let answer = refusal(503, "unavailable", detail, &[("retry-after", "2")]);
    let told = async {
        client.write_all(&answer).await?;
        client.shutdown().await
    };
    // Whoever doesn't take it has gone.
    let _ = timeout(LINGER, told).await;
}

/// Both directions, each until its sender's end, which is passed on. `let_in` is called once the edge has said yes: it has
/// seen a token then.
async fn relay<C, E>(client: C, edge: E, first: &[u8], let_in: impl FnOnce()) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite,
    E: AsyncRead + AsyncWrite,
{
    let (from_client, mut to_client) = split(client);
    let (mut from_edge, mut to_edge) = split(edge);
    give(&mut to_edge, first).await?;
    let up = pump(from_client, to_edge);
    let down = async move {
        let mut answer = Vec::with_capacity(BUFFER_BYTES);
        from_edge.read_buf(&mut answer).await?;
        if answer.starts_with(LET_IN) {
            let_in();
        }
        give(&mut to_client, &answer).await?;
        drop(answer);
        pump(from_edge, to_client).await
    };
    tokio::pin!(up, down);
    tokio::select! {
        ended = &mut up => {
            ended?;
            down.await
        }
        ended = &mut down => {
            ended?;
            // The edge is done with it; a client that never closes must not keep its slot.
            timeout(LINGER, up).await.unwrap_or(Ok(()))
        }
    }
}

/// Reads no more before what was read is taken.
async fn pump<R: AsyncRead, W: AsyncWrite>(mut from: ReadHalf<R>, mut to: WriteHalf<W>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer).await? {
            0 => return timeout(STALL_TIMEOUT, to.shutdown()).await?,
            count => give(&mut to, &buffer[..count]).await?,
        }
    }
}

async fn give<W: AsyncWrite>(to: &mut WriteHalf<W>, bytes: &[u8]) -> io::Result<()> {
    let given = async {
        to.write_all(bytes).await?;
        to.flush().await
    };
    timeout(STALL_TIMEOUT, given).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_asks_for_the_path() {
        for whole in ["GET /ws HTTP/1.1\r\n", "HEAD /ws?a=b HTTP/1.1", "POST /ws\r\n", "GET /ws\n"] {
            assert!(is_upgrade(whole.as_bytes()), "{whole}");
        }
        for other in [
            "GET / HTTP/1.1",
            "GET /wss HTTP/1.1",
            "GET /ws/ HTTP/1.1",
            "GET /w",
            "\r\nGET /ws ",
            "",
            "\x16\x03\x01",
        ] {
            assert!(!is_upgrade(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_caller_is_known_as_long_as_their_connection_lasts() {
        let callers = Callers::default();
        let ours = SocketAddr::from(([127, 0, 0, 1], 40_000));
        let caller = |last: u8| IpAddr::from([192, 0, 2, last]);
        assert_eq!(callers.behind(ours), ours.ip(), "who comes by themselves is who they are");
        let first = callers.add(ours, caller(1));
        assert_eq!(callers.behind(ours), caller(1));
        assert_eq!(callers.behind("[::ffff:127.0.0.1]:40000".parse().expect("an address")), caller(1));
        let second = callers.add(ours, caller(2));
        drop(first);
        assert_eq!(callers.behind(ours), caller(2), "the address was given anew before the first was gone");
        drop(second);
        assert_eq!(callers.behind(ours), ours.ip());
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_connection_is_kept_and_each_half_closes_by_itself() {
        let (client, outer) = tokio::io::duplex(64);
        let (inner, edge) = tokio::io::duplex(64);
        let relayed = tokio::spawn(relay(outer, inner, b"first ", || ()));
        let (mut client_read, mut client_write) = split(client);
        let (mut edge_read, mut edge_write) = split(edge);
        // Far beyond the time that a request of the API may take; nothing sleeps, the clock is turned.
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        client_write.write_all(b"hello").await.expect("taken");
        client_write.shutdown().await.expect("half closed");
        let mut text = String::new();
        edge_read.read_to_string(&mut text).await.expect("text");
        assert_eq!(text, "first hello");
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        edge_write.write_all(&[7; 100_000][..40]).await.expect("taken");
        edge_write.shutdown().await.expect("closed");
        let mut bytes = Vec::new();
        client_read.read_to_end(&mut bytes).await.expect("bytes");
        assert_eq!(bytes, [7; 40]);
        relayed.await.expect("no panic").expect("a clean end");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_taken_is_not_read_and_ends_in_time() {
        let (_client, outer) = tokio::io::duplex(64);
        let (inner, mut edge) = tokio::io::duplex(64);
        let relayed = tokio::spawn(relay(outer, inner, b"", || ()));
        let mut taken = 0;
        // The client reads nothing: three small buffers fill, and then the edge feels it.
        while timeout(Duration::from_secs(1), edge.write_all(&[0; 64])).await.is_ok() {
            taken += 64;
            assert!(taken <= BUFFER_BYTES + 1_024, "the proxy reads on");
        }
        let ended = relayed.await.expect("no panic").expect_err("cut off");
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_closes_keeps_no_slot() {
        let (_client, outer) = tokio::io::duplex(64);
        let (inner, edge) = tokio::io::duplex(64);
        let relayed = tokio::spawn(relay(outer, inner, b"", || ()));
        drop(edge);
        relayed.await.expect("no panic").expect("a clean end");
    }
}
