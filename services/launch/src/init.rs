//! What must be there before the first record: the data folder, topics and tables, the first progress of each partition,
//! the first signing key. Making it again changes nothing.

use ringside_clock::now;
use ringside_message::processor;
use ringside_ports::Log as _;
use ringside_types::{PartitionId, Topic};
use ringside_user::KeyRotation;

use crate::commands::{Failure, print};
use crate::config::Config;
use crate::engines::{self, Engines, KeyStoreEngine, LogEngine};

/// Something that must be there.
#[derive(Debug)]
pub(crate) struct Step {
    /// In the operator's words.
    pub(crate) what: String,
    /// Whether it was made now.
    pub(crate) is_new: bool,
}

/// `ringside init`: makes what is not there, and prints what was and what was not.
///
/// # Errors
/// The sentence to print.
pub(crate) fn run(config: &Config) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let steps = runtime.block_on(async {
        let mut steps = engines::make(config).await?;
        let (engines, made) = open(config).await?;
        engines.close().await;
        steps.extend(made);
        Ok::<_, Failure>(steps)
    })?;
    for Step { what, is_new } in steps {
        print(&format!("{} {what}", if is_new { "made " } else { "there" }));
    }
    Ok(())
}

/// `ringside init --dry-run`: prints what of the shared engines would be made.
///
/// # Errors
/// The sentence to print.
pub(crate) fn plan(config: &Config) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for Step { what, is_new } in runtime.block_on(engines::plan(config))? {
        print(&format!("{} {what}", if is_new { "would make" } else { "there     " }));
    }
    print("The data folder, and the first records, are made by every start where they are not there.");
    Ok(())
}

/// Opens the engines, with all in them that must be there.
///
/// # Errors
/// The sentence that says what to do.
pub(crate) async fn open(config: &Config) -> Result<(Engines, Vec<Step>), Failure> {
    let (engines, mut steps) = Engines::open(config).await?;
    let (mut count, mut is_begun) = (0, false);
    for partition in (0..engines.log.partitions(Topic::MessagesSend)).map(PartitionId) {
        is_begun |= processor::init(partition, &engines.log, &engines.store).await?;
        count += 1;
    }
    let what = format!("the first progress of {count} partitions of messages");
    steps.push(Step { what, is_new: is_begun });
    let is_new = KeyRotation::<KeyStoreEngine, LogEngine>::init(&engines.keys, now()).await?;
    steps.push(Step { what: "a key that signs access tokens".into(), is_new });
    Ok((engines, steps))
}
