//! `peer-reactor ADDRESS uring|poll`: echoes bytes on one shard of Ringside's reactor, for runtimes that have no WebSocket.

use std::error::Error;

use ringside_reactor::{Backend, CloseReason, Config, ConnectionId, Handler, Io, TimerKey, spawn_shards};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let address = words.next().ok_or("say where to listen")?.parse()?;
    let backend = match words.next().as_deref() {
        Some("uring") => Backend::Uring,
        Some("poll") => Backend::Poll,
        _ => return Err("say uring or poll".into()),
    };
    let config = Config { backend, listen: Some(address), ..Config::default() };
    let shards = spawn_shards(&config, 1, |_| Echo)?;
    eprintln!("peer-reactor listens on {}", shards[0].address().unwrap_or(address));
    loop {
        std::thread::park();
    }
}

struct Echo;

impl Handler for Echo {
    type Mail = ();

    fn opened(&mut self, _: &mut Io, _: ConnectionId) {}

    fn received(&mut self, io: &mut Io, connection: ConnectionId, data: &mut [u8]) {
        if let Some(queue) = io.queue(connection) {
            queue.extend_from_slice(data);
        }
    }

    fn closed(&mut self, _: &mut Io, _: ConnectionId, _: CloseReason) {}

    fn timer(&mut self, _: &mut Io, _: TimerKey) {}

    fn mail(&mut self, _: &mut Io, (): ()) {}
}
