//! TLS: a stream comes back whole whatever its records were cut into, ends cleanly, and survives a hostile peer.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use ringside_reactor::{Backend, CloseReason, Config};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use support::{Order, PATIENCE, Rig, config};

over_both_backends!(
    a_stream_comes_back_whole,
    records_cut_at_every_byte_are_put_together,
    our_end_says_close_notify,
    the_peers_close_notify_ends_the_stream,
    what_is_no_tls_is_answered_with_an_alert_and_ends,
    a_record_that_was_changed_is_answered_with_an_alert,
    a_close_notify_in_the_handshake_ends_it,
    a_stopped_handshake_holds_nobody_else_up,
);

type Client = StreamOwned<ClientConnection, TcpStream>;

/// Both sides of a certificate that was made for this test.
fn pair() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = issued.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate.clone()], key))
        .expect("a server");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a root");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

fn rig(backend: Backend) -> (Rig, Arc<ClientConfig>) {
    let (server, client) = pair();
    (Rig::new(&Config { tls: Some(server), send_queue_limit_bytes: 32 << 20, ..config(backend) }), client)
}

fn session(client: &Arc<ClientConfig>) -> ClientConnection {
    let name = ServerName::try_from("localhost").expect("a name");
    ClientConnection::new(Arc::clone(client), name).expect("a client")
}

fn connect(rig: &Rig, client: &Arc<ClientConfig>) -> Client {
    StreamOwned::new(session(client), rig.connect())
}

fn echo_once(stream: &mut Client, bytes: &[u8]) {
    stream.write_all(bytes).expect("it takes the bytes");
    stream.flush().expect("it takes the bytes");
    let mut answer = vec![0; bytes.len()];
    stream.read_exact(&mut answer).expect("it echoes");
    assert!(answer == bytes, "the echo differs");
}

fn a_stream_comes_back_whole(backend: Backend) {
    let (rig, client) = rig(backend);
    let mut stream = connect(&rig, &client);
    for n in 1..50 {
        echo_once(&mut stream, &vec![n as u8; n * 331]);
    }
    echo_once(&mut stream, &vec![7; 200_000]);
}

/// What the session has to send, in a vector.
fn drain(session: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut bytes).expect("a vector takes it");
    }
    bytes
}

fn records_cut_at_every_byte_are_put_together(backend: Backend) {
    let (rig, client) = rig(backend);
    let mut session = session(&client);
    let mut stream = rig.connect();
    stream.set_nodelay(true).expect("a socket");
    while session.is_handshaking() {
        for byte in drain(&mut session) {
            stream.write_all(&[byte]).expect("it takes a byte");
        }
        if session.is_handshaking() {
            session.read_tls(&mut stream).expect("an answer");
            session.process_new_packets().expect("a good answer");
        }
    }
    session.writer().write_all(b"byte by byte").expect("room");
    for byte in drain(&mut session) {
        stream.write_all(&[byte]).expect("it takes a byte");
    }
    let mut whole = StreamOwned::new(session, stream);
    let mut answer = [0; 12];
    whole.read_exact(&mut answer).expect("it echoes");
    assert_eq!(&answer, b"byte by byte");
}

fn our_end_says_close_notify(backend: Backend) {
    let (rig, client) = rig(backend);
    let mut stream = connect(&rig, &client);
    echo_once(&mut stream, b"hello");
    let id = rig.opened();
    rig.order(Order::Push(id, 100_000));
    rig.order(Order::CloseAfterFlush(id));
    let mut rest = Vec::new();
    // Without close_notify this would be an error: a cut stream.
    stream.read_to_end(&mut rest).expect("a clean end");
    assert_eq!(rest.len(), 100_000);
}

fn the_peers_close_notify_ends_the_stream(backend: Backend) {
    let (rig, client) = rig(backend);
    let mut stream = connect(&rig, &client);
    echo_once(&mut stream, b"hello");
    stream.conn.send_close_notify();
    stream.flush().expect("it takes it");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("a clean end");
    assert_eq!(rig.closed().1, CloseReason::PeerClosed);
}

fn what_is_no_tls_is_answered_with_an_alert_and_ends(backend: Backend) {
    let (rig, _) = rig(backend);
    let mut stream = rig.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it takes it");
    let answer = support::read_to_end(&mut stream);
    const ALERT: u8 = 21;
    assert_eq!(answer.first(), Some(&ALERT), "{answer:?}");
    drop(stream);
    rig.closed();
}

fn a_record_that_was_changed_is_answered_with_an_alert(backend: Backend) {
    let (rig, client) = rig(backend);
    let mut stream = connect(&rig, &client);
    echo_once(&mut stream, b"hello");
    stream.conn.writer().write_all(b"more").expect("room");
    let mut record = drain(&mut stream.conn);
    *record.last_mut().expect("a record") ^= 1;
    stream.sock.write_all(&record).expect("it takes it");
    let refused = stream.read(&mut [0]).expect_err("the stream has ended");
    let alert = rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac);
    assert_eq!(refused.get_ref().and_then(|error| error.downcast_ref()), Some(&alert), "{refused:?}");
}

fn a_close_notify_in_the_handshake_ends_it(backend: Backend) {
    let (rig, client) = rig(backend);
    let mut session = session(&client);
    let mut stream = rig.connect();
    let mut hello = drain(&mut session);
    // A warning close_notify in clear, right behind the ClientHello.
    hello.extend_from_slice(&[21, 3, 3, 0, 2, 1, 0]);
    stream.write_all(&hello).expect("it takes it");
    stream.shutdown(std::net::Shutdown::Write).expect("a socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    support::read_to_end(&mut stream);
    rig.closed();
}

fn a_stopped_handshake_holds_nobody_else_up(backend: Backend) {
    let (rig, client) = rig(backend);
    let hello = drain(&mut session(&client));
    let stopped: Vec<TcpStream> = (0..20)
        .map(|n| {
            let mut stream = rig.connect();
            stream.write_all(&hello[..hello.len() * n / 20]).expect("it takes it");
            stream
        })
        .collect();
    echo_once(&mut connect(&rig, &client), b"hello");
    drop(stopped);
}
