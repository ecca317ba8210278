//! Ringside's machines (gateways and their sessions, edge nodes, consumers, processors, the relay, the lease reaper), a log, a
//! store that is not atomic, clients, clocks, timers and a network under one seed, much faster than real time.

mod backend;
mod campaign;
mod client;
mod diagram;
mod directory;
mod edge;
mod inbox;
mod log;
mod network;
mod plan;
mod replay;
mod scheduler;
mod services;
mod shrink;
mod sockets;
mod store;
mod tokens;
mod trace;
mod wire;
mod world;

pub use campaign::{Options, run_all};
pub use diagram::draw;
pub use plan::{Fault, InvalidPlan, Place, Plan};
pub use replay::{ReplayError, Replayed, replay};
pub use shrink::{Case, shrink};
pub use trace::{Lane, Step};
pub use world::{Outcome, Scale, plan, run, run_plan};
