//! What can be asked of the kernel, one typed method each.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use io_uring::types::{CancelBuilder, DestinationSlot, Fd, Fixed};
use io_uring::{opcode, squeue};

use crate::completions::AcceptKind;
use crate::enter::Look;
use crate::held::Memory;
use crate::ring::{BUFFER_GROUP, Ring};
use crate::slots::{Descriptor, Next};
use crate::token::{Operation, Token};

/// Enters after which a call that the kernel answers at once counts as lost.
const CALL_ATTEMPTS: u32 = 1000;

impl Ring {
    /// The socket to accept from; it must be listening and blocking.
    pub fn listen(&mut self, listener: OwnedFd) {
        assert!(self.listener.is_none(), "a ring has one listener");
        self.listener = Some(listener);
    }

    /// Accepts into free descriptors: one connection, or all until the request ends.
    /// Without a listener nothing happens, and `false` says so.
    pub fn accept(&mut self, kind: AcceptKind) -> bool {
        let Some(listener) = self.listener.as_ref().filter(|_| !self.listener_closing) else {
            return false;
        };
        let listener = Fd(listener.as_raw_fd());
        let (entry, operation) = match kind {
            AcceptKind::Multi => {
                (opcode::AcceptMulti::new(listener).allocate_file_index(true).build(), Operation::AcceptMulti)
            }
            AcceptKind::Once => (
                opcode::Accept::new(listener, std::ptr::null_mut(), std::ptr::null_mut())
                    .file_index(Some(DestinationSlot::auto_target()))
                    .build(),
                Operation::AcceptOnce,
            ),
        };
        self.accepts += 1;
        // SAFETY: the request points to nothing: no address is asked for.
        unsafe { self.push(entry, Token::of_ring(operation)) };
        true
    }

    /// Ends a multishot accept; `AcceptEnded` follows. Connections accepted meanwhile still come.
    pub fn cancel_accept_multi(&mut self) {
        let target = Token::of_ring(Operation::AcceptMulti).to_user_data();
        let entry = opcode::AsyncCancel2::new(CancelBuilder::user_data(target)).build();
        self.accepts += 1;
        // SAFETY: the request points to nothing.
        unsafe { self.push(entry, Token::of_ring(Operation::CancelAccept)) };
    }

    /// Closes the listener, after the accepts that are armed on it were cancelled.
    pub fn stop_listening(&mut self) {
        if self.listener_closing || self.listener.is_none() {
            return;
        }
        self.listener_closing = true;
        if self.accepts == 0 {
            self.listener = None;
        } else {
            self.push_cancel_accepts();
        }
    }

    /// Cancels whatever is armed on the listener, which stays open until the answer.
    pub(crate) fn push_cancel_accepts(&mut self) {
        let Some(listener) = &self.listener else {
            return;
        };
        let target = CancelBuilder::fd(Fd(listener.as_raw_fd())).all();
        let entry = opcode::AsyncCancel2::new(target).build();
        self.accepts += 1;
        // SAFETY: the request points to nothing.
        unsafe { self.push(entry, Token::of_ring(Operation::CancelAccept)) };
    }

    /// Receives from `descriptor` into the pool until the request ends.
    ///
    /// # Panics
    /// If the descriptor is not open or a receive is armed already (as for all requests).
    pub fn receive(&mut self, descriptor: Descriptor) {
        self.slots.begin_receive(descriptor);
        let entry = opcode::RecvMulti::new(Fixed(descriptor.slot), BUFFER_GROUP).build();
        // SAFETY: invariant 1: the request writes to the pool only, which the ring co-owns.
        unsafe { self.push(entry, of(Operation::Receive, descriptor)) };
    }

    /// Tells once when `descriptor` has something to receive. In place of a receive, for a
    /// connection that is long idle: it costs the kernel 600 bytes less.
    ///
    /// # Panics
    /// As [`Ring::receive`].
    pub fn watch_readable(&mut self, descriptor: Descriptor) {
        self.slots.begin_receive(descriptor);
        let events = (libc::POLLIN | libc::POLLRDHUP) as u32;
        let entry = opcode::PollAdd::new(Fixed(descriptor.slot), events).build();
        // SAFETY: the request points to nothing.
        unsafe { self.push(entry, of(Operation::Readable, descriptor)) };
    }

    /// Cancels an armed receive; its end follows as `ReceiveEnd::Cancelled`, after
    /// whatever it received before.
    ///
    /// # Panics
    /// If the descriptor is not open.
    pub fn cancel_receive(&mut self, descriptor: Descriptor) {
        self.slots.begin(descriptor);
        let target = of(Operation::Receive, descriptor).to_user_data();
        let entry = opcode::AsyncCancel2::new(CancelBuilder::user_data(target)).build();
        // SAFETY: the request points to nothing.
        unsafe { self.push(entry, of(Operation::Cancel, descriptor)) };
    }

