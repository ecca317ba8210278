//! How the command reaches the running server: a socket in the data folder, which is its owner's alone. One line of
//! JSON asks, one answers. No port is opened for it, so no page and no other user can ask.

use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as Blocking;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Source, make};
use crate::commands::Failure;

const SOCKET: &str = "control.sock";
/// A line is no longer than this: a path, and what is around it.
const LINE_BYTES_MAX: u64 = 16 * 1024;
/// The line must have come within this time.
const LINE_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
struct Question {
    /// Where to; absolute.
    backup: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    /// Why it was not made.
    error: Option<String>,
}

/// Asks the server that runs on this folder; false: none runs.
///
/// # Errors
/// What the server says, or that it went away.
pub(super) fn ask(data: &Path, to: &Path) -> Result<bool, Failure> {
    let mut stream = match Blocking::connect(data.join(SOCKET)) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(false);
        }
        Err(error) => return Err(format!("the running server can't be asked: {error}").into()),
    };
    let mut line = serde_json::to_vec(&Question { backup: to.to_owned() })?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    // As long as it takes.
    io::BufReader::new(stream).read_line(&mut answer)?;
    let answer: Answer = serde_json::from_str(&answer)
        .map_err(|_| "the server ended before the backup was made; what there is of it is no use")?;
    answer.error.map_or(Ok(true), |error| Err(error.into()))
}

/// Answers until `stop` turns true, one question after the other.
pub(crate) async fn serve(source: Source, mut stop: watch::Receiver<bool>) {
    let path = source.path.join(SOCKET);
    // What a crash left; the folder's lock says that nobody listens there.
    let _ = fs::remove_file(&path);
    let bound = UnixListener::bind(&path)
        .and_then(|listener| fs::set_permissions(&path, Permissions::from_mode(0o600)).map(|()| listener));
    let listener = match bound {
        Ok(listener) => listener,
        Err(error) => {
            let socket = path.display();
            return tracing::warn!(%error, %socket, "no backup can be made while the server runs");
        }
    };
    let answering = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => answer(&source, stream).await,
                Err(_) => tokio::time::sleep(LINE_TIMEOUT).await,
            }
        }
    };
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        () = answering => {}
    }
    let _ = fs::remove_file(&path);
}

async fn answer(source: &Source, stream: UnixStream) {
    let (reader, mut writer) = stream.into_split();
    let (mut line, mut reader) = (String::new(), BufReader::new(reader.take(LINE_BYTES_MAX)));
    // Who says nothing, or no line, is answered nothing.
    let Ok(Ok(_)) = timeout(LINE_TIMEOUT, reader.read_line(&mut line)).await else { return };
    let error = match serde_json::from_str::<Question>(&line) {
        Err(error) => Some(format!("the question is not understood: {error}")),
        Ok(Question { backup }) => {
            tracing::info!(to = %backup.display(), "a backup is being made");
            let made = make(source.clone(), &backup).await;
            if let Err(error) = &made {
                tracing::error!(%error, "the backup failed");
            }
            made.err()
        }
    };
    let mut line = serde_json::to_vec(&Answer { error }).expect("an answer is text");
    line.push(b'\n');
    // The backup is made whether or not somebody still wants to know.
    let _ = timeout(LINE_TIMEOUT, writer.write_all(&line)).await;
}
