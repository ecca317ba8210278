//! A way to the engine that can lose answers, and be cut.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the proxy does with what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// Everything.
    All,
    /// Requests alone: answers are lost.
    RequestsOnly,
    /// Nothing: connections are closed, and new ones at once.
    Nothing,
}

/// A proxy before one node. It ends with the test's runtime.
pub struct Proxy {
    pub address: SocketAddr,
    carries: Arc<watch::Sender<Carries>>,
}

impl Proxy {
    /// Begins to listen on a free port.
    pub async fn before(node: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("is bound");
        let carries = Arc::new(watch::Sender::new(Carries::All));
        let told = Arc::clone(&carries);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("accepts");
                let told = told.subscribe();
                if *told.borrow() == Carries::Nothing {
                    continue;
                }
                if let Ok(server) = TcpStream::connect(&node).await {
                    tokio::spawn(carry(client, server, told));
                }
            }
        });
        Self { address, carries }
    }

    /// From now on.
    pub fn carry(&self, what: Carries) {
        self.carries.send_replace(what);
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, mut told: watch::Receiver<Carries>) {
    let (mut requests, mut answers) = (vec![0; 65_536], vec![0; 65_536]);
    let mut has_lost = false;
    loop {
        let carries = *told.borrow_and_update();
        // What follows lost bytes is no answer any more.
        if carries == Carries::Nothing || has_lost && carries == Carries::All {
            return;
        }
        tokio::select! {
            read = client.read(&mut requests) => match read {
                Ok(length) if length > 0 => {
                    if server.write_all(&requests[..length]).await.is_err() { return }
                }
                _ => return,
            },
            read = server.read(&mut answers) => match read {
                Ok(length) if length > 0 => {
                    if *told.borrow() == Carries::All && !has_lost {
                        if client.write_all(&answers[..length]).await.is_err() { return }
                    } else {
                        has_lost = true;
                    }
                }
                _ => return,
            },
            _ = told.changed() => {}
        }
    }
}
