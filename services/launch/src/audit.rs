//! The audit log: who administered the server, who signed in, and who was refused, as lines of JSON in the data folder.
//!
//! Whoever has something to record puts it into a queue, from which one task writes, in that order. Where the queue is
//! full the recorder waits for room, for [`ROOM_TIMEOUT`] at the most; what has found none by then is lost, counted and
//! said in the log. A write that fails is tried again until it succeeds. No entry holds a password, a token or anything
//! that somebody typed where a name was asked for: people type passwords there.

mod files;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringside_clock::now;
use ringside_types::{UnixMillis, UserId};
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::commands::Failure;
use crate::config::AuditConfig;
use files::Files;

/// Entries that wait to be written.
const QUEUE_MAX: usize = 1_024;
/// Entries that are written at once.
const BATCH_MAX: usize = 256;
/// A recorder waits for room in the queue for so long.
const ROOM_TIMEOUT: Duration = Duration::from_secs(5);
/// What is written is on the disk itself after this long: a crash of the process loses nothing, one of the machine this.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// A write that failed is tried again after this long.
const RETRY: Duration = Duration::from_secs(1);
/// Bytes of what an entry says besides.
const DETAIL_BYTES_MAX: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// A stranger, or nobody who is known.
    Anonymous,
    /// Whoever signed in to this account.
    User(UserId),
    /// Whoever ran a command on the server's machine, by the number of their account there.
    Operator(u32),
}

impl Serialize for Actor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::User(user) => write!(f, "user:{user}"),
            Self::Operator(uid) => write!(f, "operator:{uid}"),
        }
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Granted,
    Refused,
    Failed,
}

/// A line of the audit log.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Entry {
    pub(crate) time: UnixMillis,
    pub(crate) actor: Actor,
    /// What was done, in a word that is stable.
    pub(crate) action: &'static str,
    /// The account, key or place that it was done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
    /// Where from; an operator's commands come from no address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<IpAddr>,
    pub(crate) outcome: Outcome,
    /// Why it was refused or failed, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'static str>,
    /// What else there is to say: the role that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

impl Entry {
    /// Granted, now, to nobody in particular.
    pub(crate) fn new(actor: Actor, action: &'static str) -> Self {
        let (target, address, outcome, reason, detail) = (None, None, Outcome::Granted, None, None);
        Self { time: now(), actor, action, target, address, outcome, reason, detail }
    }
}

/// Counts since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Entries that were written to the file.
    pub(crate) entries: AtomicU64,
    /// Entries that were not written: the queue was full for too long, or the disk refused them until the stop.
    pub(crate) lost: AtomicU64,
}

/// Where entries are recorded. A clone is another handle.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    /// `None`: none are kept.
    queue: Option<mpsc::Sender<String>>,
    counters: Arc<Counters>,
}

impl Audit {
    /// Opens the log in a data folder, and returns the task that writes, which is the caller's to spawn.
    ///
    /// # Errors
    /// The sentence that says what to do.
    pub(crate) fn open(folder: &Path, config: &AuditConfig) -> Result<(Self, Option<Writer>), Failure> {
        let counters = Arc::<Counters>::default();
        if config.files == 0 {
            return Ok((Self { queue: None, counters }, None));
        }
        let files = Files::open(folder, config.file_bytes, config.files).map_err(|error| {
            format!("the audit log in {} can't be opened: {error}. Make it writable for us", folder.display())
        })?;
        let (queue, entries) = mpsc::channel(QUEUE_MAX);
        let writer = Writer { entries, files: Some(files), counters: counters.clone(), unsynced: None };
        Ok((Self { queue: Some(queue), counters }, Some(writer)))
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Puts an entry into the queue; waits for room where there is none.
    pub(crate) async fn record(&self, mut entry: Entry) {
        let Some(queue) = &self.queue else { return };
        for text in [&mut entry.target, &mut entry.detail].into_iter().flatten() {
            text.truncate(text.floor_char_boundary(DETAIL_BYTES_MAX));
        }
        let mut line = serde_json::to_string(&entry).expect("an entry is texts and times");
        line.push('\n');
        if queue.send_timeout(line, ROOM_TIMEOUT).await.is_err() {
            self.counters.lost.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                action = entry.action,
                "an entry of the audit log is lost: there is no room for it"
            );
        }
    }
}

/// The task that writes what was recorded.
pub(crate) struct Writer {
    entries: mpsc::Receiver<String>,
    /// Away while a thread writes.
    files: Option<Files>,
    counters: Arc<Counters>,
    /// Since when something is written and not synced.
    unsynced: Option<Instant>,
}

