//! Serving a router over HTTP/1.1: bounded in connections and time, with TLS where it is asked for.
//!
//! A connection whose first request is for the door goes there untouched, before HTTP is spoken. On one that a proxy has
//! kept from earlier requests, hyper has read the request's head; then the head is written again for the edge.

mod wire;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

use super::door::{self, Door};
use crate::commands::Failure;
use wire::Wire;
pub(super) use wire::refusal;

/// Connections of one listener at the most; further ones wait in the kernel.
const CONNECTIONS_MAX: usize = 4_096;
/// A request's headers must be complete, and a TLS handshake done, within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's headers at the most.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// A refused accept is tried again after this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes that a peer neither takes nor acknowledges end its connection in the kernel after this long: later than ours
/// does, which knows more.
const UNREAD_CLOSE: Duration = Duration::from_secs(25);
/// Requests under way when the server stops get this long.
const GRACE: Duration = Duration::from_secs(3);

const _: () = assert!(HEADER_BYTES_MAX >= 8_192, "hyper takes no smaller buffer");

/// A port that is taken and not served yet.
pub(super) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

impl Server {
    /// Takes the port. `key` is the setting's, for the sentence that says what to do.
    pub(super) async fn bind(
        name: &str,
        key: &str,
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
    ) -> Result<Self, Failure> {
        let refused = |error: io::Error| -> Failure {
            let flag = key.replace('_', "-");
            let what = format!("the {name} can't listen on {address}: {error}");
            format!("{what}. Stop what uses the port, or choose another with --{flag}").into()
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address, tls })
    }

    /// Where it listens, with the port filled in.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` turns true; the task ends when the requests under way have.
    pub(super) fn serve(
        self,
        router: Router,
        door: Option<Door>,
        mut stop: watch::Receiver<bool>,
    ) -> JoinHandle<()> {
        let Self { listener, tls, .. } = self;
        let serving = Arc::new(Serving { tls, router, door, stop: stop.clone() });
        tokio::spawn(async move {
            let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
            loop {
                let Ok(permit) = room.clone().acquire_owned().await else { return };
                let accepted = tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => break,
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    Ok((stream, peer)) => {
                        drop(tokio::spawn(connection(stream, peer, serving.clone(), permit)));
                    }
                    // Most likely descriptors ran out: those that are open go on.
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
            drop(listener);
            let ended = async {
                let _ = room.acquire_many(CONNECTIONS_MAX as u32).await;
                if let Some(door) = &serving.door {
                    door.empty().await;
                }
            };
            if timeout(GRACE, ended).await.is_err() {
                tracing::warn!("requests were still under way when the server stopped");
            }
        })
    }
}

/// What every connection of a port shares.
struct Serving {
    tls: Option<TlsAcceptor>,
    router: Router,
    door: Option<Door>,
    stop: watch::Receiver<bool>,
}

impl Serving {
    async fn stopped(&self) {
        // The sender going away is a stop, too.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, serving: Arc<Serving>, room: OwnedSemaphorePermit) {
    // Small answers must not wait for the peer's acknowledgement.
    let _ = stream.set_nodelay(true);
    // What we closed, the kernel keeps while its peer reads nothing: it gives that up as well.
    let _ = set_tcp_user_timeout(&stream, UNREAD_CLOSE.as_millis() as u32);
    let Some(tls) = &serving.tls else { return attend(stream, peer, &serving, room).await };
    match timeout(HEADER_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => attend(stream, peer, &serving, room).await,
        Ok(Err(error)) => tracing::debug!(%error, %peer, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "a TLS handshake was not done in time"),
    }
}

/// Sends a connection through the door, or answers its requests.
async fn attend<S: AsyncRead + AsyncWrite + Unpin + Send>(
    mut stream: S,
    peer: SocketAddr,
    serving: &Serving,
    room: OwnedSemaphorePermit,
) {
    let Some(door) = &serving.door else {
        return drop(answer(Wire::new(stream, Vec::new()), peer, serving).await);
    };
    let mut first = Vec::with_capacity(HEADER_BYTES_MAX / 8);
    let knocks = tokio::select! {
        knocks = timeout(HEADER_TIMEOUT, knocks(&mut stream, &mut first)) => knocks,
        () = serving.stopped() => return,
    };
    match knocks {
        Ok(Ok(true)) => {
            drop(room);
            door.carry(stream, &first).await;
        }
        Ok(Ok(false)) => {
            if let Some((stream, request)) = answer(Wire::new(stream, first), peer, serving).await {
                drop(room);
                door.carry(stream, &request).await;
            }
        }
        Err(_) if !first.is_empty() => too_late(stream).await,
        // It went, or said nothing for too long.
        Ok(Err(_)) | Err(_) => {}
    }
}

/// Reads until it is known whether the first request is for the door.
async fn knocks(stream: &mut (impl AsyncRead + Unpin), first: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        if let Some(known) = door::is_knock(first) {
            return Ok(known);
        }
        debug_assert!(first.len() <= door::KNOCK_BYTES);
        if stream.read_buf(first).await? == 0 {
            return if first.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(false) };
        }
    }
}

