//! The load tool and the judge: drives a running server by its public contract alone, from outside.
//!
//! [`client`] speaks the contract. [`load`] measures; [`history`] and [`checker`] look for anything lost, doubled or out
//! of order.

pub mod checker;
pub mod client;
pub mod history;
pub mod load;
pub mod process;
pub mod seed_file;
