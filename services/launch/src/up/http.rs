//! Serving a router over HTTP/1.1: bounded in connections and time, with TLS where it is asked for.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

use crate::commands::Failure;

/// Connections of one listener at the most; further ones wait in the kernel.
const CONNECTIONS_MAX: usize = 4_096;
/// A request's headers must be complete, and a TLS handshake done, within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's headers at the most.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// A refused accept is tried again after this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Requests under way when the server stops get this long.
const GRACE: Duration = Duration::from_secs(3);

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

    /// Serves until `stop` turns true.
    pub(super) fn serve(self, router: Router, mut stop: watch::Receiver<bool>) {
        tokio::spawn(async move {
            let Self { listener, tls, .. } = self;
            let graceful = GracefulShutdown::new();
            let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
            loop {
                let Ok(permit) = room.clone().acquire_owned().await else { return };
                let accepted = tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => break,
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    Ok((stream, peer)) => {
                        let watcher = graceful.watcher();
                        tokio::spawn(connection(stream, peer, tls.clone(), router.clone(), watcher, permit));
                    }
                    // Most likely descriptors ran out: those that are open go on.
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
            drop(listener);
            if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
                tracing::warn!("requests were still under way when the server stopped");
            }
        });
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
    _room: OwnedSemaphorePermit,
) {
    // Small answers must not wait for the peer's acknowledgement.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return answer(stream, peer, router, watcher).await };
    match tokio::time::timeout(HEADER_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => answer(stream, peer, router, watcher).await,
        Ok(Err(error)) => tracing::debug!(%error, %peer, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "a TLS handshake was not done in time"),
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().call(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX.max(8_192))
        .serve_connection(TokioIo::new(stream), service);
    // An error is the peer's: it went, or sent what is no HTTP and was answered 400.
    let _ = watcher.watch(connection).await;
}