/// A request that is the door's: hyper is told to let go of the connection.
#[derive(Debug, thiserror::Error)]
#[error("this request is for the door")]
struct ForTheDoor;

/// Answers requests until the connection ends, or one is for the door: then the connection comes back, with the request.
async fn answer<S: AsyncRead + AsyncWrite + Unpin + Send>(
    wire: Wire<S>,
    peer: SocketAddr,
    serving: &Serving,
) -> Option<(S, Vec<u8>)> {
    let knock = OnceLock::new();
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let is_knock = serving.door.is_some() && request.uri().path() == door::PATH;
        if is_knock {
            let _ = knock.set(written_again(&request));
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let mut router = serving.router.clone();
        async move {
            if is_knock {
                return Err(ForTheDoor);
            }
            router.call(request).await.map_err(|never| match never {})
        }
    });
    let mut connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(wire), service);
    // An error is the peer's: it went, sent what is no HTTP and was answered 400, or took too long. Or it is the door's.
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        () = serving.stopped() => None,
    };
    if ended.is_none() {
        Pin::new(&mut connection).graceful_shutdown();
        let _ = (&mut connection).await;
    }
    let parts = connection.into_parts();
    let Some(request) = knock.get() else {
        // On one that is merely kept open, an answer might be taken for the next request's.
        if matches!(ended, Some(Err(error)) if error.is_timeout()) && !parts.read_buf.is_empty() {
            too_late(parts.io.into_inner()).await;
        }
        return None;
    };
    let mut request = request.clone();
    request.extend_from_slice(&parts.read_buf);
    Some((parts.io.into_inner().into_inner(), request))
}

/// Answers a request whose head did not become complete in time.
async fn too_late(mut stream: impl AsyncWrite + Unpin) {
    let detail =
        format!("The request's headers were not complete within {} seconds.", HEADER_TIMEOUT.as_secs());
    let answer = refusal(408, "request_timeout", &detail, &[]);
    let said = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await
    };
    let _ = timeout(GRACE, said).await;
}

/// A request's head, for a second reader.
fn written_again(request: &hyper::Request<Incoming>) -> Vec<u8> {
    let mut head = format!("{} {} {:?}\r\n", request.method(), request.uri(), request.version()).into_bytes();
    for (name, value) in request.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a peer is told who says this and no more.
    async fn told(said: &str) -> String {
        let (stop, stopped) = watch::channel(false);
        let serving = Serving { tls: None, router: Router::new(), door: None, stop: stopped };
        let (mut peer, stream) = tokio::io::duplex(4_096);
        let room = Arc::new(Semaphore::new(1)).acquire_owned().await.expect("it is open");
        peer.write_all(said.as_bytes()).await.expect("it takes it");
        let mut answer = String::new();
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let (_, read) =
            tokio::join!(attend(stream, address, &serving, room), peer.read_to_string(&mut answer));
        read.expect("text");
        drop(stop);
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_is_never_complete_is_answered() {
        let answer = told("GET / HTTP/1.1\r\nHost: a").await;
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("request_timeout"), "{answer}");
        assert_eq!(told("").await, "", "who says nothing is told nothing");
        let answer = told("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 404 ") && !answer.contains("408"), "{answer}");
    }
}
