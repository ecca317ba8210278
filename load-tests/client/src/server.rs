//! A server process of our own: started, watched until ready, killed, drained.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use hyper::Method;
use rustix::process::{Pid, Signal, kill_process};
use thiserror::Error;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::rest::Rest;
use crate::websocket::Target;

/// The contract: ready within this time, after a crash too.
pub const READY_DEADLINE: Duration = Duration::from_secs(10);
const READY_POLL: Duration = Duration::from_millis(25);
/// Starts tried before giving up: a port that was free a moment ago may be taken.
const MAX_STARTS: u32 = 4;
/// A child that was killed has to be gone within this time.
const GONE_DEADLINE: Duration = Duration::from_secs(30);

/// What is turned off for clients that are few and fast.
const LIMITS_OF_FAST_CLIENTS: [&str; 8] = [
    "MESSAGES_PER_SECOND",
    "CHANNEL_MESSAGES_PER_MINUTE",
    "CHANNELS_PER_MINUTE",
    "CONNECTIONS_PER_USER",
    "REST_PER_MINUTE",
    "REGISTER_PER_MINUTE_PER_ADDRESS",
    "SIGN_INS_PER_MINUTE_PER_ADDRESS",
    "LOGIN_FAILURES_PER_MINUTE",
];

/// Where the three listeners are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// REST, and `/ws` behind it.
    pub api: SocketAddr,
    /// The WebSocket edge.
    pub edge: SocketAddr,
    /// `/ready` and `/metrics`.
    pub admin: SocketAddr,
}

impl Addresses {
    /// Three ports that are free now, on loopback.
    pub fn pick() -> io::Result<Self> {
        let bound = || TcpListener::bind("127.0.0.1:0");
        let (api, edge, admin) = (bound()?, bound()?, bound()?);
        Ok(Self { api: api.local_addr()?, edge: edge.local_addr()?, admin: admin.local_addr()? })
    }

    /// The edge, for clients.
    pub fn target(&self) -> Target {
        Target::at(self.edge)
    }

    /// The edge behind the API's port, for clients.
    pub fn websocket_proxy(&self) -> Target {
        Target::at(self.api)
    }

    /// The API, for clients.
    pub fn rest(&self) -> Rest {
        Rest::at(self.api)
    }
}

/// Which server the tools start.
#[derive(Clone, Debug, Args)]
pub struct ServerOptions {
    /// The `ringside` binary.
    #[arg(long)]
    pub binary: PathBuf,
    /// A variable of its environment, like RINGSIDE_BACKEND=poll; may be given several times.
    /// `{name}` in its value is a name that each data folder has for itself: engines beside it can be told apart by it.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    pub environment: Vec<(String, String)>,
    /// A shell command that comes before the first start on a data folder, and before `--init`; `{name}` as in `--env`.
    #[arg(long)]
    pub before: Option<String>,
    /// Runs `ringside init` before the first start on a data folder, as the engines of a cluster need it.
    #[arg(long)]
    pub init: bool,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a variable is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// How a server is started.
#[derive(Clone, Debug)]
pub struct ServerSpec {
    /// The `ringside` binary.
    pub binary: PathBuf,
    /// Its data folder.
    pub data_dir: PathBuf,
    /// Where its stderr goes, appended.
    pub log_file: PathBuf,
    /// `RINGSIDE_…` variables; those of our own environment are not passed on.
    pub environment: Vec<(String, String)>,
    /// A shell command that comes before the first start.
    pub before: Option<String>,
    /// Whether `ringside init` comes before the first start.
    pub init: bool,
}

impl ServerOptions {
    /// A server whose data and log are in this folder.
    pub fn spec_in(&self, folder: &Path) -> ServerSpec {
        let name = Uuid::new_v5(&Uuid::NAMESPACE_URL, folder.as_os_str().as_bytes()).simple();
        let name = format!("t{name}");
        let named = |(key, value): &(String, String)| (key.clone(), value.replace("{name}", &name));
        ServerSpec {
            binary: self.binary.clone(),
            data_dir: folder.join("data"),
            log_file: folder.join("server.log"),
            environment: self.environment.iter().map(named).collect(),
            before: self.before.as_ref().map(|command| command.replace("{name}", &name)),
            init: self.init,
        }
    }
}

impl ServerSpec {
    /// What comes before the first start.
    async fn prepare(&self) -> Result<(), ServerError> {
        let before = self.before.as_ref().map(|command| {
            let mut shell = Command::new("sh");
            shell.args(["-ec", command]).stdout(Stdio::null());
            shell
        });
        let init = if self.init { Some(self.command("init")?) } else { None };
        for mut command in before.into_iter().chain(init) {
            let status = command.status().await?;
            if !status.success() {
                return Err(ServerError::Ended { status, log: self.log_file.clone() });
            }
        }
        Ok(())
    }