    /// Sends `buffer[offset..]`, or the part of it that fits; the buffer comes back with `Sent`.
    ///
    /// # Panics
    /// If nothing is left to send, or as [`Ring::receive`].
    pub fn send(&mut self, descriptor: Descriptor, buffer: Vec<u8>, offset: usize) {
        assert!(offset < buffer.len(), "a send has bytes");
        self.slots.begin_send(descriptor);
        let memory = Memory::Send { buffer, offset };
        let token = self.held.park(Operation::Send, descriptor, memory);
        let Some(Memory::Send { buffer, offset }) = self.held.peek(token) else {
            unreachable!("it was parked just now");
        };
        let bytes = &buffer[*offset..];
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let entry =
            opcode::Send::new(Fixed(descriptor.slot), bytes.as_ptr(), len).flags(libc::MSG_NOSIGNAL).build();
        // SAFETY: invariant 1: the vector is parked, untouched, until the final completion.
        unsafe { self.push(entry, token) };
    }

    /// Makes a TCP socket in a free descriptor, for [`Ring::connect`].
    ///
    /// # Errors
    /// The kernel's: `ENFILE` if no descriptor is free.
    pub fn socket(&mut self, address: &SocketAddr) -> io::Result<Descriptor> {
        let domain = match address {
            SocketAddr::V4(_) => libc::AF_INET,
            SocketAddr::V6(_) => libc::AF_INET6,
        };
        let entry = opcode::Socket::new(domain, libc::SOCK_STREAM, 0)
            .file_index(Some(DestinationSlot::auto_target()))
            .build();
        // SAFETY: the request points to nothing.
        let slot = unsafe { self.call(entry) }?;
        Ok(self.slots.open(slot))
    }

    /// Connects a socket, with TCP_NODELAY on; `Connected` follows.
    ///
    /// # Panics
    /// As [`Ring::receive`].
    pub fn connect(&mut self, descriptor: Descriptor, address: &SocketAddr) {
        self.push_nodelay(descriptor);
        self.slots.begin_send(descriptor);
        let (memory, len) = raw_address(address);
        let token = self.held.park(Operation::Connect, descriptor, Memory::Address(memory));
        let Some(Memory::Address(memory)) = self.held.peek(token) else {
            unreachable!("it was parked just now");
        };
        let pointer: *const libc::sockaddr_storage = &raw const **memory;
        let entry = opcode::Connect::new(Fixed(descriptor.slot), pointer.cast(), len).build();
        // SAFETY: invariant 1: the address is parked until the final completion.
        unsafe { self.push(entry, token) };
    }

    fn push_nodelay(&mut self, descriptor: Descriptor) {
        static ON: libc::c_int = 1;
        self.slots.begin(descriptor);
        let entry = opcode::SetSockOpt::new(
            Fixed(descriptor.slot),
            libc::IPPROTO_TCP as u32,
            libc::TCP_NODELAY as u32,
            (&raw const ON).cast(),
            size_of::<libc::c_int>() as u32,
        )
        .build();
        // SAFETY: invariant 1: the value is a static.
        unsafe { self.push(entry, of(Operation::Option, descriptor)) };
    }

    /// Gives `descriptor` an ordinary file descriptor beside, for calls that the ring has not
    /// (getpeername, setsockopt).
    ///
    /// # Errors
    /// The kernel's: `EMFILE` if the process has no file descriptor left.
    ///
    /// # Panics
    /// If the descriptor is not open.
    pub fn install(&mut self, descriptor: Descriptor) -> io::Result<OwnedFd> {
        assert!(self.slots.is_current(descriptor), "a request on a descriptor that is not open");
        let entry = opcode::FixedFdInstall::new(Fixed(descriptor.slot), 0).build();
        // SAFETY: the request points to nothing.
        let file = unsafe { self.call(entry) }?;
        // SAFETY: the kernel just made this file descriptor for us, nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(file as i32) })
    }

    /// True until [`Ring::close`] is called for `descriptor`.
    #[must_use]
    pub fn is_open(&self, descriptor: Descriptor) -> bool {
        self.slots.is_open(descriptor)
    }

    /// Ends our side of the stream, after what was sent; the peer's side goes on. The kernel does
    /// this on a worker thread: not for thousands at once. Nothing follows.
    ///
    /// # Panics
    /// If the descriptor is not open.
    pub fn shutdown(&mut self, descriptor: Descriptor) {
        self.slots.begin(descriptor);
        let entry = opcode::Shutdown::new(Fixed(descriptor.slot), libc::SHUT_WR).build();
        // SAFETY: the request points to nothing.
        unsafe { self.push(entry, of(Operation::Shutdown, descriptor)) };
    }

