//! `ringside admin`: accounts, roles, invitations, passwords, sessions, keys.
//!
//! A running server does it itself, asked through its control socket; where none runs, the command opens the folder and
//! does the same there. Either way each command is recorded in the audit log.

use clap::Subcommand;
use ringside_application::service::ServiceError;
use ringside_clock::now;
use ringside_ports::keys::KeyStoreError;
use ringside_ports::people::profiles::{Profile, ServerRole};
use ringside_ports::people::sessions::Session;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::audit::{Actor, Audit, Entry, Outcome};
use crate::commands::{Failure, print};
use crate::config::Config;
use crate::control::{self, PIECES_MAX, Question};
use crate::engines::Engines;
use crate::roles::user::{self, Keys, Service};

/// Accounts read at once.
const PAGE: usize = 500;
/// Days that an invitation is good for at the most.
const INVITATION_DAYS_MAX: u64 = 365;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// What the operator does. An account is named by its username, its e-mail address or its id.
#[derive(Clone, Debug, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
#[derive(Clone, Copy, Debug, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeysCommand {
    /// Adds a key that signs from a minute from now on, and prints its name; nobody is signed out.
    Rotate,
    /// Lists the keys that verify, oldest first.
    List,
}

/// What to do with accounts.
#[derive(Clone, Debug, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

impl AdminCommand {
    /// Its name in the audit log.
    fn action(&self) -> &'static str {
        match self {
            Self::Users { what: UsersCommand::List } => "admin_users_list",
            Self::Users { what: UsersCommand::Create { .. } } => "admin_user_create",
            Self::Users { what: UsersCommand::Erase { .. } } => "admin_user_erase",
            Self::Role { .. } => "admin_role",
            Self::Invite { .. } => "admin_invite",
            Self::PasswordReset { .. } => "admin_password_reset",
            Self::Keys { what: KeysCommand::Rotate } => "admin_keys_rotate",
            Self::Keys { what: KeysCommand::List } => "admin_keys_list",
            Self::Sessions { end: false, .. } => "admin_sessions_list",
            Self::Sessions { end: true, .. } => "admin_sessions_end",
        }
    }
}

/// Why a command is not done: the sentence to print.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// It can't be meant so.
    #[error("{0}")]
    Invalid(String),
    /// The accounts' service refuses.
    #[error("{}", sentence(.0))]
    Service(#[from] ServiceError),
    /// The keys can't be changed.
    #[error(transparent)]
    Keys(#[from] KeyStoreError),
    /// Whoever asked has gone: a list ends early. What was to be changed is changed.
    #[error("nobody reads the answer any more")]
    Unread,
}

impl AdminError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::Service(error) => error.reason(),
            Self::Keys(_) => "keys",
            Self::Unread => "unread",
        }
    }
}

/// Has it done, and prints what came of it.
///
/// # Errors
/// The sentence to print.
pub fn run(config: &Config, command: &AdminCommand) -> Result<(), Failure> {
    let question = Question::Admin(command.clone());
    let Some((runtime, engines)) = control::ask_or_open(config, &question)? else { return Ok(()) };
    runtime.block_on(async {
        let done = in_stopped_folder(config, &engines, command).await;
        engines.close().await;
        done
    })
}

async fn in_stopped_folder(
    config: &Config,
    engines: &Engines,
    command: &AdminCommand,
) -> Result<(), Failure> {
    let (people, keys) = user::open(engines, config).await?;
    let (audit, writer) = Audit::open(&config.data_dir, &config.audit)?;
    let (stop, stopping) = watch::channel(false);
    let writing = writer.map(|writer| tokio::spawn(writer.run(stopping)));
    let administration = Administration { people, keys, is_running: false, audit };
    let (pieces, mut texts) = mpsc::channel::<String>(PIECES_MAX);
    let printing = async {
        while let Some(text) = texts.recv().await {
            print(&text);
        }
    };
    let actor = Actor::Operator(geteuid().as_raw());
    let (done, ()) = tokio::join!(administration.perform(actor, command, pieces), printing);
    stop.send_replace(true);
    if let Some(writing) = writing {
        writing.await?;
    }
    Ok(done?)
}

/// What commands are done with.
pub(crate) struct Administration {
    pub(crate) people: Service,
    pub(crate) keys: Keys,
    /// Whether a server does this, or a command on a stopped folder.
    pub(crate) is_running: bool,
    pub(crate) audit: Audit,
}

/// What is printed of a command, piece by piece.
type Pieces = mpsc::Sender<String>;

