//! Serving a router over HTTP/1.1: bounded in connections and time, strict in heads, with TLS where it is asked for.
//!
//! A connection whose first request is for the edge goes through the WebSocket proxy untouched, before HTTP is spoken. On one that a proxy has
//! kept from earlier requests, hyper has read the request's head; then the head is written again for the edge.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ringside_types::security::SECURITY_HEADERS;
use ringside_websocket::handshake::MAX_HEAD_BYTES;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

use crate::answers::{Authenticated, PROBLEM_JSON, problem, refusal};
use crate::connections::{ConnectionSlot, ConnectionTable, EvictionPolicy};
use crate::host::{HostError, Hosts};
use crate::stream::Stream;
use crate::websocket_proxy::{self, WebSocketProxy};
use crate::wire::Wire;
use crate::{head, rest};

/// Connections of one listener at the most.
const CONNECTIONS_MAX: usize = 4_096;
/// Connections that the kernel holds until they are accepted, as far as its own limit goes. Beyond them it drops a
/// newcomer's first packet, which comes again a second later.
const BACKLOG: u32 = 4_096;
/// A request's headers must be complete, and a TLS handshake done, within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's headers at the most; the edge takes fewer.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// A refused accept is tried again after this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes that a peer neither takes nor acknowledges end its connection in the kernel after this long: later than ours
/// does, which knows more.
const UNREAD_CLOSE: Duration = Duration::from_secs(25);
/// Requests under way when the server stops get this long.
const GRACE: Duration = Duration::from_secs(3);

const _: () = assert!(HEADER_BYTES_MAX >= 8_192, "hyper takes no smaller buffer");
const _: () =
    assert!(HEADER_BYTES_MAX > MAX_HEAD_BYTES, "the edge refuses heads that are too long for it itself");

/// A port that can't be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "the {name} can't listen on {address}: {cause}. Stop what uses the port, or choose another with --{}",
    setting.replace('_', "-")
)]
pub struct BindError {
    name: &'static str,
    setting: &'static str,
    address: SocketAddr,
    cause: io::Error,
}

/// A port that is taken and not served yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    connections: Arc<ConnectionTable>,
}

impl Server {
    /// Takes the port. `setting` is the one that names the address, for the sentence that says what to do.
    ///
    /// # Errors
    /// The port can't be had.
    pub fn bind(
        name: &'static str,
        setting: &'static str,
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
    ) -> Result<Self, BindError> {
        let refused = |cause| BindError { name, setting, address, cause };
        let listener = listen(address).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self {
            listener,
            address,
            tls,
            connections: ConnectionTable::new(CONNECTIONS_MAX, EvictionPolicy::Any),
        })
    }

    /// What its connections hold.
    pub fn connections(&self) -> &Arc<ConnectionTable> {
        &self.connections
    }

    /// Where it listens, with the port filled in.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` turns true; the task ends when the requests under way have.
    pub fn serve(
        self,
        router: Router,
        hosts: Hosts,
        proxy: Option<WebSocketProxy>,
        mut stop: watch::Receiver<bool>,
    ) -> JoinHandle<()> {
        let Self { listener, tls, connections, .. } = self;
        let serving = Arc::new(Serving { tls, router, hosts, proxy, stop: stop.clone() });
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => break,
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    Ok((stream, peer)) => {
                        let Some(slot) = connections.take(peer.ip()) else { continue };
                        drop(tokio::spawn(connection(stream, peer, serving.clone(), slot)));
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
                connections.empty().await;
                if let Some(proxy) = &serving.proxy {
                    proxy.empty().await;
                }
            };
            if timeout(GRACE, ended).await.is_err() {
                tracing::warn!("requests were still under way when the server stopped");
            }
        })
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of an earlier process in TIME_WAIT must not keep the port from us.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What every connection of a port shares.
struct Serving {
    tls: Option<TlsAcceptor>,
    router: Router,
    hosts: Hosts,
    proxy: Option<WebSocketProxy>,
    stop: watch::Receiver<bool>,
}

