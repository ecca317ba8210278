//! What each command does.

use crate::cli::{Cli, Command, ConfigCommand};
use crate::config::{self, Config};
use crate::doctor;

/// Anything that ends a command: a sentence that says what to do.
pub type Failure = Box<dyn std::error::Error>;

/// Runs what the command line says.
///
/// # Errors
/// The sentence to print before the process ends with 2.
pub fn run(cli: &Cli) -> Result<(), Failure> {
    let read =
        || config::read(cli.flags.config.as_deref(), |name| std::env::var(name).ok(), &cli.flags.given());
    match &cli.command {
        None | Some(Command::Up) => up(&read()?),
        Some(Command::Config { what }) => {
            let config = read()?;
            match what {
                ConfigCommand::Check => println!("The configuration is valid."),
                ConfigCommand::Show => println!("{config:#?}"),
            }
            Ok(())
        }
        Some(Command::Seed { .. }) => Err("`seed` is not built yet".into()),
        Some(Command::Doctor) => {
            for finding in doctor::findings() {
                println!("{} {}", if finding.good { "ok  " } else { "look" }, finding.text);
            }
            Ok(())
        }
        Some(Command::Role(words)) => Err(format!(
            "`{}` is no command of this version. One role per process needs the engines of a cluster, which are not \
             built yet; `ringside up` runs all roles in one process",
            words.join(" ")
        )
        .into()),
    }
}

fn up(_: &Config) -> Result<(), Failure> {
    Err("`up` is not built yet".into())
}
