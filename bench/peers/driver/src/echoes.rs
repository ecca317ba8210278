//! The closed loop: on each connection one message is under way, the next is sent once its echo is whole.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::Outcome;
use crate::client::Dialect;
use crate::process::Usage;

/// Events that one wait may bring.
const EVENTS_MAX: usize = 1_024;
/// What the load takes to come up; not counted.
const WARM_UP: Duration = Duration::from_secs(1);
/// Bytes of one read: more than one echo never waits.
const READ_BYTES: usize = 64 * 1_024;
/// A server that says nothing for so long has lost a message.
const PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

struct Connection {
    stream: TcpStream,
    /// Bytes of the echo that have come.
    got: usize,
}

/// Runs the load and prints what an echo cost, in CPU time of the server and of this driver.
pub fn run(address: SocketAddr, pid: u32, dialect: &Dialect, count: usize, time: Duration) -> Outcome<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut connections = Vec::with_capacity(count);
    for number in 0..count {
        let stream = dialect.connect(address)?;
        stream.set_nonblocking(true)?;
        epoll::add(&epoll, &stream, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
        connections.push(Connection { stream, got: 0 });
    }
    for connection in &mut connections {
        connection.send(dialect)?;
    }
    let mut buffer = vec![0; READ_BYTES];
    let mut turn = |until: Instant| -> Outcome<u64> {
        let (mut events, mut echoes) = (Vec::with_capacity(EVENTS_MAX), 0);
        while Instant::now() < until {
            if epoll::wait(&epoll, spare_capacity(&mut events), Some(&PATIENCE))? == 0 {
                return Err("the server has lost a message".into());
            }
            for event in events.drain(..) {
                echoes += connections[event.data.u64() as usize].receive(dialect, &mut buffer)?;
            }
        }
        Ok(echoes)
    };
    turn(Instant::now() + WARM_UP)?;
    let (began, server, driver) = (Instant::now(), Usage::of(pid)?, Usage::of(std::process::id())?);
    let echoes = turn(began + time)?;
    let (seconds, server, driver) = (
        began.elapsed().as_secs_f64(),
        Usage::of(pid)?.since(&server),
        Usage::of(std::process::id())?.since(&driver),
    );
    let each = |us: u64| us as f64 / echoes as f64;
    println!(
        "echoes_per_s={:.0} server_us={:.2} server_user_us={:.2} server_busy={:.2} driver_us={:.2}",
        echoes as f64 / seconds,
        each(server.user_us + server.system_us),
        each(server.user_us),
        (server.user_us + server.system_us) as f64 / (seconds * 1e6),
        each(driver.user_us + driver.system_us),
    );
    Ok(())
}

impl Connection {
    fn send(&mut self, dialect: &Dialect) -> Outcome<()> {
        // The socket's buffer is empty whenever a message is sent, so it takes all of it.
        let sent = self.stream.write(&dialect.sent)?;
        if sent == dialect.sent.len() { Ok(()) } else { Err("a message was sent in part".into()) }
    }

    /// Takes what has come; returns how many echoes it completes, and sends the next message after each.
    fn receive(&mut self, dialect: &Dialect, buffer: &mut [u8]) -> Outcome<u64> {
        let count = self.stream.read(buffer)?;
        let expected = dialect.expected.get(self.got..self.got + count).ok_or("the server says too much")?;
        if count == 0 || expected != &buffer[..count] {
            return Err("the echo is another, or the server is gone".into());
        }
        self.got += count;
        if self.got < dialect.expected.len() {
            return Ok(0);
        }
        self.got = 0;
        self.send(dialect)?;
        Ok(1)
    }
}
