//! The load tool and the judge: drives a running server by its public contract alone, from outside.
//!
//! [`client`] and [`rest`] speak the contract. [`load`] measures. [`crash`] kills a [`server`] of its own under its clients,
//! whose [`history`] the [`checker`] judges; [`behaviours`] tries what else the
//! contract promises; [`abuse`] attacks while honest users measure. [`command`] is the command line of it all.

pub mod abuse;
pub mod amendment;
pub mod behaviours;
pub mod checker;
pub mod client;
pub mod command;
pub mod crash;
pub mod cursor;
pub mod history;
pub mod load;
pub mod process;
pub mod rest;
pub mod seed_file;
pub mod server;
pub mod silence;
pub mod timing;
