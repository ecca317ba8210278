//! The two system calls that the `io-uring` crate can't make for us: enter and register through a
//! registered ring descriptor, which saves the kernel a look-up per call.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use io_uring::IoUring;

const REGISTER_RING_FDS: libc::c_uint = 20;
const UNREGISTER_RING_FDS: libc::c_uint = 21;
const ENTER_GETEVENTS: u32 = 1 << 0;
const ENTER_EXT_ARG: u32 = 1 << 3;
const ENTER_REGISTERED_RING: u32 = 1 << 4;

#[repr(C)]
struct ResourceUpdate {
    offset: u32,
    reserved: u32,
    data: u64,
}

#[repr(C)]
struct GetEventsArgument {
    sigmask: u64,
    sigmask_bytes: u32,
    min_wait_us: u32,
    timespec: u64,
}

const _: () = assert!(size_of::<ResourceUpdate>() == 16 && size_of::<GetEventsArgument>() == 24);

/// How a thread enters its ring.
#[derive(Debug)]
pub(crate) struct Entrance {
    descriptor: RawFd,
    flags: u32,
}

/// Whether an enter looks at completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Submit only: requests that complete at once post, deferred work does not run.
    No,
    /// Run deferred work, take what is there.
    Now,
    /// Wait for one completion, or as long as this.
    Wait(Option<Duration>),
}

impl Entrance {
    /// Registers the ring with the calling thread; an old kernel's refusal costs only speed.
    pub(crate) fn new(ring: &IoUring) -> Entrance {
        let mut update = ResourceUpdate { offset: u32::MAX, reserved: 0, data: ring.as_raw_fd() as u64 };
        // SAFETY: the pointer is to one update that lives during the call.
        let registered = unsafe {
            libc::syscall(
                libc::SYS_io_uring_register,
                ring.as_raw_fd(),
                REGISTER_RING_FDS,
                &raw mut update,
                1,
            )
        };
        if registered == 1 {
            Entrance { descriptor: update.offset as RawFd, flags: ENTER_REGISTERED_RING }
        } else {
            Entrance { descriptor: ring.as_raw_fd(), flags: 0 }
        }
    }

    /// Undoes the registration, which would keep the ring alive until the thread ends.
    pub(crate) fn leave(&mut self, ring: &IoUring) {
        if self.flags & ENTER_REGISTERED_RING == 0 {
            return;
        }
        let update = ResourceUpdate { offset: self.descriptor as u32, reserved: 0, data: 0 };
        self.descriptor = ring.as_raw_fd();
        self.flags = 0;
        // SAFETY: the pointer is to one update that lives during the call.
        let left = unsafe {
            libc::syscall(
                libc::SYS_io_uring_register,
                ring.as_raw_fd(),
                UNREGISTER_RING_FDS,
                &raw const update,
                1,
            )
        };
        debug_assert!(left == 1, "the registration is ours");
    }

    /// Submits `count` requests and looks at completions. A time-out is no error.
    pub(crate) fn enter(&self, count: u32, look: Look) -> io::Result<()> {
        let mut flags = self.flags;
        let mut least = 0;
        let mut timespec = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let mut argument = GetEventsArgument { sigmask: 0, sigmask_bytes: 0, min_wait_us: 0, timespec: 0 };
        match look {
            Look::No => {}
            Look::Now => flags |= ENTER_GETEVENTS,
            Look::Wait(timeout) => {
                flags |= ENTER_GETEVENTS | ENTER_EXT_ARG;
                least = 1;
                if let Some(timeout) = timeout {
                    timespec.tv_sec = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
                    timespec.tv_nsec = i64::from(timeout.subsec_nanos());
                    argument.timespec = &raw const timespec as u64;
                }
            }
        }
        let (pointer, bytes) = if flags & ENTER_EXT_ARG != 0 {
            (&raw const argument, size_of::<GetEventsArgument>())
        } else {
            (std::ptr::null(), 0)
        };
        // SAFETY: the argument and its timespec live during the call; invariant 1 covers what the
        // submitted entries point to.
        let entered = unsafe {
            libc::syscall(libc::SYS_io_uring_enter, self.descriptor, count, least, flags, pointer, bytes)
        };
        if entered >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ETIME) => Ok(()),
            _ => Err(error),
        }
    }
}
