//! The ways to get io_uring wrong, each shown not to happen, on a real ring over loopback.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use ringside_uring::{
    AcceptKind, BufferPool, Completion, Descriptor, Lease, ReceiveEnd, Ring, RingConfig, probe,
};

const PATIENCE: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_millis(30);

const SMALL: RingConfig = RingConfig {
    submission_entries: 64,
    completion_entries: 256,
    descriptors: 64,
    buffers: 16,
    buffer_bytes: 256,
};

struct Rig {
    ring: Ring,
    pool: BufferPool,
    address: SocketAddr,
}

impl Rig {
    fn new(config: RingConfig) -> Rig {
        let (mut ring, pool) = Ring::new(&config).expect("a kernel with io_uring");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        ring.listen(listener.into());
        Rig { ring, pool, address }
    }

    /// The next completion; panics if none comes in time.
    fn next(&mut self) -> Completion {
        let give_up = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(completion) = self.ring.next_completion() {
                return completion;
            }
            assert!(std::time::Instant::now() < give_up, "nothing comes");
            self.ring.wait(Some(PATIENCE)).expect("the ring works");
        }
    }

    /// Nothing more comes for a while.
    fn assert_quiet(&mut self) {
        self.ring.wait(Some(QUIET)).expect("the ring works");
        if let Some(completion) = self.ring.next_completion() {
            panic!("unexpected: {completion:?}");
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream
    }

    fn accept(&mut self) -> Descriptor {
        match self.next() {
            Completion::Accepted { descriptor, .. } => descriptor,
            other => panic!("not an accept: {other:?}"),
        }
    }

    /// A connected pair; the accept must not be armed.
    fn pair(&mut self) -> (TcpStream, Descriptor) {
        let stream = self.connect();
        assert!(self.ring.accept(AcceptKind::Once));
        (stream, self.accept())
    }

    fn read(&mut self, lease: Lease) -> Vec<u8> {
        let bytes = self.pool.lent(&lease).to_vec();
        self.pool.give_back(lease);
        bytes
    }

    fn close(&mut self, descriptor: Descriptor) {
        self.ring.close(descriptor);
        loop {
            match self.next() {
                Completion::Closed(closed) => {
                    assert_eq!(closed, descriptor);
                    return;
                }
                Completion::ReceiveEnded { .. } | Completion::Sent { .. } => {}
                other => panic!("unexpected while closing: {other:?}"),
            }
        }
    }
}

#[test]
fn the_probe_agrees_with_the_setup() {
    probe().expect("a kernel with io_uring");
}

#[test]
fn bytes_are_received_sent_and_the_end_is_told() {
    let mut rig = Rig::new(SMALL);
    let (mut stream, descriptor) = rig.pair();
    rig.ring.receive(descriptor);
    stream.write_all(b"question").expect("it takes it");
    let Completion::Received { lease, armed, .. } = rig.next() else { panic!("no receive") };
    assert!(armed);
    assert_eq!(lease.len(), 8);
    assert_eq!(rig.read(lease), b"question");
    rig.ring.send(descriptor, b"an answer".to_vec(), 3);
    let Completion::Sent { buffer, result, .. } = rig.next() else { panic!("no send") };
    assert_eq!((buffer.as_slice(), result), (&b"an answer"[..], Ok(6)));
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).expect("it arrives");
    assert_eq!(&answer, b"answer");
    drop(stream);
    let Completion::ReceiveEnded { end, .. } = rig.next() else { panic!("no end") };
    assert_eq!(end, ReceiveEnd::Eof);
    rig.close(descriptor);
}

