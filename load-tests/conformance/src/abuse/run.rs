//! One attack after the other, each with a quiet time before it and a look at what it leaves.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::Args;
use ringside_test_client::process::resident_bytes;
use ringside_test_client::rest::RestError;
use ringside_test_client::server::{ServerError, ServerOptions};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;
use tokio::time::{sleep, sleep_until, timeout};

use super::attack::{Attack, all};
use super::flood::launch;
use super::honest::ANSWER_DEADLINE;
use super::measurements::Measurements;
use super::outcome::AttackOutcome;
use super::report::{HEAD, row};
use super::rows::of_description;
use super::test_context::TestContext;

/// Nothing may last longer after an attack.
const LASTING: Duration = Duration::from_secs(1);
/// How long honest users are watched after that.
const AFTER: Duration = Duration::from_millis(600);
/// A server is left before the access tokens of its honest users expire.
const CONTEXT_LIFETIME: Duration = Duration::from_secs(8 * 60);
const RESIDENT_EVERY: Duration = Duration::from_millis(50);
/// Seconds of an attack in the short run.
const SHORT_SECONDS: u64 = 2;

/// What `ringside-load abuse` takes.
#[derive(Clone, Debug, Args)]
pub struct AbuseOptions {
    /// Which server is started, and how.
    #[command(flatten)]
    pub server: ServerOptions,
    /// How long each attack lasts.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub seconds: u64,
    /// Only attacks whose name contains one of these.
    #[arg(long)]
    pub only: Vec<String>,
    /// A few attacks that stand for all, of two seconds each.
    #[arg(long)]
    pub short: bool,
    /// Print the names and do nothing.
    #[arg(long)]
    pub list: bool,
    /// Milliseconds that honest users may always wait, whatever they wait without an attack: machines are noisy.
    #[arg(long, default_value_t = 30.0)]
    pub floor_ms: f64,
    /// How often an attack is tried until the server holds: noise seldom comes twice, a fault does.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub attempts: u32,
}

/// Why there is no verdict.
#[derive(Debug, Error)]
pub enum AbuseError {
    /// The server could not be started.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A request was not answered as the contract says, before any attack.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// The descriptor limit or a file could not be had.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// No attack has such a name.
    #[error("no attack is called so; --list names them")]
    Nothing,
    /// The server's process is gone.
    #[error("the server ended during {0:?}")]
    Gone(String),
}

/// Attacks. True when the server held against all.
pub async fn run(options: &AbuseOptions) -> Result<bool, AbuseError> {
    raise_descriptor_limit()?;
    let mut context = TestContext::start(&options.server).await?;
    let mut attacks = all(&of_description(&context.description().await?));
    attacks.retain(|attack| {
        let named =
            options.only.is_empty() || options.only.iter().any(|part| attack.name.contains(part.as_str()));
        named && (attack.short || !options.short)
    });
    if attacks.is_empty() {
        return Err(AbuseError::Nothing);
    }
    if options.list {
        attacks.iter().for_each(|attack| println!("{}", attack.name));
        return Ok(true);
    }
    println!("{HEAD}");
    let mut failed = Vec::new();
    let mut fresh = true;
    for attack in &attacks {
        for _ in 0..options.attempts {
            if !fresh || context.started.elapsed() > CONTEXT_LIFETIME {
                context = TestContext::start(&options.server).await?;
            }
            let outcome = attempt(&mut context, attack, options).await?;
            let faults = outcome.faults(options.floor_ms);
            println!("{}", row(&outcome, &faults));
            // What one attack breaks must not be held against the next.
            fresh = faults.is_empty();
            if fresh {
                break;
            }
        }
        if !fresh {
            failed.push(attack.name.as_str());
        }
    }
    println!("\n{} of {} are held", attacks.len() - failed.len(), attacks.len());
    failed.iter().for_each(|name| println!("FAILED  {name}"));
    Ok(failed.is_empty())
}

async fn attempt(
    context: &mut TestContext,
    attack: &Attack,
    options: &AbuseOptions,
) -> Result<AttackOutcome, AbuseError> {
    let seconds = if options.short { SHORT_SECONDS } else { options.seconds };
    let length = Duration::from_secs(seconds);
    let gone = || AbuseError::Gone(attack.name.clone());
    let pid = context.server.pid().ok_or_else(gone)?;
    let resident = || resident_bytes(pid).ok_or_else(gone);
    let attacker = context.next_attacker().await?;
    let quiet_from = Instant::now();
    sleep(length / 2).await;
    let before = resident()?;
    let sent = attacker.sent.clone();
    let begun = Instant::now();
    let thread = launch(attacker, attack.actions.clone(), length);
    let mut peak = before;
    while !thread.is_finished() {
        sleep(RESIDENT_EVERY).await;
        peak = peak.max(resident()?);
    }
    thread.join().expect("the attackers' thread does not panic")?;
    let ended = Instant::now();
    let settled = ended + LASTING;
    sleep_until(settled.into()).await;
    let sign_in = match timeout(ANSWER_DEADLINE, context.sign_in()).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err("not within a second".to_owned()),
    };
    sleep_until((settled + AFTER).into()).await;
    let after_until = Instant::now();
    // What was due at the very end is given its time.
    sleep(Duration::from_millis(100)).await;
    let samples = context.honest.take();
    Ok(AttackOutcome {
        name: attack.name.clone(),
        sent: sent.load(Ordering::Relaxed),
        quiet: Measurements::of(&samples, quiet_from, begun),
        under: Measurements::of(&samples, begun, ended),
        after: Measurements::of(&samples, settled, after_until),
        resident: [before, peak, resident()?],
        sign_in,
    })
}

/// Thousands of connections need as many descriptors.
fn raise_descriptor_limit() -> Result<(), AbuseError> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).map_err(std::io::Error::from)?;
    Ok(())
}
