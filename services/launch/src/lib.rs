//! Configuration, choice of engines, and the roles of the binary `ringside`.

pub mod admin;
mod backup;
pub mod cli;
pub mod commands;
pub mod config;
mod doctor;
mod keys;
mod logging;
mod seed;
mod tls;
mod up;