// 1. ENOBUFS ends the multishot, the data stays in the socket.
#[test]
fn an_empty_pool_ends_the_receive_and_loses_nothing() {
    let mut rig = Rig::new(RingConfig { buffers: 4, buffer_bytes: 64, ..SMALL });
    const BYTES: usize = 10_000;
    let (mut stream, descriptor) = rig.pair();
    let sent: Vec<u8> = (0..BYTES).map(|n| n as u8).collect();
    stream.write_all(&sent).expect("it fits the socket");
    rig.ring.receive(descriptor);
    let (mut got, mut lent, mut ends) = (Vec::new(), Vec::new(), 0);
    while got.len() < BYTES {
        match rig.next() {
            Completion::Received { lease, armed, .. } => {
                got.extend_from_slice(rig.pool.lent(&lease));
                // Kept for as long as there is one: the pool runs dry on purpose.
                lent.push(lease);
                assert!(armed || got.len() == BYTES || lent.len() == 4);
            }
            Completion::ReceiveEnded { end, .. } => {
                assert_eq!(end, ReceiveEnd::NoBuffers);
                assert_eq!(lent.len(), 4, "it ends when all are lent");
                ends += 1;
                // First give back, then arm: armed on an empty pool it fails at once.
                lent.drain(..).for_each(|lease| rig.pool.give_back(lease));
                rig.ring.receive(descriptor);
            }
            other => panic!("unexpected: {other:?}"),
        }
    }
    assert!(got == sent, "bytes were lost or reordered");
    assert!(ends >= BYTES / 64 / 4 - 1, "the pool ran dry {ends} times");
}

#[test]
fn arming_on_an_empty_pool_fails_at_once_and_can_be_repeated() {
    let mut rig = Rig::new(RingConfig { buffers: 1, ..SMALL });
    let (mut stream, descriptor) = rig.pair();
    rig.ring.receive(descriptor);
    stream.write_all(b"one").expect("it takes it");
    let Completion::Received { lease: first, .. } = rig.next() else { panic!("no receive") };
    stream.write_all(b"two").expect("it takes it");
    for _ in 0..3 {
        let Completion::ReceiveEnded { end, .. } = rig.next() else { panic!("no end") };
        assert_eq!(end, ReceiveEnd::NoBuffers);
        rig.ring.receive(descriptor);
    }
    let Completion::ReceiveEnded { .. } = rig.next() else { panic!("no end") };
    assert_eq!(rig.read(first), b"one");
    rig.ring.receive(descriptor);
    let Completion::Received { lease, .. } = rig.next() else { panic!("no receive") };
    assert_eq!(rig.read(lease), b"two");
}

// 2. A full completion queue ends multishots: the MORE flag says so, and nothing is lost.
#[test]
fn a_full_completion_queue_loses_nothing() {
    const CROWD: usize = 60;
    const ROUNDS: u8 = 20;
    let mut rig = Rig::new(RingConfig {
        submission_entries: 4,
        completion_entries: 8,
        buffers: 256,
        buffer_bytes: 64,
        ..SMALL
    });
    let mut streams = HashMap::new();
    for _ in 0..CROWD {
        let (stream, descriptor) = rig.pair();
        rig.ring.receive(descriptor);
        streams.insert(descriptor, (stream, Vec::new()));
    }
    rig.ring.wait(Some(Duration::ZERO)).expect("it works");
    for round in 0..ROUNDS {
        // All at once, while the ring is not looked at: more completions than the queue holds.
        for (stream, _) in streams.values_mut() {
            stream.write_all(&[round; 3]).expect("it takes it");
        }
        while streams.values().any(|(_, got)| got.len() < 3 * (usize::from(round) + 1)) {
            match rig.next() {
                Completion::Received { descriptor, lease, armed } => {
                    let bytes = rig.read(lease);
                    let (_, got) = streams.get_mut(&descriptor).expect("known");
                    got.extend_from_slice(&bytes);
                    if !armed {
                        rig.ring.receive(descriptor);
                    }
                }
                Completion::ReceiveEnded { descriptor, end } => {
                    assert_eq!(end, ReceiveEnd::NoBuffers);
                    rig.ring.receive(descriptor);
                }
                other => panic!("unexpected: {other:?}"),
            }
        }
    }
    for (_, got) in streams.values() {
        let wanted: Vec<u8> = (0..ROUNDS).flat_map(|round| [round; 3]).collect();
        assert_eq!(*got, wanted);
    }
    assert!(
        rig.ring.statistics().completion_overflows > 0,
        "the queue never overflowed: the test shows nothing"
    );
}

