//! What each command does.

pub(crate) mod doctor;
mod seed;

use std::io::{self, Write as _};

use rustix::fs::Mode;

use crate::cli::{Cli, Command, ConfigCommand};
use crate::roles::Role;
use crate::{admin, backup, config, engines, init, logging, run, tls};

/// Anything that ends a command: a sentence that says what to do.
pub type Failure = Box<dyn std::error::Error>;

/// Permissions that no file of this process gives: what it writes is its owner's alone, whichever command writes it.
const UMASK: Mode = Mode::RWXG.union(Mode::RWXO);

/// Prints what a command says. Who closes the pipe wants to know no more.
pub(crate) fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Runs what the command line says.
///
/// # Errors
/// The sentence to print before the process ends with 2.
pub fn run(cli: &Cli) -> Result<(), Failure> {
    rustix::process::umask(UMASK);
    let read = || {
        config::refuse_unknown_variables(std::env::vars_os().map(|(name, _)| name.to_string_lossy().into()))?;
        config::read(cli.flags.config.as_deref(), |name| std::env::var(name).ok(), &cli.given())
    };
    match &cli.command {
        None | Some(Command::Up) => {
            let config = read()?;
            logging::start();
            run::run(&config, &Role::ALL)
        }
        Some(Command::Run { .. }) => {
            let config = read()?;
            logging::start();
            run::run(&config, &config.roles)
        }
        Some(Command::Init { dry_run: false }) => init::run(&read()?),
        Some(Command::Init { dry_run: true }) => init::plan(&read()?),
        Some(Command::Config { what }) => {
            let config = read()?;
            match what {
                ConfigCommand::Check => {
                    tls::read(&config)?;
                    println!("The configuration is valid.");
                }
                ConfigCommand::Show => print(config::shown(&config).trim_end()),
            }
            Ok(())
        }
        Some(Command::Seed { users, channels, members }) => {
            let wish = seed::Wish { users: *users, channels: *channels, members: *members };
            let path = seed::run(&read()?, &wish)?;
            println!("{} users, {} channels: tokens and passwords are in {}", users, channels, path.display());
            Ok(())
        }
        Some(Command::Admin { what }) => admin::run(&read()?, what),
        Some(Command::Backup { to }) => backup::run(&read()?, to),
        Some(Command::Restore { from }) => backup::restore(&read()?, from),
        Some(Command::Doctor { cluster }) => {
            let config = read()?;
            doctor::print(&doctor::findings(&config.data_dir));
            if *cluster {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                doctor::print(&runtime.block_on(engines::findings(&config)));
            }
            Ok(())
        }
        Some(Command::Role(words)) => Err(format!(
            "`{}` is no command of this version. One role per process is not built yet; `ringside up` runs all roles in one \
             process",
            words.join(" ")
        )
        .into()),
    }
}
