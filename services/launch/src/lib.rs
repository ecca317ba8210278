//! Configuration, choice of engines, and the roles of the binary `ringside`.

pub mod admin;
mod audit;
mod backup;
pub mod cli;
pub mod commands;
pub mod config;
mod control;
mod engines;
mod init;
mod logging;
mod roles;
mod run;
mod tls;
