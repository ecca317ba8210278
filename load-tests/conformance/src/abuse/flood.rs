//! Who attacks: the moves, done by one thread until the time is over.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ringside_test_client::server::Addresses;
use ringside_test_client::websocket::{Input, Machine, Target};
use ringside_websocket::{Opcode, write_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::attack::{Action, Port};
use super::template::{Ids, Placeholders, Template};

/// A batch is written when it is so large, or has so many pieces.
const BATCH_BYTES: usize = 64 * 1024;
const BATCH_PIECES: u64 = 32;
/// After a connection or a handshake that failed; an attack on handshakes does not wait.
const PAUSE: Duration = Duration::from_millis(10);
/// Between two bytes of a slow writer.
const DRIP: Duration = Duration::from_millis(100);
/// Connecting and upgrading take no longer, or are tried again.
const OPEN_DEADLINE: Duration = Duration::from_secs(2);
/// What the kernel may take in for somebody who reads nothing.
const SLOW_READER_BUFFER: u32 = 4096;
const READ_BYTES: usize = 64 * 1024;
/// How far the attackers' thread steps back for the server.
const NICENESS: i32 = 19;

/// Somebody who attacks, with or without an account.
#[derive(Clone)]
pub(super) struct Attacker {
    /// The address that they come from.
    pub source: Ipv4Addr,
    pub addresses: Addresses,
    pub token: String,
    pub placeholders: Placeholders,
    /// Frames, requests and connections so far.
    pub sent: Arc<AtomicU64>,
}

/// Begins an attack that ends, with all its connections, after this time.
pub(super) fn launch(
    attacker: Attacker,
    actions: Vec<Action>,
    length: Duration,
) -> JoinHandle<io::Result<()>> {
    std::thread::spawn(move || {
        // Where it is not allowed, the attack is the stronger.
        let _ = rustix::process::nice(NICENESS);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            for one in actions {
                begin(&attacker, one);
            }
            sleep(length).await;
        });
        Ok(())
    })
}

fn begin(attacker: &Attacker, one: Action) {
    let attacker = attacker.clone();
    let templates = |texts: &[String]| -> Vec<Template> {
        texts.iter().map(|text| Template::of(&attacker.placeholders.fill(text))).collect()
    };
    match one {
        Action::Nothing => {
            tokio::spawn(attacker.work_for_nothing());
        }
        Action::Frames { sockets, texts } => {
            for _ in 0..sockets {
                let mut pieces = Pieces::new(templates(&texts), Wrapping::Text);
                tokio::spawn(attacker.clone().flood(None, move |out| pieces.write(out)));
            }
        }
        Action::Pings { sockets } => {
            for _ in 0..sockets {
                let mut pieces = Pieces::new(vec![Template::of("{short}")], Wrapping::Ping);
                tokio::spawn(attacker.clone().flood(None, move |out| pieces.write(out)));
            }
        }
        Action::Handshakes { connections } => {
            for _ in 0..connections {
                tokio::spawn(attacker.clone().shake_hands());
            }
        }
        Action::Requests { port, connections, requests } => {
            let templates = templates(&requests);
            for number in 0..connections {
                let template = templates[number % templates.len()].clone();
                let mut pieces = Pieces::new(vec![template], Wrapping::None);
                tokio::spawn(attacker.clone().flood(Some(port), move |out| pieces.write(out)));
            }
        }
        Action::HalfOpen { port, connections, beginnings } => {
            for number in 0..connections {
                let beginning = beginnings[number % beginnings.len()].clone();
                tokio::spawn(attacker.clone().stay_half_open(port, beginning));
            }
        }
        Action::SlowReaders { port, connections, request } => {
            for _ in 0..connections {
                tokio::spawn(attacker.clone().read_nothing(port, request.clone()));
            }
        }
        Action::SlowWriters { port, connections, beginning } => {
            for _ in 0..connections {
                tokio::spawn(attacker.clone().drip(port, beginning.clone()));
            }
        }
    }
}

enum Wrapping {
    Text,
    Ping,
    None,
}

/// Templates by turns, wrapped.
struct Pieces {
    templates: Vec<Template>,
    wrapping: Wrapping,
    ids: Ids,
    next: usize,
    payload: Vec<u8>,
}

impl Pieces {
    fn new(templates: Vec<Template>, wrapping: Wrapping) -> Self {
        Self { templates, wrapping, ids: Ids::new(), next: 0, payload: Vec::new() }
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        let template = &self.templates[self.next % self.templates.len()];
        self.next += 1;
        let opcode = match self.wrapping {
            Wrapping::Text => Opcode::Text,
            Wrapping::Ping => Opcode::Ping,
            Wrapping::None => return template.write(out, &mut self.ids),
        };
        self.payload.clear();
        template.write(&mut self.payload, &mut self.ids);
        let mask = (self.ids.number() as u32).to_le_bytes();
        write_frame(out, opcode, &self.payload, Some(mask));
    }
}