impl Writer {
    /// Writes until nobody can record any more, or `stop` turns true; what was recorded before is written first.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut batch = Vec::new();
        let mut stopping = false;
        loop {
            let sync_at = self.unsynced.map(|since| since + SYNC_EVERY);
            tokio::select! {
                count = self.entries.recv_many(&mut batch, BATCH_MAX) => {
                    if count == 0 {
                        break;
                    }
                    self.write(&mut batch, &mut stop).await;
                }
                () = sleep_until(sync_at.unwrap_or_else(Instant::now)), if sync_at.is_some() => self.sync().await,
                () = stopped(&mut stop), if !stopping => {
                    stopping = true;
                    self.entries.close();
                }
            }
        }
        self.sync().await;
    }

    /// Writes all of a batch, however often it takes; at a stop once more, and not again.
    async fn write(&mut self, batch: &mut Vec<String>, stop: &mut watch::Receiver<bool>) {
        loop {
            let lines = std::mem::take(batch);
            let (lines, written, error) = self
                .with_files(move |files| {
                    let (written, result) = files.append(&lines);
                    (lines, written, result.err())
                })
                .await;
            *batch = lines;
            self.counters.entries.fetch_add(written as u64, Ordering::Relaxed);
            batch.drain(..written);
            self.unsynced.get_or_insert_with(Instant::now);
            let Some(error) = error else { return };
            let left = batch.len();
            if *stop.borrow() {
                tracing::error!(%error, left, "the audit log can't be written; the server stops without these entries");
                self.counters.lost.fetch_add(left as u64, Ordering::Relaxed);
                return batch.clear();
            }
            tracing::error!(%error, left, "the audit log can't be written; it is tried again");
            tokio::select! {
                () = sleep(RETRY) => {}
                () = stopped(stop) => {}
            }
        }
    }

    async fn sync(&mut self) {
        if self.unsynced.take().is_some()
            && let Err(error) = self.with_files(|files| files.sync()).await
        {
            tracing::error!(%error, "the audit log is written, and the disk did not confirm it");
        }
    }

    /// Does something to the files where it may wait for the disk.
    async fn with_files<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Files) -> T + Send + 'static,
    ) -> T {
        let mut files = self.files.take().expect("they come back from each use");
        let used = tokio::task::spawn_blocking(move || {
            let done = work(&mut files);
            (files, done)
        });
        match used.await {
            Ok((files, done)) => {
                self.files = Some(files);
                done
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The sender going away is a stop, too.
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(folder: &Path, name: &str) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(folder.join(name)).expect("it is there");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    #[tokio::test]
    async fn entries_are_written_in_their_order_and_none_is_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        let (audit, writer) = Audit::open(folder.path(), &AuditConfig::default()).expect("it opens");
        let (stop, stopping) = watch::channel(false);
        // More than the queue holds: who records waits for the writer, which starts later.
        let recording = tokio::spawn(async move {
            for number in 0..QUEUE_MAX + 500 {
                let target = Some(number.to_string());
                audit.record(Entry { target, ..Entry::new(Actor::Operator(7), "test") }).await;
            }
            audit
        });
        while !recording.is_finished() && writer.as_ref().is_some_and(|it| it.entries.len() < QUEUE_MAX) {
            tokio::task::yield_now().await;
        }
        let writing = tokio::spawn(writer.expect("it is on").run(stopping));
        let audit = recording.await.expect("no panic");
        stop.send_replace(true);
        writing.await.expect("no panic");
        let written = lines(folder.path(), "audit.jsonl");
        assert_eq!(written.len(), QUEUE_MAX + 500);
        for (number, line) in written.iter().enumerate() {
            assert_eq!(line["target"], number.to_string());
        }
        assert_eq!((&written[0]["actor"], &written[0]["outcome"]), (&"operator:7".into(), &"granted".into()));
        assert_eq!(audit.counters().entries.load(Ordering::Relaxed), written.len() as u64);
        assert_eq!(audit.counters().lost.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_for_too_long_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let (audit, _writer) = Audit::open(folder.path(), &AuditConfig::default()).expect("it opens");
        for _ in 0..QUEUE_MAX + 2 {
            audit.record(Entry::new(Actor::Anonymous, "test")).await;
        }
        assert_eq!(audit.counters().lost.load(Ordering::Relaxed), 2);
    }
}
