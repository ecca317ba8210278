//! `ringside backup`: a copy of a data folder, consistent and complete, while the server runs or while it is stopped.
//!
//! While the Directory is held, its file is copied and the log's moment is taken, so both are of one moment: what a crash
//! would leave, and a start recovers from. `docs/decisions/0004` says why in this way. The copy's last records are then
//! applied to it, so that it may be restored however late. The manifest is written last: a backup without it is none.

mod manifest;
mod restore;

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use ringside_message::processor::{self, Counters};
use ringside_ports::{Committer, Log, PartitionStore};
use ringside_types::{PartitionId, Topic};
use tokio::runtime::Handle;

use crate::commands::Failure;
use crate::config::Config;
use crate::control::{self, Question};
use crate::engines::{Engines, Snapshot};

pub(crate) use restore::run as restore;

/// The copy of the data folder, in a backup.
const DATA: &str = "data";

/// Has the running server make the backup; opens the folder itself where none runs.
///
/// # Errors
/// The sentence to print.
pub(crate) fn run(config: &Config, to: &Path) -> Result<(), Failure> {
    let to = std::path::absolute(to)?;
    let opened = control::ask_or_open(config, &Question::Backup(to.clone()))?;
    let Some((runtime, engines)) = opened else {
        println!("The running server has written a backup to {}.", to.display());
        return Ok(());
    };
    runtime.block_on(async {
        let made = make(&config.data_dir, &engines, &to).await;
        engines.close().await;
        made
    })?;
    println!("The stopped server's data are backed up in {}.", to.display());
    Ok(())
}

/// Makes a backup in a folder that is not there yet; on a failure nothing of it stays.
pub(crate) async fn make(source: &Path, engines: &Engines, to: &Path) -> Result<(), String> {
    if to.starts_with(std::path::absolute(source).unwrap_or_default()) {
        return Err("a backup can't be made inside of the data folder; name another place with --to".into());
    }
    make_folder(to).map_err(|cause| {
        format!(
            "{} can't be made: {cause}. Name a folder that is not there yet, in one that is",
            to.display()
        )
    })?;
    let made = fill(engines, to).await;
    if made.is_err() {
        // Why it failed is the better thing to say.
        let _ = fs::remove_dir_all(to);
    }
    made.map_err(|cause| format!("the backup can't be written: {cause}"))
}

async fn fill(engines: &Engines, to: &Path) -> Result<(), String> {
    let snapshot = engines.snapshot(to).await?;
    let (to, runtime) = (to.to_owned(), Handle::current());
    let rest = tokio::task::spawn_blocking(move || {
        let data = to.join(DATA);
        write_store(&snapshot, &data, &runtime)?;
        finish(&snapshot, &to, &data).map_err(|error| error.to_string())
    });
    match rest.await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Writes log and store, and applies what the log's end holds: a partition that lags for days is refused by a start.
fn write_store(snapshot: &Snapshot, data: &Path, runtime: &Handle) -> Result<(), String> {
    let (log, store, committer) = snapshot.write_store(data)?;
    runtime.block_on(settle(&log, &store, &committer)).map_err(|error| error.to_string())
}

async fn settle<L: Log, S: PartitionStore, C: Committer>(
    log: &L,
    store: &S,
    committer: &C,
) -> Result<(), processor::ProcessorError> {
    let counters = Counters::default();
    for partition in (0..log.partitions(Topic::MessagesSend)).map(PartitionId) {
        let mut machine = processor::open(partition, log, store).await?;
        let end = log.bounds(Topic::MessagesSend, partition).await?.end;
        while machine.progress().offset < end {
            processor::turn(&mut machine, log, store, committer, &counters).await?;
        }
    }
    Ok(())
}

/// The Directory and the keys beside the store, all for their owner alone and on the disk; then the manifest.
fn finish(snapshot: &Snapshot, to: &Path, data: &Path) -> io::Result<()> {
    snapshot.write_rest(data)?;
    manifest::Manifest::of(data)?.write(to)
}

/// A folder of its owner's alone; one that is there is refused.
fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// For its owner alone, and on the disk.
fn settle_file(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.sync_all()
}
