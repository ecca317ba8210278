//! A way to the server that loses what it is told to lose.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PASSES: u8 = 0;
const CUTS: u8 = 1;
const SWALLOWS: u8 = 2;

/// Between a client and a server.
#[derive(Clone)]
pub struct Proxy {
    pub address: String,
    mode: Arc<AtomicU8>,
    lost: Arc<AtomicU64>,
}

impl Proxy {
    pub async fn to(server: &str) -> Self {
        let server = server.trim_start_matches("redis://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = format!("redis://{}", listener.local_addr().expect("bound"));
        let proxy = Self { address, mode: Arc::default(), lost: Arc::default() };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.expect("the server is there");
                tokio::spawn(accepting.clone().carry(client, server));
            }
        });
        proxy
    }

    /// Everything passes.
    pub fn pass(&self) {
        self.mode.store(PASSES, Ordering::SeqCst);
    }

    /// The next reply is lost, and its connection with it; later ones pass.
    pub fn cut_next_reply(&self) {
        self.mode.store(CUTS, Ordering::SeqCst);
    }

    /// Replies are lost, and connections stay.
    pub fn swallow_replies(&self) {
        self.mode.store(SWALLOWS, Ordering::SeqCst);
    }

    /// Replies that were lost: whatever they answered is done.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::SeqCst)
    }

    async fn carry(self, client: TcpStream, server: TcpStream) {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let requests = async move { tokio::io::copy(&mut from_client, &mut to_server).await.map(|_| ()) };
        let replies = async move {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let count = from_server.read(&mut buffer).await?;
                if count == 0 {
                    return std::io::Result::Ok(());
                }
                let cuts = self.mode.compare_exchange(CUTS, PASSES, Ordering::SeqCst, Ordering::SeqCst);
                if cuts.is_ok() {
                    self.lost.fetch_add(1, Ordering::SeqCst);
                    return Ok(());
                }
                if self.mode.load(Ordering::SeqCst) == SWALLOWS {
                    self.lost.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                to_client.write_all(&buffer[..count]).await?;
            }
        };
        tokio::select! {
            _ = requests => {}
            _ = replies => {}
        }
    }
}