impl Administration {
    /// Does it, says what came of it, and records it.
    pub(crate) async fn perform(
        &self,
        actor: Actor,
        command: &AdminCommand,
        pieces: Pieces,
    ) -> Result<(), AdminError> {
        let mut entry = Entry::new(actor, command.action());
        let done = self.act(command, &pieces, &mut entry).await;
        if let Err(error) = &done {
            entry.reason = Some(error.reason());
            if !matches!(error, AdminError::Unread) {
                entry.outcome = Outcome::Failed;
            }
        }
        tracing::info!(action = entry.action, %actor, outcome = ?entry.outcome, "the operator gave a command");
        self.record(entry).await;
        done
    }

    pub(crate) async fn record(&self, entry: Entry) {
        self.audit.record(entry).await;
    }

    async fn act(
        &self,
        command: &AdminCommand,
        pieces: &Pieces,
        entry: &mut Entry,
    ) -> Result<(), AdminError> {
        let people = &self.people;
        let told = match command {
            AdminCommand::Users { what } => return self.users(what, pieces, entry).await,
            AdminCommand::Keys { what: KeysCommand::Rotate } => {
                let key = self.keys.rotate(now()).await?;
                entry.target = Some(key.clone());
                key
            }
            AdminCommand::Keys { what: KeysCommand::List } => {
                let public = self.keys.keys().public();
                public.keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>().join("\n")
            }
            AdminCommand::Role { account, role } => {
                let role = ServerRole::from_name(role).ok_or_else(|| {
                    AdminError::Invalid(format!("{role:?} is no role; there are `admin` and `user`"))
                })?;
                let account = self.living(account, entry).await?;
                entry.detail = Some(role.name().to_owned());
                people.give_role(account.user.id, role).await?;
                format!("{} has the role {}.", account.user.username, role.name())
            }
            AdminCommand::Invite { days } => {
                if !(1..=INVITATION_DAYS_MAX).contains(days) {
                    return Err(AdminError::Invalid(format!("--days is from 1 to {INVITATION_DAYS_MAX}")));
                }
                entry.detail = Some(format!("{days} days"));
                people.invite(days * DAY_MS).await?
            }
            AdminCommand::PasswordReset { account } => {
                let account = self.living(account, entry).await?;
                people.reset_password(account.user.id).await?
            }
            AdminCommand::Sessions { account, end } => {
                let account = self.living(account, entry).await?;
                if *end {
                    format!("{} sessions ended.", people.end_all(account.user.id).await?)
                } else {
                    let sessions = people.open_sessions(account.user.id).await?;
                    let line = |session: &Session| {
                        format!("{}\t{}\t{}", session.id, session.used_at, session.device)
                    };
                    sessions.iter().map(line).collect::<Vec<_>>().join("\n")
                }
            }
        };
        // Of an empty list there is nothing to say.
        if told.is_empty() { Ok(()) } else { say(pieces, told).await }
    }

    async fn users(&self, what: &UsersCommand, pieces: &Pieces, entry: &mut Entry) -> Result<(), AdminError> {
        let people = &self.people;
        match what {
            UsersCommand::List => {
                let mut after = None;
                loop {
                    let page = people.everyone(after, PAGE).await?;
                    let living = page.iter().filter(|profile| profile.erased_at.is_none());
                    let line = |Profile { user, role, .. }: &Profile| {
                        format!("{}\t{}\t{}\t{}", user.id, role.name(), user.username, user.email)
                    };
                    let lines: Vec<String> = living.map(line).collect();
                    if !lines.is_empty() {
                        say(pieces, lines.join("\n")).await?;
                    }
                    after = page.last().map(|profile| profile.user.id);
                    if page.len() < PAGE {
                        return Ok(());
                    }
                }
            }
            UsersCommand::Create { username, email } => {
                let (user, password) = people.create(username, email).await?;
                entry.target = Some(user.id.to_string());
                say(pieces, password).await
            }
            UsersCommand::Erase { account } => {
                let account = self.living(account, entry).await?;
                people.erase_for_operator(account.user.id).await?;
                let when = if self.is_running { "now" } else { "when the server starts" };
                let name = account.user.username;
                say(pieces, format!("{name} is erased; its channels hear of it {when}.")).await
            }
        }
    }

    /// The account with this name, which becomes the entry's target.
    async fn living(&self, named: &str, entry: &mut Entry) -> Result<Profile, AdminError> {
        let found = self.people.find(named).await?;
        entry.target = Some(found.user.id.to_string());
        if found.erased_at.is_some() {
            return Err(AdminError::Invalid(format!("the account {named:?} is erased")));
        }
        Ok(found)
    }
}

async fn say(pieces: &Pieces, text: String) -> Result<(), AdminError> {
    pieces.send(text).await.map_err(|_| AdminError::Unread)
}

/// Field by field, as a terminal shows it.
fn sentence(error: &ServiceError) -> String {
    match error {
        ServiceError::Invalid(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|error| format!("--{}: {}", error.field, error.message)).collect();
            fields.join(" ")
        }
        other => other.to_string(),
    }
}
