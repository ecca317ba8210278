//! Histories of what clients sent and saw, and the checker of invariants 1–10 of the project's testing rules.
//!
//! [`check`] is pure: it decides from a [`history::History`] alone, without any state of the server or a clock of its own.
//! What a client doesn't know is unknown: a send without an answer may or may not appear, and neither is a violation.

pub mod history;
mod index;
mod invariants;
mod verdict;

pub use invariants::{CertainCursors, SILENT_WITHIN_US, certain_cursors, check};
pub use verdict::{Counts, Fault, Invariant, MAX_REPORTED_PER_FAULT, Verdict, Violation};