impl Attacker {
    fn count(&self, pieces: u64) {
        self.sent.fetch_add(pieces, Ordering::Relaxed);
    }

    fn address(&self, port: Port) -> SocketAddr {
        match port {
            Port::Api => self.addresses.api,
            Port::Edge => self.addresses.edge,
            Port::Admin => self.addresses.admin,
        }
    }

    async fn connect(&self, port: Port, receive_buffer: Option<u32>) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((self.source, 0)))?;
        // Without it the attacker would run out of ports, for they stay taken after a close.
        socket.set_zero_linger()?;
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        let stream = timeout(OPEN_DEADLINE, socket.connect(self.address(port)))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A socket of the account.
    async fn upgrade(&self) -> io::Result<TcpStream> {
        let mut stream = self.connect(Port::Edge, None).await?;
        let nonce = Uuid::new_v4().as_u128();
        let mut out = Vec::new();
        let mut machine = Machine::connect(&mut out, &Target::at(self.addresses.edge), &self.token, nonce);
        stream.write_all(&out).await?;
        let mut input = [0; 4096];
        while !machine.is_open() {
            let count = stream.read(&mut input).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let ignore = &mut |_: Input<'_>| {};
            machine.receive(&mut input[..count], &mut out, ignore).map_err(io::Error::other)?;
        }
        Ok(stream)
    }

    async fn open(&self, port: Option<Port>) -> io::Result<TcpStream> {
        match port {
            Some(port) => self.connect(port, None).await,
            None => timeout(OPEN_DEADLINE, self.upgrade())
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?,
        }
    }

    /// Writes as fast as the server reads, and reads what comes; begins anew when it is thrown out. Without a port: on a
    /// socket of the account.
    async fn flood(self, port: Option<Port>, mut write: impl FnMut(&mut Vec<u8>) + Send) {
        loop {
            let Ok(stream) = self.open(port).await else {
                sleep(PAUSE).await;
                continue;
            };
            let (reader, writer) = stream.into_split();
            tokio::select! {
                () = read_all(reader) => {}
                () = self.write_all(writer, &mut write) => {}
            }
        }
    }

    async fn write_all(&self, mut writer: OwnedWriteHalf, write: &mut impl FnMut(&mut Vec<u8>)) {
        let mut out = Vec::with_capacity(BATCH_BYTES);
        loop {
            out.clear();
            let mut pieces = 0;
            while pieces < BATCH_PIECES && out.len() < BATCH_BYTES {
                write(&mut out);
                pieces += 1;
            }
            if writer.write_all(&out).await.is_err() {
                return;
            }
            self.count(pieces);
        }
    }

    async fn work_for_nothing(self) {
        let mut pieces = Pieces::new(vec![Template::of("{id}")], Wrapping::Text);
        let mut out = Vec::new();
        loop {
            out.clear();
            (0..BATCH_PIECES).for_each(|_| pieces.write(&mut out));
            self.count(BATCH_PIECES);
            tokio::task::yield_now().await;
        }
    }

    async fn shake_hands(self) {
        loop {
            let outcome = timeout(OPEN_DEADLINE, self.upgrade()).await;
            self.count(1);
            drop(outcome);
            // A refusal that comes without any waiting must not keep the others from their turn.
            tokio::task::yield_now().await;
        }
    }

    async fn stay_half_open(self, port: Port, beginning: String) {
        loop {
            if let Ok(mut stream) = self.connect(port, None).await
                && stream.write_all(beginning.as_bytes()).await.is_ok()
            {
                self.count(1);
                let (reader, _writer) = stream.into_split();
                read_all(reader).await;
            }
            sleep(PAUSE).await;
        }
    }

    async fn read_nothing(self, port: Port, request: String) {
        loop {
            if let Ok(mut stream) = self.connect(port, Some(SLOW_READER_BUFFER)).await {
                while stream.write_all(request.as_bytes()).await.is_ok() {
                    self.count(1);
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn drip(self, port: Port, beginning: String) {
        loop {
            if let Ok(mut stream) = self.connect(port, None).await
                && stream.write_all(beginning.as_bytes()).await.is_ok()
            {
                self.count(1);
                while stream.write_all(b"x").await.is_ok() {
                    sleep(DRIP).await;
                }
            }
            sleep(PAUSE).await;
        }
    }
}

async fn read_all(mut reader: OwnedReadHalf) {
    let mut input = vec![0; READ_BYTES];
    while reader.read(&mut input).await.is_ok_and(|count| count > 0) {}
}
