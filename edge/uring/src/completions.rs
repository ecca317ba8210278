//! What comes back from the kernel: each entry's token is checked before any state is touched.

use io_uring::cqueue;

use crate::held::Memory;
use crate::pool::Lease;
use crate::ring::{Entry, Ring};
use crate::slots::{Descriptor, Next};
use crate::token::{Operation, Token};

/// How connections are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptKind {
    /// One request accepts until it ends.
    Multi,
    /// One request accepts one connection.
    Once,
}

/// Why a receive is no longer armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveEnd {
    /// The peer closed its side.
    Eof,
    /// The pool was empty. What came stays in the socket: give back, then arm again.
    NoBuffers,
    /// Cancelled, by [`Ring::close`] or [`Ring::cancel_receive`].
    Cancelled,
    /// The socket's error: the errno.
    Error(i32),
}

/// What the kernel has done.
#[derive(Debug)]
pub enum Completion {
    /// A connection was accepted. `armed`: the multishot request goes on.
    Accepted {
        /// The new descriptor.
        descriptor: Descriptor,
        /// What accepted it.
        kind: AcceptKind,
        /// False: the request is over, arm another.
        armed: bool,
    },
    /// An accept ended without a connection: the errno (`ENFILE`: no descriptor free).
    AcceptEnded {
        /// Which.
        kind: AcceptKind,
        /// Why.
        errno: i32,
    },
    /// Bytes came; the lease must be given back even if the descriptor is no longer known.
    Received {
        /// From where.
        descriptor: Descriptor,
        /// What.
        lease: Lease,
        /// False: the request is over (the completion queue was full, or the kernel had its
        /// reasons), arm another.
        armed: bool,
    },
    /// A receive ended.
    ReceiveEnded {
        /// Of which descriptor.
        descriptor: Descriptor,
        /// Why.
        end: ReceiveEnd,
    },
    /// A watched descriptor has something to receive; the watch is over.
    Readable(Descriptor),
    /// A send is over; the buffer comes back.
    Sent {
        /// Of which descriptor.
        descriptor: Descriptor,
        /// The buffer of the request.
        buffer: Vec<u8>,
        /// The offset of the request.
        offset: usize,
        /// How many bytes from there the kernel took, or the errno.
        result: Result<usize, i32>,
    },
    /// A connect is over.
    Connected {
        /// Of which descriptor.
        descriptor: Descriptor,
        /// The errno, if it failed.
        result: Result<(), i32>,
    },
    /// The descriptor is closed and its name stale; nothing of it comes any more.
    Closed(Descriptor),
    /// The doorbell was rung and is watched again.
    Doorbell,
}

impl Ring {
    /// The next thing that the kernel has done; `None` until the next [`Ring::wait`].
    pub fn next_completion(&mut self) -> Option<Completion> {
        loop {
            let entry = match self.stash.pop_front() {
                Some(entry) => entry,
                None => Entry::from(self.ring.completion().next()?),
            };
            if let Some(completion) = self.take(entry) {
                return Some(completion);
            }
        }
    }

    fn take(&mut self, entry: Entry) -> Option<Completion> {
        let token = Token::from_user_data(entry.user_data)
            .expect("invariant 2: a completion of a request that was never made");
        let last = !cqueue::more(entry.flags);
        if last {
            self.outstanding =
                self.outstanding.checked_sub(1).expect("invariant 2: one final completion per request");
        }
        let descriptor = Descriptor::new(token.slot, token.generation);
        match token.operation {
            Operation::AcceptMulti => Some(self.accepted(AcceptKind::Multi, entry.result, last)),
            Operation::AcceptOnce => Some(self.accepted(AcceptKind::Once, entry.result, last)),
            Operation::CancelAccept => {
                self.accept_finished();
                // Nothing was found, yet an accept is outstanding: it was on its way.
                if entry.result <= 0 && self.listener_closing {
                    self.push_cancel_accepts();
                }
                None
            }
            Operation::Receive => self.received(descriptor, entry, last),
            Operation::Readable => {
                let current = self.slots.is_current(descriptor);
                let next = self.slots.finish_receive(descriptor);
                self.follow(descriptor, next);
                current.then_some(if entry.result >= 0 {
                    Completion::Readable(descriptor)
                } else {
                    let end = receive_end(entry.result);
                    Completion::ReceiveEnded { descriptor, end }
                })
            }
            Operation::Send | Operation::Connect => self.held_finished(token, entry.result),
            Operation::Option | Operation::Shutdown => {
                let next = self.slots.finish(descriptor);
                self.follow(descriptor, next);
                None
            }
            Operation::Cancel => {
                self.cancelled(descriptor, entry.result);
                None
            }
            Operation::Close => {
                self.slots.closed(descriptor);
                Some(Completion::Closed(descriptor))
            }
            Operation::Doorbell => {
                self.push_doorbell();
                Some(Completion::Doorbell)
            }
            Operation::Call | Operation::CancelAll => None,
        }
    }

