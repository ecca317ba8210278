//! Configuration, choice of engines, and the roles of the binary `ringside`.

pub mod admin;
mod audit;
mod backup;
pub mod cli;
pub mod commands;
pub mod config;
mod control;
mod doctor;
mod keys;
mod logging;
mod seed;
mod tls;
mod up;