// 3. Closing with an armed receive and a stuck send: cancelled, closed, reused afterwards.
#[test]
fn closing_with_requests_outstanding_closes_the_socket() {
    let mut rig = Rig::new(SMALL);
    let (mut stream, descriptor) = rig.pair();
    rig.ring.receive(descriptor);
    // More than the socket's buffers take, to a peer that does not read.
    let mut stuck = vec![7; 32 << 20];
    loop {
        rig.ring.send(descriptor, stuck, 0);
        rig.ring.wait(Some(QUIET)).expect("the ring works");
        match rig.ring.next_completion() {
            Some(Completion::Sent { buffer, .. }) => stuck = buffer,
            Some(other) => panic!("unexpected: {other:?}"),
            None => break,
        }
    }
    rig.ring.close(descriptor);
    let (mut sent, mut closed) = (false, false);
    while !closed {
        match rig.next() {
            Completion::Sent { result, .. } => {
                assert_eq!(result, Err(libc::ECANCELED));
                sent = true;
            }
            Completion::ReceiveEnded { end, .. } => assert_eq!(end, ReceiveEnd::Cancelled),
            Completion::Closed(_) => closed = true,
            other => panic!("unexpected: {other:?}"),
        }
    }
    assert!(sent, "the buffer came back before the close");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the peer sees the end");
    rig.assert_quiet();
}

#[test]
fn a_slot_is_reused_under_a_new_generation() {
    let mut rig = Rig::new(RingConfig { descriptors: 1, ..SMALL });
    let mut before: Option<Descriptor> = None;
    for _ in 0..50 {
        let (mut stream, descriptor) = rig.pair();
        assert_eq!(descriptor.slot(), 0);
        if let Some(before) = before {
            assert_eq!(descriptor.generation(), before.generation() + 1);
        }
        before = Some(descriptor);
        rig.ring.receive(descriptor);
        stream.write_all(b"x").expect("it takes it");
        let Completion::Received { lease, .. } = rig.next() else { panic!("no receive") };
        assert_eq!(rig.read(lease), b"x");
        rig.close(descriptor);
    }
    assert_eq!(rig.ring.statistics().stale_completions, 0);
}

#[test]
#[should_panic(expected = "not open")]
fn a_stale_descriptor_is_refused() {
    let mut rig = Rig::new(SMALL);
    let (_stream, descriptor) = rig.pair();
    rig.close(descriptor);
    rig.ring.receive(descriptor);
}

// 4. A send and a close asked together: the bytes that were taken reach the peer, nothing is EBADF.
#[test]
fn a_close_after_a_completed_send_delivers_it() {
    let mut rig = Rig::new(SMALL);
    for _ in 0..50 {
        let (mut stream, descriptor) = rig.pair();
        rig.ring.receive(descriptor);
        rig.ring.send(descriptor, b"goodbye".to_vec(), 0);
        let Completion::Sent { result, .. } = rig.next() else { panic!("no send") };
        assert_eq!(result, Ok(7));
        rig.close(descriptor);
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("an orderly end");
        assert_eq!(all, b"goodbye");
    }
}

// 5. A full table ends the multishot accept with ENFILE; it can be armed again after closes.
#[test]
fn accepting_goes_on_after_a_full_table() {
    let mut rig = Rig::new(RingConfig { descriptors: 2, ..SMALL });
    assert!(rig.ring.accept(AcceptKind::Multi));
    let _streams: Vec<_> = (0..3).map(|_| rig.connect()).collect();
    let first = rig.accept();
    rig.accept();
    let Completion::AcceptEnded { kind, errno } = rig.next() else { panic!("the table has two places") };
    assert_eq!((kind, errno), (AcceptKind::Multi, libc::ENFILE));
    rig.close(first);
    assert!(rig.ring.accept(AcceptKind::Multi));
    let _late = rig.connect();
    assert_eq!(rig.accept().slot(), first.slot());
}

#[test]
fn a_multishot_accept_can_be_cancelled_and_single_ones_take_exactly_one() {
    let mut rig = Rig::new(SMALL);
    assert!(rig.ring.accept(AcceptKind::Multi));
    let _first = rig.connect();
    rig.accept();
    rig.ring.cancel_accept_multi();
    let Completion::AcceptEnded { errno, .. } = rig.next() else { panic!("it was cancelled") };
    assert_eq!(errno, libc::ECANCELED);
    let _waiting = [rig.connect(), rig.connect()];
    rig.assert_quiet();
    assert!(rig.ring.accept(AcceptKind::Once));
    rig.accept();
    rig.assert_quiet();
}

