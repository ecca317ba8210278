//! Clocks: the time of day, which others set, and the time since boot, which nobody does.

pub mod simulated;
mod steady;

pub use steady::{boot_time, now, since_boot};