    /// A command of the binary on this data folder, with this environment; what it prints on stderr goes to the log file.
    ///
    /// # Errors
    /// The log file can't be opened.
    pub fn command(&self, word: &str) -> io::Result<Command> {
        let log: File = OpenOptions::new().create(true).append(true).open(&self.log_file)?;
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RINGSIDE_") {
                command.env_remove(name);
            }
        }
        command
            .arg(word)
            .arg("--data-dir")
            .arg(&self.data_dir)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        Ok(command)
    }

    /// With the limits turned off that a few fast clients would run into, for tests of something else.
    pub fn without_limits(mut self) -> Self {
        let variable = |name: &&str| (format!("RINGSIDE_LIMITS_{name}"), "0".to_owned());
        self.environment.extend(LIMITS_OF_FAST_CLIENTS.iter().map(variable));
        self
    }
}

/// Why there is no server.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The process or its log could not be made.
    #[error("the server could not be started: {0}")]
    Io(#[from] io::Error),
    /// It ended before it was ready.
    #[error("the server ended with {status} before it was ready; its log is {log}")]
    Ended { status: ExitStatus, log: PathBuf },
    /// It took longer than the contract allows.
    #[error("the server was not ready within {} s; its log is {log}", READY_DEADLINE.as_secs())]
    NotReady { log: PathBuf },
    /// It did not end in time.
    #[error("the server did not end within {} s", GONE_DEADLINE.as_secs())]
    NotGone,
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    /// Where it listens.
    pub addresses: Addresses,
    /// How long it took until `/ready` said 200.
    pub ready_after: Duration,
}

impl ServerProcess {
    /// Starts on free ports.
    pub async fn start(spec: &ServerSpec) -> Result<Self, ServerError> {
        let mut starts = 1;
        loop {
            match Self::start_at(spec, Addresses::pick()?).await {
                Err(ServerError::Ended { .. }) if starts < MAX_STARTS => starts += 1,
                outcome => return outcome,
            }
        }
    }

    /// Starts on the addresses of a predecessor.
    pub async fn start_at(spec: &ServerSpec, addresses: Addresses) -> Result<Self, ServerError> {
        // A folder that is not there, or empty.
        if std::fs::read_dir(&spec.data_dir).ok().and_then(|mut files| files.next()).is_none() {
            spec.prepare().await?;
        }
        let mut command = spec.command("up")?;
        command
            .args(["--api-addr", &addresses.api.to_string()])
            .args(["--edge-addr", &addresses.edge.to_string()])
            .args(["--admin-addr", &addresses.admin.to_string()]);
        let since = Instant::now();
        let mut server = Self { child: command.spawn()?, addresses, ready_after: Duration::ZERO };
        server.await_ready(spec, since).await?;
        Ok(server)
    }

    async fn await_ready(&mut self, spec: &ServerSpec, since: Instant) -> Result<(), ServerError> {
        let admin = Rest::at(self.addresses.admin);
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(ServerError::Ended { status, log: spec.log_file.clone() });
            }
            if admin.call(Method::GET, "/ready", None, None).await.is_ok_and(|answer| answer.status == 200) {
                self.ready_after = since.elapsed();
                return Ok(());
            }
            if since.elapsed() > READY_DEADLINE {
                return Err(ServerError::NotReady { log: spec.log_file.clone() });
            }
            sleep(READY_POLL).await;
        }
    }

    /// Its process id; `None` once it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// SIGKILL, and wait until it is gone.
    pub async fn kill(&mut self) -> Result<(), ServerError> {
        self.child.start_kill()?;
        self.await_end(GONE_DEADLINE).await.map(|_| ())
    }

    /// SIGTERM: asks it to drain.
    pub fn terminate(&self) -> Result<(), ServerError> {
        if let Some(pid) = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            kill_process(pid, Signal::TERM).map_err(io::Error::from)?;
        }
        Ok(())
    }

    /// Waits until it ends by itself.
    pub async fn await_end(&mut self, deadline: Duration) -> Result<ExitStatus, ServerError> {
        Ok(timeout(deadline, self.child.wait()).await.map_err(|_| ServerError::NotGone)??)
    }
}