#[test]
fn a_closed_listener_refuses() {
    let mut rig = Rig::new(SMALL);
    assert!(rig.ring.accept(AcceptKind::Multi));
    rig.ring.wait(Some(Duration::ZERO)).expect("it works");
    rig.ring.stop_listening();
    let Completion::AcceptEnded { errno, .. } = rig.next() else { panic!("it was cancelled") };
    assert_eq!(errno, libc::ECANCELED);
    assert!(!rig.ring.accept(AcceptKind::Once));
    // The descriptor is dropped with the last answer; the kernel frees the socket a moment later.
    let give_up = std::time::Instant::now() + PATIENCE;
    while TcpStream::connect(rig.address).is_ok() {
        assert!(std::time::Instant::now() < give_up, "it still accepts");
        rig.ring.wait(Some(Duration::from_millis(1))).expect("it works");
        while rig.ring.next_completion().is_some() {}
    }
}

// 11. A direct descriptor's peer address, through an ordinary descriptor made for it.
#[test]
fn the_peer_address_is_had_by_installing_the_descriptor() {
    let mut rig = Rig::new(SMALL);
    let (mut stream, descriptor) = rig.pair();
    rig.ring.receive(descriptor);
    // What comes in between is kept for later, in order.
    stream.write_all(b"meanwhile").expect("it takes it");
    let file = rig.ring.install(descriptor).expect("a file descriptor");
    let socket = socket2::SockRef::from(&file);
    let peer = socket.peer_addr().expect("connected").as_socket();
    assert_eq!(peer, Some(stream.local_addr().expect("bound")));
    drop(file);
    let Completion::Received { lease, .. } = rig.next() else { panic!("no receive") };
    assert_eq!(rig.read(lease), b"meanwhile");
}

#[test]
fn a_connection_of_our_own_is_made_without_nagle() {
    let mut rig = Rig::new(SMALL);
    let descriptor = rig.ring.socket(&rig.address).expect("a free place");
    let address = rig.address;
    rig.ring.connect(descriptor, &address);
    let Completion::Connected { result, .. } = rig.next() else { panic!("no connect") };
    assert_eq!(result, Ok(()));
    let file = rig.ring.install(descriptor).expect("a file descriptor");
    let socket = socket2::SockRef::from(&file);
    assert!(socket.tcp_nodelay().expect("a TCP socket"));
    rig.close(descriptor);
}

#[test]
fn a_refused_connection_tells_the_errno_and_frees_its_place() {
    let mut rig = Rig::new(RingConfig { descriptors: 1, ..SMALL });
    let nobody =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    for _ in 0..3 {
        let descriptor = rig.ring.socket(&nobody).expect("a free place");
        let full = rig.ring.socket(&nobody).expect_err("one place");
        assert_eq!(full.raw_os_error(), Some(libc::ENFILE));
        rig.ring.connect(descriptor, &nobody);
        let Completion::Connected { result, .. } = rig.next() else { panic!("no connect") };
        assert_eq!(result, Err(libc::ECONNREFUSED));
        rig.close(descriptor);
    }
}

#[test]
fn a_watched_descriptor_tells_once_and_keeps_its_data() {
    let mut rig = Rig::new(SMALL);
    let (mut stream, descriptor) = rig.pair();
    rig.ring.receive(descriptor);
    rig.ring.wait(Some(Duration::ZERO)).expect("it works");
    // Long idle: the receive gives way to a watch.
    rig.ring.cancel_receive(descriptor);
    let Completion::ReceiveEnded { end, .. } = rig.next() else { panic!("it was cancelled") };
    assert_eq!(end, ReceiveEnd::Cancelled);
    rig.ring.watch_readable(descriptor);
    rig.assert_quiet();
    stream.write_all(b"awake").expect("it takes it");
    assert!(matches!(rig.next(), Completion::Readable(woken) if woken == descriptor));
    rig.ring.receive(descriptor);
    let Completion::Received { lease, .. } = rig.next() else { panic!("no receive") };
    assert_eq!(rig.read(lease), b"awake");
    rig.close(descriptor);
}

