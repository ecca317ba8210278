//! `peer-monoio ADDRESS`: echoes bytes on one thread of monoio over io_uring. It has no WebSocket server of its own.

use std::error::Error;

use monoio::io::{AsyncReadRent as _, AsyncWriteRentExt as _};
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, RuntimeBuilder};

/// Bytes of a read, as the other servers have it. Each waiting read owns so many.
const READ_BYTES: usize = 4_096;
/// Entries of the ring.
const ENTRIES: u32 = 1_024;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("say where to listen")?;
    // As our own ring is set up.
    let mut ring = io_uring::IoUring::builder();
    ring.setup_single_issuer().setup_defer_taskrun();
    let builder = RuntimeBuilder::<IoUringDriver>::new().with_entries(ENTRIES).uring_builder(ring);
    builder.build()?.block_on(async {
        let listener = TcpListener::bind(address)?;
        eprintln!("peer-monoio listens on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            monoio::spawn(echo(stream));
        }
    })
}

/// Returns when the client goes.
async fn echo(mut stream: TcpStream) {
    let mut bytes = Vec::with_capacity(READ_BYTES);
    loop {
        let (read, lent) = stream.read(bytes).await;
        if !matches!(read, Ok(count) if count > 0) {
            return;
        }
        let (written, lent) = stream.write_all(lent).await;
        if written.is_err() {
            return;
        }
        bytes = lent;
        bytes.clear();
    }
}
