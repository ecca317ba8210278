//! One io_uring behind a safe API: the only crate with `unsafe`.
//!
//! Ask with the methods of [`Ring`], wait with [`Ring::wait`], take what came with
//! [`Ring::next_completion`]. Memory that the kernel reads or writes is owned by the ring or by its
//! [`BufferPool`]; `README.md` numbers the invariants that the `SAFETY` comments name.

#![warn(missing_docs)]

mod completions;
mod enter;
mod held;
mod pool;
mod probe;
mod requests;
mod ring;
mod slots;
mod token;

pub use completions::{AcceptKind, Completion, ReceiveEnd};
pub use pool::{BufferPool, Lease};
pub use probe::{Unsupported, probe};
pub use ring::{Ring, RingConfig, SetupError, Statistics};
pub use slots::Descriptor;
pub use token::SLOT_LIMIT;
