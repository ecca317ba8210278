//! `ringside admin`: accounts, roles, invitations, passwords, sessions, in a stopped data folder.
//!
//! A running server holds the folder's lock; then the command says to stop it, and changes nothing.

use clap::Subcommand;
use ringside_clock::now;
use ringside_embedded::{EmbeddedLog, MemoryPresence};
use ringside_ports::people::profiles::{Profile, ServerRole};
use ringside_sql::Directory;
use ringside_user::Users;

use crate::commands::Failure;
use crate::config::Config;
use crate::up::DataFolder;

/// Accounts read at once.
const PAGE: usize = 500;
/// Days that an invitation is good for at the most.
const INVITATION_DAYS_MAX: u64 = 365;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

type People = Users<Directory, MemoryPresence, EmbeddedLog>;

/// What the operator does. An account is named by its username, its e-mail address or its id.
#[derive(Clone, Debug, Subcommand)]
pub enum AdminCommand {
    /// Lists, makes or erases accounts.
    Users {
        /// What of them.
        #[command(subcommand)]
        what: UsersCommand,
    },
    /// Gives an account a role on the server.
    Role {
        /// The account.
        account: String,
        /// `admin` or `user`.
        role: String,
    },
    /// Makes an invitation, for a server with `registration = "invitation"`, and prints its code.
    Invite {
        /// How long it is good for.
        #[arg(long, default_value_t = 7)]
        days: u64,
    },
    /// Gives an account a new password, prints it, and ends its sessions.
    PasswordReset {
        /// The account.
        account: String,
    },
    /// The keys that sign access tokens.
    Keys {
        /// What of them.
        #[command(subcommand)]
        what: KeysCommand,
    },
    /// Lists an account's open sessions.
    Sessions {
        /// The account.
        account: String,
        /// Ends them instead.
        #[arg(long)]
        end: bool,
    },
}

/// What to do with the signing keys.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum KeysCommand {
    /// Adds a key that signs from a minute from now on, and prints its name; nobody is signed out.
    Rotate,
    /// Lists the keys that verify, oldest first.
    List,
}

/// What to do with accounts.
#[derive(Clone, Debug, Subcommand)]
pub enum UsersCommand {
    /// Lists all: id, role, username, e-mail address.
    List,
    /// Makes an account and prints its password.
    Create {
        /// Its username.
        #[arg(long)]
        username: String,
        /// Its e-mail address.
        #[arg(long)]
        email: String,
    },
    /// Erases an account's personal data, for good.
    Erase {
        /// The account.
        account: String,
    },
}

/// Does what is asked, and prints what came of it.
///
/// # Errors
/// The sentence to print.
pub fn run(config: &Config, command: &AdminCommand) -> Result<(), Failure> {
    // A mistyped folder must not become a new server.
    if !config.data_dir.is_dir() {
        let path = config.data_dir.display();
        return Err(format!("there is no data folder {path}; name the server's with --data-dir").into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = DataFolder::open(&runtime, &config.data_dir)?;
    if let AdminCommand::Keys { what } = command {
        match what {
            KeysCommand::Rotate => println!("{}", folder.keys.rotate(now())?),
            KeysCommand::List => folder.keys.public().iter().for_each(|key| println!("{}", key.id)),
        }
        return Ok(());
    }
    let people = Users::new(
        folder.directory.clone(),
        folder.presence.clone(),
        folder.engine.log(),
        folder.keys.clone(),
        config.limits.clone(),
    );
    runtime.block_on(async {
        let done = act(&people, command).await;
        folder.directory.close().await;
        done
    })
}

async fn act(people: &People, command: &AdminCommand) -> Result<(), Failure> {
    match command {
        AdminCommand::Users { what } => return users(people, what).await,
        // They need the folder alone.
        AdminCommand::Keys { .. } => {}
        AdminCommand::Role { account, role } => {
            let role = ServerRole::from_name(role)
                .ok_or_else(|| format!("{role:?} is no role; there are `admin` and `user`"))?;
            let account = living(people, account).await?;
            people.give_role(account.user.id, role).await?;
            println!("{} has the role {}.", account.user.username, role.name());
        }
        AdminCommand::Invite { days } => {
            if !(1..=INVITATION_DAYS_MAX).contains(days) {
                return Err(format!("--days is from 1 to {INVITATION_DAYS_MAX}").into());
            }
            println!("{}", people.invite(days * DAY_MS).await?);
        }
        AdminCommand::PasswordReset { account } => {
            let account = living(people, account).await?;
            println!("{}", people.reset_password(account.user.id).await?);
        }
        AdminCommand::Sessions { account, end } => {
            let account = living(people, account).await?;
            if *end {
                println!("{} sessions ended.", people.end_all(account.user.id).await?);
                return Ok(());
            }
            for session in people.open_sessions(account.user.id).await? {
                println!("{}\t{}\t{}", session.id, session.used_at, session.device);
            }
        }
    }
    Ok(())
}

async fn users(people: &People, what: &UsersCommand) -> Result<(), Failure> {
    match what {
        UsersCommand::List => {
            let mut after = None;
            loop {
                let page = people.everyone(after, PAGE).await?;
                for Profile { user, role, .. } in page.iter().filter(|profile| profile.erased_at.is_none()) {
                    println!("{}\t{}\t{}\t{}", user.id, role.name(), user.username, user.email);
                }
                after = page.last().map(|profile| profile.user.id);
                if page.len() < PAGE {
                    return Ok(());
                }
            }
        }
        UsersCommand::Create { username, email } => {
            let (_, password) = people.create(username, email).await.map_err(sentence)?;
            println!("{password}");
        }
        UsersCommand::Erase { account } => {
            let account = living(people, account).await?;
            people.erase_for_operator(account.user.id).await?;
            println!("{} is erased; its channels hear of it when the server starts.", account.user.username);
        }
    }
    Ok(())
}

async fn living(people: &People, named: &str) -> Result<Profile, Failure> {
    let found = people.find(named).await?;
    if found.erased_at.is_some() {
        return Err(format!("the account {named:?} is erased").into());
    }
    Ok(found)
}

/// Field by field, as a terminal shows it.
fn sentence(error: ringside_ports::service::ServiceError) -> Failure {
    match error {
        ringside_ports::service::ServiceError::Invalid(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|error| format!("--{} {}", error.field, error.message)).collect();
            fields.join("; ").into()
        }
        other => other.into(),
    }
}
