//! What the kernel can do, asked at start: io_uring may be old, switched off, or forbidden.

use std::fmt;
use std::io;

use io_uring::{IoUring, Probe, opcode};

/// The operations that a ring needs, and the kernel that brought each.
const NEEDED: [(u8, &str); 9] = [
    (opcode::Accept::CODE, "accept (5.19 for multishot)"),
    (opcode::Recv::CODE, "recv (6.0 for multishot)"),
    (opcode::Send::CODE, "send (5.6)"),
    (opcode::PollAdd::CODE, "poll (5.1)"),
    (opcode::AsyncCancel::CODE, "cancel (5.19 by descriptor)"),
    (opcode::Close::CODE, "close (5.15 of direct descriptors)"),
    (opcode::Read::CODE, "read (5.6)"),
    (opcode::Socket::CODE, "socket (5.19)"),
    (opcode::FixedFdInstall::CODE, "install of direct descriptors (6.8)"),
];

const PROBE_ENTRIES: u32 = 4;

/// Why io_uring can't be used here.
#[derive(Debug)]
pub enum Unsupported {
    /// The ring can't be made: forbidden (`EPERM`: a seccomp filter or
    /// `kernel.io_uring_disabled`), not in the kernel (`ENOSYS`), or too old (`EINVAL`).
    Setup(io::Error),
    /// The kernel lacks an operation.
    Operation(&'static str),
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsupported::Setup(error) => match error.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => write!(f, "io_uring is forbidden: {error}"),
                Some(libc::ENOSYS) => write!(f, "io_uring is not in this kernel: {error}"),
                Some(libc::EINVAL) => write!(f, "io_uring is older than Linux 6.1: {error}"),
                _ => write!(f, "io_uring can't be set up: {error}"),
            },
            Unsupported::Operation(name) => write!(f, "io_uring of this kernel lacks {name}"),
        }
    }
}

impl std::error::Error for Unsupported {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Unsupported::Setup(error) => Some(error),
            Unsupported::Operation(_) => None,
        }
    }
}

/// Asks the kernel whether a [`crate::Ring`] can be made here.
///
/// # Errors
/// What stands in the way.
pub fn probe() -> Result<(), Unsupported> {
    let ring: IoUring = IoUring::builder()
        .setup_submit_all()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(PROBE_ENTRIES)
        .map_err(Unsupported::Setup)?;
    check(&ring)
}

/// Asks a ring for the operations that are needed.
pub(crate) fn check(ring: &IoUring) -> Result<(), Unsupported> {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(Unsupported::Setup)?;
    match NEEDED.iter().find(|(code, _)| !probe.is_supported(*code)) {
        Some((_, name)) => Err(Unsupported::Operation(name)),
        None => Ok(()),
    }
}
