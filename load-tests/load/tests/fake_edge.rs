//! The load against a fake edge that keeps the contract, or breaks it on purpose: the figures have to say so.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use ringside_load::open_loop::{self, IdleOptions, LoadOptions, LoadReport, ReportFormat};
use ringside_test_client::seed_file::{SEED_FILE_VERSION, SeedFile, SeededChannel, SeededUser};
use ringside_test_client::websocket::Target;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use uuid::Uuid;

const USERS: u32 = 6;

/// How the server breaks the contract.
#[derive(Clone, Copy, PartialEq)]
enum Defect {
    None,
    Loses,
    Doubles,
    Swaps,
    Refuses,
}

#[derive(Default)]
struct Channels {
    /// Outboxes of open connections, with the token's number.
    open: Vec<(u32, mpsc::UnboundedSender<String>)>,
    next_seq: HashMap<String, u64>,
    held: Option<(usize, String)>,
    count: u64,
}

fn channel_of(user: u32) -> String {
    Uuid::from_u128(1000 + u128::from(user / 2)).to_string()
}

fn fan_out(channels: &mut Channels, defect: Defect, channel: &str, frame: &str) {
    channels.count += 1;
    let odd = channels.count % 20 == 10;
    for at in 0..channels.open.len() {
        let (user, outbox) = &channels.open[at];
        if channel_of(*user) != channel {
            continue;
        }
        let hit = odd && user % 2 == 0;
        match defect {
            Defect::Loses if hit => continue,
            Defect::Doubles if hit => drop(outbox.send(frame.to_owned())),
            Defect::Swaps if hit && channels.held.is_none() => {
                channels.held = Some((at, frame.to_owned()));
                continue;
            }
            _ => {}
        }
        let _ = outbox.send(frame.to_owned());
        if channels.held.as_ref().is_some_and(|(held, _)| *held == at) {
            let _ = outbox.send(channels.held.take().expect("it is held").1);
        }
    }
}

#[expect(clippy::result_large_err, reason = "the signature of the handshake's callback")]
async fn serve(stream: TcpStream, channels: Arc<Mutex<Channels>>, defect: Defect) {
    let mut user = 0;
    let mut socket = tokio_tungstenite::accept_hdr_async(stream, |request: &Request, response: Response| {
        let token = request.headers()["authorization"].to_str().expect("a token");
        user = token.strip_prefix("Bearer token-").and_then(|number| number.parse().ok()).unwrap_or(0);
        Ok(response)
    })
    .await
    .expect("an upgrade");
    let (outbox, mut inbox) = mpsc::unbounded_channel();
    channels.lock().expect("unpoisoned").open.push((user, outbox.clone()));
    let hello = format!(r#"{{"type":"hello","payload":{{"user_id":"{}"}}}}"#, Uuid::from_u128(user.into()));
    outbox.send(hello).expect("the inbox is here");
    loop {
        tokio::select! {
            frame = inbox.recv() => {
                let frame = frame.expect("the outbox is here");
                if socket.send(Message::text(frame)).await.is_err() { return; }
            }
            received = socket.next() => {
                let Some(Ok(Message::Text(text))) = received else { return };
                let frame: serde_json::Value = serde_json::from_str(&text).expect("a frame");
                let (id, payload) = (frame["id"].as_str().expect("a key"), &frame["payload"]);
                let channel = payload["channel_id"].as_str().expect("a channel");
                if defect == Defect::Refuses {
                    let error = r#""payload":{"code":"rate_limited","message":"Slow down."}"#;
                    let _ = outbox.send(format!(r#"{{"type":"error","id":"{id}",{error}}}"#));
                    continue;
                }
                let _ = outbox.send(format!(r#"{{"type":"message.ack","id":"{id}","payload":{{"status":"received"}}}}"#));
                let mut channels = channels.lock().expect("unpoisoned");
                let seq = channels.next_seq.entry(channel.to_owned()).or_insert(0);
                *seq += 1;
                let new = format!(
                    r#"{{"type":"message.new","payload":{{"message_id":"{seq}","seq":{seq},"client_id":"{id}","channel_id":"{channel}","sender":{{"id":"{channel}"}},"content":{}}}}}"#,
                    payload["content"]
                );
                fan_out(&mut channels, defect, channel, &new);
            }
        }
    }
}

/// Starts the server on a thread of its own; it ends with the process.
fn fake_edge(defect: Defect) -> Target {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("non-blocking");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("a listener");
            let channels = Arc::new(Mutex::new(Channels::default()));
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(stream, Arc::clone(&channels), defect));
            }
        });
    });
    Target::at(address)
}

