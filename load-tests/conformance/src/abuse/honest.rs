//! Honest users within their limits, who measure: pairs that chat, and readers over REST. A thread of their own keeps what
//! the attackers do out of their times. Times count from the moment when something was due.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use hyper::Method;
use ringside_test_client::rest::{Account, Rest};
use ringside_test_client::server::Addresses;
use ringside_test_client::websocket::{Incoming, ServerFrame, Socket, parse};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::{interval, interval_at, sleep, timeout};
use uuid::Uuid;

/// Between two messages of one speaker: 9 a second, where 10 are allowed.
const MESSAGE_EVERY: Duration = Duration::from_millis(110);
/// Between two requests of one reader: 75 a minute, where 100 are allowed.
const REQUEST_EVERY: Duration = Duration::from_millis(800);
/// What is not answered by then has failed.
pub(super) const ANSWER_DEADLINE: Duration = Duration::from_secs(1);
const RECONNECT_AFTER: Duration = Duration::from_millis(200);

/// Which of the three times a sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// From the message to its ack.
    Ack,
    /// From the message to the other one's `message.new`.
    Delivery,
    /// A request with a connection of its own.
    Rest,
}

/// One measurement, or why there is none.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub kind: Kind,
    pub due: Instant,
    pub outcome: Result<Duration, String>,
}

/// Two honest users who send messages to each other.
pub(super) struct Pair {
    pub speaker: Account,
    pub listener: Account,
    pub channel: Uuid,
}

/// The honest users at work; they stop when dropped.
pub(super) struct HonestUsers {
    samples: Receiver<Sample>,
    _stop: oneshot::Sender<()>,
}

#[derive(Clone)]
struct Recorder {
    samples: Sender<Sample>,
    /// Messages say when they were due, in microseconds after this.
    since: Instant,
}

impl Recorder {
    fn record(&self, kind: Kind, due: Instant, outcome: Result<Duration, String>) {
        // Nobody asks any more: the run is over.
        let _ = self.samples.send(Sample { kind, due, outcome });
    }

    fn failed(&self, kind: Kind, why: String) {
        self.record(kind, Instant::now(), Err(why));
    }
}

impl HonestUsers {
    /// Puts them to work.
    pub(super) fn start(addresses: Addresses, pairs: Vec<Pair>, readers: Vec<Account>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (sender, samples) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let recorder = Recorder { samples: sender, since: Instant::now() };
        std::thread::spawn(move || {
            runtime.block_on(async {
                for Pair { speaker, listener, channel } in pairs {
                    tokio::spawn(speak(addresses, speaker, channel, recorder.clone()));
                    tokio::spawn(listen(addresses, listener, channel, recorder.clone()));
                }
                let count = u32::try_from(readers.len().max(1)).unwrap_or(u32::MAX);
                for (number, reader) in (0..count).zip(readers) {
                    let offset = REQUEST_EVERY * number / count;
                    tokio::spawn(read(addresses.rest(), reader, offset, recorder.clone()));
                }
                let _ = stopped.await;
            });
        });
        Ok(Self { samples, _stop: stop })
    }

    /// What was measured since the last call.
    pub(super) fn take(&self) -> Vec<Sample> {
        self.samples.try_iter().collect()
    }
}

async fn speak(addresses: Addresses, account: Account, channel: Uuid, recorder: Recorder) {
    let nonce = || Uuid::new_v4().as_u128();
    loop {
        match Socket::connect(&addresses.target(), &account.access_token, nonce()).await {
            Ok(socket) => {
                let why = speak_on(socket, channel, &recorder).await;
                recorder.failed(Kind::Ack, why);
            }
            Err(error) => recorder.failed(Kind::Ack, format!("connecting: {error}")),
        }
        sleep(RECONNECT_AFTER).await;
    }
}

/// Until the connection ends; the answer says why.
async fn speak_on(mut socket: Socket, channel: Uuid, recorder: &Recorder) -> String {
    let mut ticks = interval(MESSAGE_EVERY);
    let mut waiting: HashMap<String, Instant> = HashMap::new();
    loop {
        tokio::select! {
            tick = ticks.tick() => {
                let due = tick.into_std();
                waiting.retain(|_, since| {
                    let late = since.elapsed() > ANSWER_DEADLINE;
                    if late {
                        recorder.record(Kind::Ack, *since, Err("no ack in time".to_owned()));
                    }
                    !late
                });
                let id = Uuid::new_v4().to_string();
                let content = due.saturating_duration_since(recorder.since).as_micros().to_string();
                let payload = json!({ "channel_id": channel, "content": content, "content_type": "text" });
                let frame = json!({ "type": "message.send", "id": id, "payload": payload });
                waiting.insert(id, due);
                if let Err(error) = socket.send(&frame.to_string()).await {
                    return error.to_string();
                }
            }
            incoming = socket.next() => match incoming {
                Ok(Incoming::Text(text)) => match parse(&text) {
                    Ok(ServerFrame::Ack { id }) => {
                        if let Some(due) = waiting.remove(&id) {
                            recorder.record(Kind::Ack, due, Ok(due.elapsed()));
                        }
                    }
                    Ok(ServerFrame::Error { id: Some(id), code, .. }) => {
                        if let Some(due) = waiting.remove(&id) {
                            recorder.record(Kind::Ack, due, Err(format!("message refused: {code}")));
                        }
                    }
                    Ok(ServerFrame::Goodbye { reason, .. }) => return format!("goodbye: {reason}"),
                    _ => {}
                },
                Ok(Incoming::Closed(code)) => return format!("closed: {code:?}"),
                Err(error) => return error.to_string(),
            }
        }
    }
}

async fn listen(addresses: Addresses, account: Account, channel: Uuid, recorder: Recorder) {
    loop {
        let nonce = Uuid::new_v4().as_u128();
        let why = match Socket::connect(&addresses.target(), &account.access_token, nonce).await {
            Ok(socket) => listen_on(socket, channel, &recorder).await,
            Err(error) => format!("connecting: {error}"),
        };
        recorder.failed(Kind::Delivery, why);
        sleep(RECONNECT_AFTER).await;
    }
}

async fn listen_on(mut socket: Socket, channel: Uuid, recorder: &Recorder) -> String {
    loop {
        match socket.next().await {
            Ok(Incoming::Text(text)) => {
                if let Ok(ServerFrame::New(message)) = parse(&text)
                    && message.channel_id == channel
                    && let Ok(micros) = message.content.parse()
                {
                    let due = recorder.since + Duration::from_micros(micros);
                    recorder.record(Kind::Delivery, due, Ok(due.elapsed()));
                }
            }
            Ok(Incoming::Closed(code)) => return format!("closed: {code:?}"),
            Err(error) => return error.to_string(),
        }
    }
}

async fn read(rest: Rest, account: Account, offset: Duration, recorder: Recorder) {
    let mut ticks = interval_at(tokio::time::Instant::now() + offset, REQUEST_EVERY);
    let paths = ["/api/v1/channels", "/api/v1/users/me", "/api/v1/users/search?q=honest"];
    for path in paths.iter().cycle() {
        let due = ticks.tick().await.into_std();
        let call = rest.call(Method::GET, path, Some(&account.access_token), None);
        let outcome = match timeout(ANSWER_DEADLINE, call).await {
            Ok(Ok(answer)) if answer.status == 200 => Ok(due.elapsed()),
            Ok(Ok(answer)) => Err(format!("GET {path} was answered {}", answer.status)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no REST answer in time".to_owned()),
        };
        recorder.record(Kind::Rest, due, outcome);
    }
}
