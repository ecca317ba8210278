//! `peer-glommio ADDRESS`: echoes bytes on one executor of glommio. It has no WebSocket server of its own.

use std::error::Error;

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use glommio::net::{TcpListener, TcpStream};
use glommio::{LocalExecutorBuilder, Placement, spawn_local};

/// Bytes of a read, as the other servers have it.
const READ_BYTES: usize = 4_096;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("say where to listen")?;
    let executor = LocalExecutorBuilder::new(Placement::Unbound).make().map_err(|error| error.to_string())?;
    executor.run(async {
        let listener = TcpListener::bind(address).map_err(|error| error.to_string())?;
        eprintln!("peer-glommio listens on {}", listener.local_addr().map_err(|error| error.to_string())?);
        loop {
            let stream = listener.accept().await.map_err(|error| error.to_string())?;
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            // A client that goes away is no error of ours.
            spawn_local(async move {
                let _ = echo(stream).await;
            })
            .detach();
        }
    })
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut bytes = [0; READ_BYTES];
    loop {
        let count = stream.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&bytes[..count]).await?;
    }
}
