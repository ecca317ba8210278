//! `peer-tokio ADDRESS [small|raw]`: echoes WebSocket messages on one thread of tokio by tokio-tungstenite; `small`: with read
//! buffers of 4 KiB instead of its default of 128; `raw`: bytes.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Bytes of a read, as the other servers have it.
const READ_BYTES: usize = 4_096;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let address = words.next().ok_or("say where to listen")?;
    let word = words.next().unwrap_or_default();
    let is_raw = word == "raw";
    let read_bytes = if word == "small" { READ_BYTES } else { WebSocketConfig::default().read_buffer_size };
    let config = WebSocketConfig::default().read_buffer_size(read_bytes);
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
        let listener = TcpListener::bind(address).await?;
        eprintln!("peer-tokio listens on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // A client that goes away is no error of ours.
            tokio::spawn(async move {
                if is_raw {
                    let _ = echo_bytes(stream).await;
                } else {
                    let _ = echo_messages(stream, config).await;
                }
            });
        }
    })
}

async fn echo_messages(stream: TcpStream, config: WebSocketConfig) -> Result<(), Error> {
    let mut socket = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn echo_bytes(mut stream: TcpStream) -> std::io::Result<()> {
    let mut bytes = [0; READ_BYTES];
    loop {
        let count = stream.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&bytes[..count]).await?;
    }
}
