//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::admin::AdminCommand;

/// A chat backend: the server side of something like Slack or WhatsApp.
#[derive(Debug, Parser)]
#[command(name = "ringside", version, arg_required_else_help = false)]
pub struct Cli {
    /// What to do; `up` where nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings.
    #[command(flatten)]
    pub flags: Flags,
}

/// What the binary does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Starts everything on this machine, on embedded engines if the configuration names no others.
    Up,
    /// Starts some roles, or all of them: edge, api, message, user, channel, presence.
    Run {
        /// Which, separated by commas [default: all]
        #[arg(long)]
        roles: Option<String>,
    },
    /// Makes topics, tables and first records, where they are not there yet. Of the embedded engines `up` does so by itself.
    Init {
        /// Says what would be made in engines that processes share, and makes nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Shows or checks the configuration.
    Config {
        /// What of it.
        #[command(subcommand)]
        what: ConfigCommand,
    },
    /// Writes accounts, channels and a token file into a stopped data folder, for load tests.
    Seed {
        /// Accounts.
        #[arg(long)]
        users: usize,
        /// Channels.
        #[arg(long)]
        channels: usize,
        /// Members of each channel; 2 makes DMs.
        #[arg(long)]
        members: usize,
    },
    /// Accounts, roles, invitations, passwords, sessions and keys, of a running server or of a stopped one.
    Admin {
        /// What to do.
        #[command(subcommand)]
        what: AdminCommand,
    },
    /// Copies the data folder, of a running server or of a stopped one, into a new folder.
    Backup {
        /// The new folder.
        #[arg(long)]
        to: PathBuf,
    },
    /// Puts a backup into an empty data folder.
    Restore {
        /// The backup's folder.
        #[arg(long)]
        from: PathBuf,
    },
    /// Says whether this machine is set up for many connections.
    Doctor {
        /// Looks at the engines of the cluster as well: whether they answer, and are as they must be.
        #[arg(long)]
        cluster: bool,
    },
    /// Runs one role of a cluster.
    #[command(external_subcommand)]
    Role(Vec<String>),
}

/// What to do with the configuration.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Says whether it is valid.
    Check,
    /// Prints it as it is in force.
    Show,
}

/// Settings that are also keys of `ringside.toml` and variables of the environment.
#[derive(Debug, Default, Args)]
pub struct Flags {
    /// The configuration file [default: ringside.toml, if it is there]
    #[arg(long, global = true, env = "RINGSIDE_CONFIG")]
    pub config: Option<PathBuf>,
    /// The data folder [default: ringside-data]
    #[arg(long, global = true)]
    data_dir: Option<String>,
    /// REST, and the web client at / [default: 127.0.0.1:8080]
    #[arg(long, global = true)]
    api_addr: Option<String>,
    /// WebSocket, at /ws [default: 127.0.0.1:8081]
    #[arg(long, global = true)]
    edge_addr: Option<String>,
    /// /status in a browser; /health, /ready and /metrics [default: 127.0.0.1:8082]
    #[arg(long, global = true)]
    admin_addr: Option<String>,
    /// Shards of the edge [default: one per core]
    #[arg(long, global = true)]
    shards: Option<String>,
    /// How long a drain may take, in seconds [default: 20]
    #[arg(long, global = true)]
    drain_window_s: Option<String>,
    /// The certificate chain, in PEM; turns TLS on
    #[arg(long, global = true)]
    tls_cert: Option<String>,
    /// The certificate's key, in PEM
    #[arg(long, global = true)]
    tls_key: Option<String>,
}

impl Cli {
    /// The settings that were given on the command line, by their keys.
    pub fn given(&self) -> Vec<(&'static str, String)> {
        let roles = match &self.command {
            Some(Command::Run { roles: Some(roles) }) => Some(("roles", roles.clone())),
            _ => None,
        };
        self.flags.given().into_iter().chain(roles).collect()
    }
}

impl Flags {
    /// The flags that were given, by their keys.
    pub fn given(&self) -> Vec<(&'static str, String)> {
        let flags = [
            ("data_dir", &self.data_dir),
            ("api_addr", &self.api_addr),
            ("edge_addr", &self.edge_addr),
            ("admin_addr", &self.admin_addr),
            ("shards", &self.shards),
            ("drain_window_s", &self.drain_window_s),
            ("tls_cert", &self.tls_cert),
            ("tls_key", &self.tls_key),
        ];
        flags.into_iter().filter_map(|(key, text)| Some((key, text.clone()?))).collect()
    }
}