fn seed_file() -> tempfile::NamedTempFile {
    let user = |n: u32| SeededUser {
        user_id: Uuid::from_u128(u128::from(n)),
        username: format!("u{n}"),
        password: String::new(),
        access_token: format!("token-{n}"),
    };
    let channel = |n: u32| SeededChannel {
        channel_id: channel_of(2 * n).parse().expect("a UUID"),
        kind: "dm".to_owned(),
        members: vec![2 * n, 2 * n + 1],
    };
    let file = SeedFile {
        version: SEED_FILE_VERSION,
        users: (0..USERS).map(user).collect(),
        channels: (0..USERS / 2).map(channel).collect(),
    };
    let mut written = tempfile::NamedTempFile::new().expect("a file");
    written.write_all(&serde_json::to_vec(&file).expect("JSON")).expect("written");
    written
}

fn run(defect: Defect) -> LoadReport {
    let seed = seed_file();
    let options = LoadOptions {
        edge: fake_edge(defect),
        seed_file: seed.path().to_owned(),
        connections: USERS,
        channels: USERS / 2,
        rate: 400.0,
        duration: 0.5,
        warmup: 0.1,
        grace: 0.5,
        threads: 2,
        message_bytes: 32,
        poisson: true,
        seed: 3,
        server_pid: None,
        report: ReportFormat::Text,
    };
    open_loop::run(&options).expect("a run")
}

#[test]
fn clean_run_is_clean() {
    let report = run(Defect::None);
    assert!(report.is_clean(), "{report}");
    assert!(report.sent > 150 && report.acknowledged == report.sent, "{report}");
    assert_eq!(report.delivered, 2 * report.sent, "{report}");
    assert!(report.ack.count > 100 && report.delivery.count > 200 && report.ack.p99_ms > 0.0, "{report}");
}

#[test]
fn lost_deliveries_are_seen() {
    let report = run(Defect::Loses);
    assert!(!report.is_clean() && report.lost_messages > 0 && report.gaps > 0, "{report}");
    assert_eq!((report.doubled, report.reordered), (0, 0), "{report}");
}

#[test]
fn doubled_deliveries_are_seen() {
    let report = run(Defect::Doubles);
    assert!(!report.is_clean() && report.doubled > 0 && report.lost_messages == 0, "{report}");
}

#[test]
fn reordered_deliveries_are_seen() {
    let report = run(Defect::Swaps);
    assert!(!report.is_clean() && report.reordered > 0 && report.doubled == 0, "{report}");
}

#[test]
fn refusals_are_no_success() {
    let report = run(Defect::Refuses);
    assert!(!report.is_clean(), "{report}");
    assert_eq!(report.refusals.get("rate_limited"), Some(&report.sent), "{report}");
}

#[test]
fn idle_connections_are_counted() {
    let seed = seed_file();
    let options = IdleOptions {
        edge: fake_edge(Defect::None),
        seed_file: Some(seed.path().to_owned()),
        connections: 100,
        hold: Duration::from_millis(100).as_secs_f64(),
        server_pid: Some(std::process::id()),
        report: ReportFormat::Json,
    };
    let report = open_loop::idle(&options).expect("a run");
    assert!(report.is_clean() && report.still_open == 100, "{report}");
    assert!(report.server_bytes_per_connection.is_some());
}