impl Serving {
    async fn stopped(&self) {
        // The sender going away is a stop, too.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, serving: Arc<Serving>, slot: ConnectionSlot) {
    // Small answers must not wait for the peer's acknowledgement.
    let _ = stream.set_nodelay(true);
    // What we closed, the kernel keeps while its peer reads nothing: it gives that up as well.
    let _ = set_tcp_user_timeout(&stream, UNREAD_CLOSE.as_millis() as u32);
    let Some(tls) = &serving.tls else { return attend(stream, peer, &serving, slot).await };
    let accepted = tokio::select! {
        accepted = timeout(HEADER_TIMEOUT, tls.accept(stream)) => accepted,
        () = slot.state().evicted() => return,
    };
    match accepted {
        Ok(Ok(stream)) => attend(stream, peer, &serving, slot).await,
        Ok(Err(error)) => tracing::debug!(%error, %peer, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "a TLS handshake was not done in time"),
    }
}

/// Reads the first request, and sends the connection through the proxy or answers it.
async fn attend<S: Stream>(mut stream: S, peer: SocketAddr, serving: &Serving, slot: ConnectionSlot) {
    let mut first = Vec::new();
    let read = tokio::select! {
        read = timeout(HEADER_TIMEOUT, head::read(&mut stream, &mut first, HEADER_BYTES_MAX)) => read,
        () = serving.stopped() => return,
        () = slot.state().evicted() => return stream.reset_on_close(),
    };
    match read {
        Ok(Ok(())) => {}
        Err(_) if !first.is_empty() => return too_late(stream).await,
        // It went, or said nothing for too long.
        Ok(Err(_)) | Err(_) => return,
    }
    // Boxed, so that who waits here does not take the room of what comes next.
    let upgraded = match &serving.proxy {
        Some(_) if websocket_proxy::is_upgrade(&first) => Some((stream, first)),
        _ => Box::pin(answer(stream, first, peer, serving, &slot)).await,
    };
    if let (Some(proxy), Some((stream, request))) = (&serving.proxy, upgraded) {
        drop(slot);
        Box::pin(proxy.carry(stream, peer, &request)).await;
    }
}

/// A request for the WebSocket proxy: hyper is told to let go of the connection.
#[derive(Debug, thiserror::Error)]
#[error("this request is for the WebSocket proxy")]
struct ForTheProxy;

/// Answers one request. One for the proxy is kept for it instead.
async fn respond(
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    serving: &Serving,
    slot: &ConnectionSlot,
    upgrade: &OnceLock<Vec<u8>>,
) -> Result<Response, ForTheProxy> {
    if serving.proxy.is_some() && request.uri().path() == websocket_proxy::PATH {
        let _ = upgrade.set(written_again(&request));
        return Err(ForTheProxy);
    }
    // Behind a proxy are many, whom its one address doesn't tell apart.
    let is_paced = !serving.hosts.trusted.trusts(peer.ip());
    let addressed = serving.hosts.check(request.version(), request.headers(), peer.ip());
    let is_anonymous = !request.headers().contains_key(AUTHORIZATION);
    let (request, rest) = rest::lent(request);
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    let state = slot.state();
    if is_paced && (is_anonymous || addressed.is_err()) {
        state.pace().await;
    }
    if let Err(error) = addressed {
        drop(request);
        rest.discard().await;
        return Ok(host_refusal(error));
    }
    let response = serving.router.clone().call(request).await.unwrap_or_else(|never| match never {});
    rest.discard().await;
    if response.extensions().get::<Authenticated>().is_some() {
        state.mark_authenticated();
    } else if is_paced && !is_anonymous {
        state.pace().await;
    }
    Ok(response)
}

/// Answers requests until the connection ends, or one is for the proxy: then the connection comes back, with the request.
async fn answer<S: Stream>(
    stream: S,
    first: Vec<u8>,
    peer: SocketAddr,
    serving: &Serving,
    slot: &ConnectionSlot,
) -> Option<(S, Vec<u8>)> {
    let wire = Wire::new(stream, first, slot.state().clone());
    let upgrade = OnceLock::new();
    let service = service_fn(|request| respond(request, peer, serving, slot, &upgrade));
    let mut connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(wire), service);
    // An error is the peer's: it went, sent what is no HTTP and was answered 400, or took too long. Or it is the proxy's.
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        () = serving.stopped() => None,
        () = slot.state().evicted() => {
            connection.into_parts().io.into_inner().reset_on_close();
            return None;
        }
    };
    if ended.is_none() {
        Pin::new(&mut connection).graceful_shutdown();
        let _ = (&mut connection).await;
    }
    let parts = connection.into_parts();
    let Some(request) = upgrade.get() else {
        // On one that is merely kept open, an answer might be taken for the next request's.
        if matches!(ended, Some(Err(error)) if error.is_timeout()) && !parts.read_buf.is_empty() {
            too_late(parts.io.into_inner().into_inner()).await;
        }
        return None;
    };
    let mut request = request.clone();
    request.extend_from_slice(&parts.read_buf);
    Some((parts.io.into_inner().into_inner(), request))
}

/// Refuses a request that is not for this port, or doesn't say whom it is for; the connection ends with it.
fn host_refusal(why: HostError) -> Response {
    let (status, code, detail) = match why {
        HostError::Invalid => (400, "bad_request", "A request has one `Host` line, which names the server."),
        HostError::NotAllowed => (
            421,
            "misdirected_request",
            "This port does not answer to that name; `admin_names` lists those it does.",
        ),
    };
    let headers = [("content-type", PROBLEM_JSON), ("connection", "close")];
    let mut answer = (headers, problem(status, code, detail)).into_response();
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    for (name, value) in SECURITY_HEADERS {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}

/// Answers a request whose head did not become complete in time.
async fn too_late(mut stream: impl Stream) {
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
    use crate::host::AllowedHosts;
    use tokio::io::AsyncReadExt as _;

    /// What a peer is told who says this and no more.
    async fn told(said: &str) -> String {
        let (stop, stopped) = watch::channel(false);
        let hosts = Hosts { allowed: AllowedHosts::Any, trusted: Vec::new().into() };
        let serving = Serving { tls: None, router: Router::new(), hosts, proxy: None, stop: stopped };
        let (mut peer, stream) = tokio::io::duplex(4_096);
        peer.write_all(said.as_bytes()).await.expect("it takes it");
        let mut answer = String::new();
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let slot = ConnectionTable::new(1, EvictionPolicy::Any).take(address.ip()).expect("a slot");
        let (_, read) =
            tokio::join!(attend(stream, address, &serving, slot), peer.read_to_string(&mut answer));
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
