//! The atomics that the asleep flag uses; a model test compiles `asleep.rs` against loom's instead.

pub(crate) use std::sync::atomic::{AtomicBool, Ordering, fence};
