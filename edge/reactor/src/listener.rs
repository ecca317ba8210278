//! Listening sockets: one per shard on one port, and never on a port that someone else has.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// How long a taken port is asked for again: a killed process' ring lets go of it 5 to 130 ms late.
pub const BIND_RETRY: Duration = Duration::from_secs(3);
/// Pause between two attempts.
const BIND_RETRY_PAUSE: Duration = Duration::from_millis(20);

const _: () = assert!(BIND_RETRY.as_millis() > 2 * BIND_RETRY_PAUSE.as_millis());

/// Binds `count` listening sockets to one address and returns it with the port filled in.
///
/// SO_REUSEPORT would let a second process share the port silently. The first socket is therefore
/// bound without it, which fails while anyone listens there, and takes the option on afterwards,
/// so that the others can join it; at no moment is the port free.
///
/// # Errors
/// `AddrInUse` after [`BIND_RETRY`]; any other error of the socket at once.
pub(crate) fn bind_listeners(
    address: SocketAddr,
    count: usize,
    backlog: u32,
) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let first = bind_alone(address)?;
    first.set_reuse_port(true)?;
    let address =
        first.local_addr()?.as_socket().ok_or_else(|| io::Error::other("a TCP socket has an IP address"))?;
    let mut sockets = vec![first];
    for _ in 1..count {
        let socket = new_socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&SockAddr::from(address))?;
        sockets.push(socket);
    }
    let mut listeners = Vec::with_capacity(count);
    for socket in sockets {
        // Accepted sockets inherit this: frames leave when they are sent.
        socket.set_tcp_nodelay(true)?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        listeners.push(socket.into());
    }
    Ok((address, listeners))
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier process in TIME_WAIT must not keep the port from us.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

#[expect(clippy::disallowed_methods, reason = "before the shards start, on the thread that starts them")]
fn bind_alone(address: SocketAddr) -> io::Result<Socket> {
    let give_up = Instant::now() + BIND_RETRY;
    loop {
        let socket = new_socket(address)?;
        match socket.bind(&SockAddr::from(address)) {
            Ok(()) => return Ok(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < give_up => {
                std::thread::sleep(BIND_RETRY_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests are no shards")]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn shards_share_a_port_and_strangers_do_not() {
        let (address, listeners) = bind_listeners(ANY, 3, 8).expect("a free port");
        assert_ne!(address.port(), 0);
        for listener in &listeners {
            assert_eq!(listener.local_addr().expect("bound"), address);
        }
        let started = Instant::now();
        let error = bind_listeners(address, 1, 8).expect_err("the port is taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(started.elapsed() >= BIND_RETRY);
    }

    #[test]
    fn a_port_that_becomes_free_within_the_retry_is_taken() {
        let (address, listeners) = bind_listeners(ANY, 2, 8).expect("a free port");
        let holder = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(listeners);
        });
        bind_listeners(address, 2, 8).expect("free after 100 ms");
        holder.join().expect("no panic");
    }
}