#[test]
fn the_doorbell_is_watched_again_after_each_ring() {
    let mut rig = Rig::new(SMALL);
    // A pipe stands in for the eventfd: a read of eight bytes is all that the ring asks.
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    rig.ring.watch_doorbell(Arc::new(reader.into()));
    for _ in 0..5 {
        rig.assert_quiet();
        writer.write_all(&1u64.to_ne_bytes()).expect("it rings");
        assert!(matches!(rig.next(), Completion::Doorbell));
    }
}

#[test]
fn one_ring_wakes_for_another() {
    let mut main = Rig::new(SMALL);
    let mut other = Rig::new(SMALL);
    let doorbell = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC);
    let doorbell = Arc::new(doorbell.expect("an eventfd"));
    let (mut stream, descriptor) = other.pair();
    other.ring.ring_when_ready(&doorbell).expect("it may");
    main.ring.watch_doorbell(Arc::clone(&doorbell));
    other.ring.receive(descriptor);
    other.ring.wait(Some(Duration::ZERO)).expect("it works");
    for round in 0..5u8 {
        main.assert_quiet();
        stream.write_all(&[round]).expect("it takes it");
        assert!(matches!(main.next(), Completion::Doorbell));
        other.ring.wait(Some(Duration::ZERO)).expect("it works");
        let Some(Completion::Received { lease, .. }) = other.ring.next_completion() else {
            panic!("the other ring had work")
        };
        assert_eq!(other.read(lease), [round]);
        // Posting rings, too; a ring for nothing does no harm.
        main.ring.wait(Some(Duration::ZERO)).expect("it works");
        while main.ring.next_completion().is_some() {}
    }
}

#[test]
fn our_side_of_a_stream_can_end_first() {
    let mut rig = Rig::new(SMALL);
    let (mut stream, descriptor) = rig.pair();
    rig.ring.receive(descriptor);
    rig.ring.shutdown(descriptor);
    rig.ring.wait(Some(Duration::ZERO)).expect("it works");
    let mut nothing = Vec::new();
    stream.read_to_end(&mut nothing).expect("an orderly end");
    stream.write_all(b"still heard").expect("it takes it");
    let Completion::Received { lease, .. } = rig.next() else { panic!("no receive") };
    assert_eq!(rig.read(lease), b"still heard");
    rig.close(descriptor);
}

#[test]
fn waiting_ends_with_its_time() {
    let mut rig = Rig::new(SMALL);
    let started = std::time::Instant::now();
    rig.assert_quiet();
    assert!(started.elapsed() >= QUIET);
    assert!(started.elapsed() < PATIENCE);
}

#[test]
fn a_full_submission_queue_is_submitted() {
    const CROWD: usize = 50;
    let mut rig = Rig::new(RingConfig { submission_entries: 2, completion_entries: 4, buffers: 64, ..SMALL });
    let mut pairs: Vec<_> = (0..CROWD).map(|_| rig.pair()).collect();
    for (_, descriptor) in &pairs {
        rig.ring.send(*descriptor, b"to all".to_vec(), 0);
    }
    for _ in 0..CROWD {
        assert!(matches!(rig.next(), Completion::Sent { result: Ok(6), .. }));
    }
    for (stream, _) in &mut pairs {
        let mut got = [0; 6];
        stream.read_exact(&mut got).expect("it arrives");
    }
}

// A ring that goes away with everything in flight lets go of sockets, port and memory.
#[test]
fn a_ring_dropped_in_flight_closes_its_sockets() {
    for _ in 0..10 {
        let mut rig = Rig::new(SMALL);
        let (mut stream, descriptor) = rig.pair();
        assert!(rig.ring.accept(AcceptKind::Multi));
        rig.ring.receive(descriptor);
        rig.ring.send(descriptor, vec![1; 32 << 20], 0);
        rig.ring.wait(Some(Duration::ZERO)).expect("it works");
        let Rig { ring, pool, address } = rig;
        drop(pool);
        drop(ring);
        let mut rest = Vec::new();
        // A reset is an end, too: the ring had not sent all.
        let _ = stream.read_to_end(&mut rest);
        let give_up = std::time::Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_ok() {
            assert!(std::time::Instant::now() < give_up, "it still listens");
        }
    }
}
