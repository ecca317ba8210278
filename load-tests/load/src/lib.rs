//! The binary `ringside-load`, and what it measures itself: load at a fixed rate and idle connections ([`open_loop`]),
//! how soon somebody who is evicted hears nothing more ([`silence`]), and what the times of failed logins tell
//! ([`timing`]). The crash test and the conformance suite are crates of their own; [`command`] is the command line of all.

pub mod command;
pub mod open_loop;
pub mod silence;
pub mod timing;
