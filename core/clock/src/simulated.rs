//! Clocks in the hands of a simulation, thread by thread.

use std::cell::Cell;
use std::time::Duration;

use ringside_types::UnixMillis;

/// What the clocks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The time of day.
    pub wall: UnixMillis,
    pub since_boot: Duration,
}

thread_local! {
    static READING: Cell<Option<Reading>> = const { Cell::new(None) };
}

/// Has the clocks say this on this thread; `None`: the machine's own again.
pub fn set(reading: Option<Reading>) {
    READING.set(reading);
}

pub(crate) fn reading() -> Option<Reading> {
    READING.get()
}