    /// Rings `doorbell` (an eventfd) whenever this ring has completions or deferred work: for a
    /// thread that waits on another ring.
    ///
    /// # Errors
    /// The kernel's.
    pub fn ring_when_ready(&mut self, doorbell: &OwnedFd) -> io::Result<()> {
        self.ring.submitter().register_eventfd(doorbell.as_raw_fd())
    }

    /// Closes `descriptor`: cancels what is outstanding, waits for its last completion, closes,
    /// and then `Closed` comes. What was sent by then still reaches the peer.
    ///
    /// # Panics
    /// If the descriptor is not open.
    pub fn close(&mut self, descriptor: Descriptor) {
        match self.slots.close(descriptor) {
            Next::Cancel => self.push_cancel(descriptor),
            Next::Close => self.push_close(descriptor),
            Next::Nothing => unreachable!("closing needs something"),
        }
    }

    /// Reads `doorbell` (a blocking eventfd) each time it is rung; `Doorbell` tells.
    ///
    /// # Panics
    /// If the ring has a doorbell.
    pub fn watch_doorbell(&mut self, doorbell: Arc<OwnedFd>) {
        assert!(self.doorbell.is_none(), "a ring has one doorbell");
        self.doorbell = Some(doorbell);
        self.push_doorbell();
    }

    pub(crate) fn push_doorbell(&mut self) {
        let Some(doorbell) = &self.doorbell else {
            return;
        };
        let word = self.doorbell_word.as_mut_ptr();
        let entry = opcode::Read::new(Fd(doorbell.as_raw_fd()), word, 8).build();
        // SAFETY: invariant 1: the ring owns the word, and one read at a time writes it: the next
        // is pushed after the final completion of the one before.
        unsafe { self.push(entry, Token::of_ring(Operation::Doorbell)) };
    }

    pub(crate) fn push_cancel(&mut self, descriptor: Descriptor) {
        let target = CancelBuilder::fd(Fixed(descriptor.slot)).all();
        let entry = opcode::AsyncCancel2::new(target).build();
        // SAFETY: the request points to nothing.
        unsafe { self.push(entry, of(Operation::Cancel, descriptor)) };
    }

    pub(crate) fn push_close(&mut self, descriptor: Descriptor) {
        let entry = opcode::Close::new(Fixed(descriptor.slot)).build();
        // SAFETY: the request points to nothing.
        unsafe { self.push(entry, of(Operation::Close, descriptor)) };
    }

    /// Asks something that the kernel answers while it is submitted, and waits for the answer;
    /// other completions are kept for later, in order.
    ///
    /// # Safety
    /// As [`Ring::push`].
    unsafe fn call(&mut self, entry: squeue::Entry) -> io::Result<u32> {
        self.calls = self.calls.wrapping_add(1);
        let token = Token::new(Operation::Call, 0, self.calls);
        // SAFETY: the caller's promise.
        unsafe { self.push(entry, token) };
        let wanted = token.to_user_data();
        for _ in 0..CALL_ATTEMPTS {
            // An error that passes shows in the answer's absence; another one in the end.
            let entered = self.enter(Look::Now);
            self.stash_completions();
            if let Some(place) = self.stash.iter().rposition(|e| e.user_data == wanted) {
                let answer = self.stash.remove(place).expect("it was found just now");
                self.outstanding -= 1;
                return u32::try_from(answer.result)
                    .map_err(|_| io::Error::from_raw_os_error(-answer.result));
            }
            entered.or_else(|error| match error.raw_os_error() {
                Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(()),
                _ => Err(error),
            })?;
        }
        panic!("invariant 2: the kernel did not answer a request");
    }
}

fn of(operation: Operation, descriptor: Descriptor) -> Token {
    Token::new(operation, descriptor.slot, descriptor.generation)
}

/// An address as the kernel reads it.
fn raw_address(address: &SocketAddr) -> (Box<libc::sockaddr_storage>, libc::socklen_t) {
    // SAFETY: a sockaddr_storage is plain bytes; all zeroes is one.
    let mut storage: Box<libc::sockaddr_storage> = Box::new(unsafe { std::mem::zeroed() });
    let pointer: *mut libc::sockaddr_storage = &raw mut *storage;
    let len = match address {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            };
            // SAFETY: a sockaddr_storage is larger than and aligned for every sockaddr.
            unsafe { pointer.cast::<libc::sockaddr_in>().write(raw) };
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: a sockaddr_storage is larger than and aligned for every sockaddr.
            unsafe { pointer.cast::<libc::sockaddr_in6>().write(raw) };
            size_of::<libc::sockaddr_in6>()
        }
    };
    (storage, len as libc::socklen_t)
}
