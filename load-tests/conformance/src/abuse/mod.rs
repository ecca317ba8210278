//! Do honest users notice abuse? One account with five sockets, or strangers without any, do one thing as fast as they can,
//! valid and invalid, on a server with its default limits; beside them honest users measure.
//!
//! The attackers come from addresses of their own (127.0.1.1 …), so that what is limited by address is limited as in life,
//! and their thread yields to the server's, for in life it runs on another machine.

mod attack;
mod flood;
mod frames;
mod honest;
mod measurements;
mod outcome;
mod report;
mod rows;
mod run;
mod strangers;
mod template;
mod test_context;

pub use run::{AbuseError, AbuseOptions, run};
