//! A way to the server that counts how often it is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringside_postgres::Host;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Hands bytes on, and counts the turns: bytes from the client that follow bytes from the server.
pub struct Proxy {
    pub host: Host,
    turns: Arc<AtomicUsize>,
}

impl Proxy {
    pub async fn to(server: &Host) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let port = listener.local_addr().expect("bound").port();
        let turns = Arc::new(AtomicUsize::new(0));
        let (server, counted) = ((server.name.clone(), server.port), turns.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server.clone()).await.expect("the server is there");
                tokio::spawn(hand_on(client, server, counted.clone()));
            }
        });
        Self { host: Host { name: "127.0.0.1".into(), port }, turns }
    }

    /// The turns since this was asked last.
    pub fn turns(&self) -> usize {
        self.turns.swap(0, Ordering::Relaxed)
    }
}

async fn hand_on(mut client: TcpStream, mut server: TcpStream, turns: Arc<AtomicUsize>) {
    let mut is_servers_turn = false;
    let (mut from_client, mut from_server) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        let is_done = tokio::select! {
            read = client.read(&mut from_client) => match read {
                Ok(count @ 1..) => {
                    if !std::mem::replace(&mut is_servers_turn, true) {
                        turns.fetch_add(1, Ordering::Relaxed);
                    }
                    server.write_all(&from_client[..count]).await.is_err()
                }
                _ => true,
            },
            read = server.read(&mut from_server) => match read {
                Ok(count @ 1..) => {
                    is_servers_turn = false;
                    client.write_all(&from_server[..count]).await.is_err()
                }
                _ => true,
            },
        };
        if is_done {
            return;
        }
    }
}
