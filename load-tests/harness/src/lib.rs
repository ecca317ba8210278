//! The load tool and the judge: drives a running server by its public contract alone, from outside.
//!
//! Two ways to use the same protocol client: [`history`] and [`checker`] look for anything lost, doubled or out of order.

pub mod checker;
pub mod history;