    fn accepted(&mut self, kind: AcceptKind, result: i32, last: bool) -> Completion {
        if last {
            self.accept_finished();
        } else if self.listener_closing {
            // It was on its way when it was cancelled, and went on.
            self.push_cancel_accepts();
        }
        match u32::try_from(result) {
            Ok(slot) => Completion::Accepted { descriptor: self.slots.open(slot), kind, armed: !last },
            Err(_) => Completion::AcceptEnded { kind, errno: -result },
        }
    }

    /// An accept, or the cancel of one, is over.
    fn accept_finished(&mut self) {
        self.accepts -= 1;
        if self.accepts == 0 && self.listener_closing {
            self.listener = None;
        }
    }

    fn received(&mut self, descriptor: Descriptor, entry: Entry, last: bool) -> Option<Completion> {
        let current = self.slots.is_current(descriptor);
        if !current {
            self.statistics.stale_completions += 1;
        } else if last {
            let next = self.slots.finish_receive(descriptor);
            self.follow(descriptor, next);
        }
        // A buffer is delivered whatever else is true: it must go back to the pool.
        if let Some(buffer) = cqueue::buffer_select(entry.flags) {
            return Some(Completion::Received {
                descriptor,
                lease: self.pool.lease(buffer, entry.result.max(0) as u32),
                armed: !last,
            });
        }
        let end = receive_end(entry.result);
        (current && last).then_some(Completion::ReceiveEnded { descriptor, end })
    }

    fn held_finished(&mut self, token: Token, result: i32) -> Option<Completion> {
        let Some((descriptor, memory)) = self.held.release(token) else {
            self.statistics.stale_completions += 1;
            return None;
        };
        let next = self.slots.finish_send(descriptor);
        self.follow(descriptor, next);
        Some(match memory {
            Memory::Send { buffer, offset } => Completion::Sent {
                descriptor,
                buffer,
                offset,
                result: usize::try_from(result).map_err(|_| -result),
            },
            Memory::Address(_) => {
                Completion::Connected { descriptor, result: if result >= 0 { Ok(()) } else { Err(-result) } }
            }
        })
    }

    fn cancelled(&mut self, descriptor: Descriptor, result: i32) {
        let next = self.slots.finish(descriptor);
        // Nothing was found, yet something is outstanding: it may be between two places in the
        // kernel, from where it would go on. (Its completion may also be here already, unread.)
        if next == Some(Next::Nothing) && result <= 0 {
            self.cancel_again.push(descriptor);
        }
        self.follow(descriptor, next);
    }

    fn follow(&mut self, descriptor: Descriptor, next: Option<Next>) {
        match next {
            Some(Next::Close) => self.push_close(descriptor),
            Some(Next::Cancel | Next::Nothing) => {}
            None => self.statistics.stale_completions += 1,
        }
    }
}

fn receive_end(result: i32) -> ReceiveEnd {
    match -result {
        0 => ReceiveEnd::Eof,
        libc::ENOBUFS => ReceiveEnd::NoBuffers,
        libc::ECANCELED => ReceiveEnd::Cancelled,
        errno => ReceiveEnd::Error(errno),
    }
}
