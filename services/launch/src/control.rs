//! How commands reach the running server: a socket in the data folder, which is its owner's alone. A line of JSON asks,
//! lines answer: what is to be printed, and last whether it was done. No port is opened for it, so no page and no other
//! user can ask.

use std::fs::{self, File, Permissions};
use std::io::{self, BufRead as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as Blocking;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::admin::{AdminCommand, Administration};
use crate::audit::{Actor, Entry, Outcome};
use crate::backup;
use crate::commands::{Failure, print};
use crate::config::Config;
use crate::engines::{Engines, is_locked};
use crate::init;

const SOCKET: &str = "control.sock";
/// A socket's path is no longer than this, by `sockaddr_un`.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// A question is no longer than this: a path, or names, and what is around them.
const LINE_BYTES_MAX: u64 = 16 * 1024;
/// A line must have come, or be taken, within this time.
const LINE_TIMEOUT: Duration = Duration::from_secs(10);
/// A refused accept is tried again after this long.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// Questions that are answered at once; further ones wait.
const QUESTIONS_MAX: usize = 8;
/// Pieces of an answer that wait for their reader.
pub(crate) const PIECES_MAX: usize = 4;
/// Questions under way when the server stops get this long.
const GRACE: Duration = Duration::from_secs(3);
/// A server that is starting or stopping holds the folder and answers nothing: it is waited for.
const START_PATIENCE: Duration = Duration::from_secs(15);
const START_POLL: Duration = Duration::from_millis(50);

/// What the server is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    /// To write a backup into this folder; the path is absolute.
    Backup(PathBuf),
    /// What the operator commands.
    Admin(AdminCommand),
}

/// A line of the answer: something to print, or, without it, the last one.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Answer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Why it was not done.
    #[serde(default)]
    error: Option<String>,
}

/// Has the server that runs on this folder do it, and prints what it says. Where none runs, returns the engines, opened.
///
/// # Errors
/// What the server says, or that it went away, or why the folder can't be opened.
pub(crate) fn ask_or_open(
    config: &Config,
    question: &Question,
) -> Result<Option<(Runtime, Engines)>, Failure> {
    let data = &config.data_dir;
    if !data.is_dir() {
        let path = data.display();
        return Err(format!("there is no data folder {path}; name the server's with --data-dir").into());
    }
    let since = Instant::now();
    let mut is_told = false;
    loop {
        if ask(data, question)? {
            return Ok(None);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let error = match runtime.block_on(init::open(config)) {
            Ok((engines, _)) => return Ok(Some((runtime, engines))),
            Err(error) => error,
        };
        if !is_locked(&error) {
            return Err(error);
        }
        if since.elapsed() > START_PATIENCE {
            let path = data.display();
            return Err(format!(
                "a server runs on the data folder {path} and takes no commands: its log says why. Stop it first"
            )
            .into());
        }
        if !is_told {
            eprintln!("The server is starting or stopping; waiting for it.");
            is_told = true;
        }
        std::thread::sleep(START_POLL);
    }
}

/// Asks the server that runs on this folder; false: none runs.
fn ask(data: &Path, question: &Question) -> Result<bool, Failure> {
    let connected = SocketPath::of(data).and_then(|path| Blocking::connect(&path.path));
    let mut stream = match connected {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(false);
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let path = data.display();
            return Err(format!("{path} is another user's ({error}); run this as the server's user").into());
        }
        Err(error) => return Err(format!("the running server can't be asked: {error}").into()),
    };
    let mut line = serde_json::to_vec(question)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut lines = io::BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        // As long as it takes.
        lines.read_line(&mut line)?;
        let answer: Answer = serde_json::from_str(&line).map_err(|_| match question {
            Question::Backup(_) => {
                "the server ended before the backup was made; what there is of it is no use"
            }
            Question::Admin(_) => "the server ended before it had answered; look whether it was done",
        })?;
        match answer {
            Answer { text: Some(text), .. } => print(&text),
            Answer { error: Some(error), .. } => return Err(error.into()),
            Answer { text: None, error: None } => return Ok(true),
        }
    }
}

/// The socket's path, in words that are short enough for the kernel: through an open folder, where they are not.
struct SocketPath {
    path: PathBuf,
    /// Kept open as long as the path is used.
    _folder: Option<File>,
}

impl SocketPath {
    fn of(data: &Path) -> io::Result<Self> {
        let path = data.join(SOCKET);
        if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
            return Ok(Self { path, _folder: None });
        }
        let folder = File::open(data)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()));
        Ok(Self { path, _folder: Some(folder) })
    }
}

