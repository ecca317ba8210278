//! `peer-threads ADDRESS`: echoes WebSocket messages by tungstenite, a thread for each connection: the plain baseline.

use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::thread;

/// A stack that tungstenite's handshake fits into; only what is touched takes memory.
const STACK_BYTES: usize = 256 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(std::env::args().nth(1).ok_or("say where to listen")?)?;
    eprintln!("peer-threads listens on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        // A client that goes away is no error of ours.
        thread::Builder::new().stack_size(STACK_BYTES).spawn(move || echo(stream))?;
    }
    Ok(())
}

/// Returns when the client goes.
fn echo(stream: TcpStream) -> Option<()> {
    let mut socket = tungstenite::accept(stream).ok()?;
    loop {
        let message = socket.read().ok()?;
        if message.is_text() || message.is_binary() {
            socket.send(message).ok()?;
        }
    }
}
