//! The echo server: the product's reactor and WebSocket machine with an echo behind them, for conformance suites and
//! for measuring what a connection costs. Any path, no authentication, text and binary, product limits off. Beside it, what
//! a conformance suite's report comes to.

mod echo;
mod verdict;

pub use echo::{Echo, MESSAGE_BYTES_MAX};
pub use verdict::RateDecision;