pub(crate) struct Answering {
    data: PathBuf,
    engines: Engines,
    administration: Administration,
    /// One backup at a time.
    backups: Mutex<()>,
}

/// The socket, which questions may already come to.
pub(crate) struct Socket {
    listener: UnixListener,
    path: SocketPath,
}

impl Socket {
    /// Opens the socket of a folder that is ours. `None`: it can't be, and commands must wait for the server's end.
    pub(crate) fn open(data: &Path) -> Option<Self> {
        match Self::bind(data) {
            Ok(socket) => Some(socket),
            Err(error) => {
                let socket = data.join(SOCKET);
                let socket = socket.display();
                tracing::warn!(%error, %socket, "no backup can be made and nothing administered while the server runs");
                None
            }
        }
    }

    fn bind(data: &Path) -> io::Result<Self> {
        let path = SocketPath::of(data)?;
        // What a crash left; the folder's lock says that nobody listens there.
        let _ = fs::remove_file(&path.path);
        let listener = UnixListener::bind(&path.path)?;
        fs::set_permissions(&path.path, Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Answers until `stop` turns true.
    pub(crate) async fn serve(self, answering: Arc<Answering>, mut stop: watch::Receiver<bool>) {
        let mut answers = JoinSet::new();
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                Some(_) = answers.join_next(), if !answers.is_empty() => {}
                accepted = self.accept(), if answers.len() < QUESTIONS_MAX => {
                    if let Some(stream) = accepted {
                        answers.spawn(answer(answering.clone(), stream));
                    }
                }
            }
        }
        let _ = fs::remove_file(&self.path.path);
        let ended = async { while answers.join_next().await.is_some() {} };
        let _ = timeout(GRACE, ended).await;
    }
}

impl Socket {
    /// The next one who asks; `None`: not now, most likely descriptors ran out.
    async fn accept(&self) -> Option<UnixStream> {
        match self.listener.accept().await {
            Ok((stream, _)) => Some(stream),
            Err(_) => {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }
}

async fn answer(answering: Arc<Answering>, stream: UnixStream) {
    let actor = Actor::Operator(stream.peer_cred().map_or(u32::MAX, |peer| peer.uid()));
    let (reader, mut writer) = stream.into_split();
    let (mut line, mut reader) = (String::new(), BufReader::new(reader.take(LINE_BYTES_MAX)));
    // Who says nothing, or no line, is answered nothing.
    let Ok(Ok(_)) = timeout(LINE_TIMEOUT, reader.read_line(&mut line)).await else { return };
    let (pieces, mut waiting) = mpsc::channel::<String>(PIECES_MAX);
    let printing = async move {
        while let Some(text) = waiting.recv().await {
            // Who reads no more is told no more; what they asked for is done all the same.
            say(&mut writer, &Answer { text: Some(text), error: None }).await?;
        }
        Ok(writer)
    };
    let doing = async {
        match serde_json::from_str(&line) {
            Err(error) => Err(format!("the question is not understood: {error}")),
            Ok(Question::Backup(to)) => answering.back_up(actor, &to).await,
            Ok(Question::Admin(command)) => {
                let done = answering.administration.perform(actor, &command, pieces).await;
                done.map_err(|error| error.to_string())
            }
        }
    };
    let (done, printed): (_, io::Result<OwnedWriteHalf>) = tokio::join!(doing, printing);
    if let Ok(mut writer) = printed {
        let _ = say(&mut writer, &Answer { text: None, error: done.err() }).await;
    }
}

async fn say(writer: &mut OwnedWriteHalf, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer).expect("an answer is text");
    line.push(b'\n');
    timeout(LINE_TIMEOUT, writer.write_all(&line)).await?
}

impl Answering {
    pub(crate) fn new(data: PathBuf, engines: Engines, administration: Administration) -> Arc<Self> {
        Arc::new(Self { data, engines, administration, backups: Mutex::default() })
    }

    async fn back_up(&self, actor: Actor, to: &Path) -> Result<(), String> {
        let _one = self.backups.lock().await;
        tracing::info!(to = %to.display(), "a backup is being made");
        let made = backup::make(&self.data, &self.engines, to).await;
        let mut entry = Entry::new(actor, "backup");
        entry.target = Some(to.display().to_string());
        if let Err(error) = &made {
            tracing::error!(%error, "the backup failed");
            entry.outcome = Outcome::Failed;
        }
        self.administration.record(entry).await;
        made
    }
}
