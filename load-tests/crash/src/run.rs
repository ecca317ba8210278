//! One crash test from an empty folder to the verdict.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ringside_checker::history::{ClientHistory, History};
use ringside_checker::{Verdict, check};
use ringside_test_client::eviction::Way;
use ringside_test_client::server::{Addresses, ServerProcess, ServerSpec};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until};
use uuid::Uuid;

use super::agent::Agent;
use super::context::{Phase, Stage, Unfinished};
use super::evicted_client::Guest;
use super::options::{CrashError, CrashOptions};
use super::participants::Cast;
use super::schedule::kills;

/// What is unfinished when sending ends has to come to its end within this time.
const SETTLE_DEADLINE: Duration = Duration::from_secs(60);
/// And the last sync of everybody within this.
const LEAVE_DEADLINE: Duration = Duration::from_secs(30);
/// A drain without clients is over as soon as it begins; this is generous.
const DRAIN_DEADLINE: Duration = Duration::from_secs(25);
const POLL: Duration = Duration::from_millis(50);

/// What the crash test found.
#[derive(Debug)]
pub struct CrashReport {
    /// For a replay.
    pub seed: u64,
    /// The checker's judgement.
    pub verdict: Verdict,
    /// Kills done.
    pub kills: u32,
    /// The slowest restart until `/ready`.
    pub slowest_ready: Duration,
    /// Clients that did not come to a last `sync.done`.
    pub unsettled: usize,
    /// Whether SIGTERM ended the server with 0 at the end.
    pub drained: bool,
    /// Where the histories are, if they were kept.
    pub histories: Option<PathBuf>,
}

impl CrashReport {
    /// Whether the server passed.
    pub fn is_clean(&self) -> bool {
        self.verdict.holds() && self.unsettled == 0 && self.drained && self.verdict.counts.stored > 0
    }
}

impl fmt::Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.verdict.counts;
        writeln!(
            f,
            "{} messages in {} attempts: {} acknowledged, {} stored, {} unknown; {} live, {} synced in {} syncs, {} resets; {} connections",
            counts.messages,
            counts.attempts,
            counts.acknowledged,
            counts.stored,
            counts.unknown,
            counts.live,
            counts.synced,
            counts.syncs,
            counts.resets,
            counts.connections
        )?;
        writeln!(f, "{} amendments asked for, {} changes in the end", counts.amendments, counts.changes)?;
        let ways = Way::ALL.iter().zip(counts.shut_out).map(|(way, times)| format!("{way:?} {times}"));
        writeln!(f, "guests shut out, times: {}", ways.collect::<Vec<_>>().join(", "))?;
        writeln!(
            f,
            "{} receipts; {} cursors told, {} unread counts counted anew",
            counts.receipts, counts.cursors, counts.unread
        )?;
        writeln!(
            f,
            "{} kills, slowest restart {:.2} s until ready",
            self.kills,
            self.slowest_ready.as_secs_f64()
        )?;
        for violation in &self.verdict.violations {
            writeln!(f, "VIOLATION {violation}")?;
        }
        if !self.verdict.holds() {
            writeln!(f, "in all: {:?}", self.verdict.faults)?;
        }
        if self.unsettled > 0 {
            writeln!(f, "{} clients never came to a last sync.done", self.unsettled)?;
        }
        if !self.drained {
            writeln!(f, "SIGTERM did not end the server with 0")?;
        }
        if let Some(path) = &self.histories {
            writeln!(f, "histories: {}", path.display())?;
        }
        write!(f, "seed {}: {}", self.seed, if self.is_clean() { "every invariant holds" } else { "BROKEN" })
    }
}

/// Runs the crash test that was asked for.
pub async fn run(options: &CrashOptions) -> Result<CrashReport, CrashError> {
    let seed = options.seed.unwrap_or_else(|| Uuid::now_v7().as_u128() as u64 >> 16);
    eprintln!("seed {seed}");
    let (data_dir, temporary) = data_dir(options, seed)?;
    let spec = ServerSpec {
        binary: options.server.binary.clone(),
        log_file: data_dir.with_extension("log"),
        data_dir: data_dir.clone(),
        environment: options.server.environment.clone(),
    }
    .without_limits();
    let server = ServerProcess::start(&spec).await?;
    let cast = Cast::gather(server.addresses.rest(), seed, options).await?;
    eprintln!("{} users, {} channels; sending", cast.accounts.len(), cast.channels.len());
    let mut run = Run { spec, seed, server, kills: 0, slowest_ready: Duration::ZERO };
    let mut history = run.play(&cast, options).await?;
    let addresses = run.server.addresses;
    cast.read_finally(addresses.rest(), &addresses.target(), &mut history).await?;
    let drained = run.drain().await?;
    let mut report = CrashReport {
        seed,
        verdict: check(&history),
        kills: run.kills,
        slowest_ready: run.slowest_ready,
        unsettled: history.clients.iter().filter(|client| !client.settled).count(),
        drained,
        histories: None,
    };
    if options.keep || !report.is_clean() {
        report.histories = Some(keep(&history, options, seed)?);
    } else if temporary {
        fs::remove_dir_all(&data_dir)?;
        fs::remove_file(&run.spec.log_file)?;
    }
    Ok(report)
}

fn data_dir(options: &CrashOptions, seed: u64) -> Result<(PathBuf, bool), CrashError> {
    let Some(path) = &options.data_dir else {
        let path = std::env::temp_dir().join(format!("ringside-crash-{seed}-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        return Ok((path, true));
    };
    fs::create_dir_all(path)?;
    if fs::read_dir(path)?.next().is_some() {
        return Err(CrashError::NotEmpty(path.clone()));
    }
    Ok((path.clone(), false))
}

fn keep(history: &History, options: &CrashOptions, seed: u64) -> Result<PathBuf, CrashError> {
    let path = options
        .history_file
        .clone()
        .unwrap_or_else(|| Path::new(&format!("ringside-crash-{seed}.json")).to_owned());
    let file = std::io::BufWriter::new(fs::File::create(&path)?);
    serde_json::to_writer(file, history)?;
    Ok(path)
}

struct Run {
    spec: ServerSpec,
    seed: u64,
    server: ServerProcess,
    kills: u32,
    slowest_ready: Duration,
}

impl Run {
    /// Everything between the first message and the last sync; the final readings are still to come.
    async fn play(&mut self, cast: &Cast, options: &CrashOptions) -> Result<History, CrashError> {
        let duration = Duration::from_secs_f64(options.duration.max(0.1));
        let started = Instant::now();
        let (phases, phase) = watch::channel(Phase::Sending);
        let mean_pause = Duration::from_secs_f64(options.pause_ms.max(1.0) / 1000.0);
        let target = self.server.addresses.target();
        let rest = self.server.addresses.rest();
        let stage = Stage { started, phase, target, rest, mean_pause };
        // A kill late in the run may move its end; nobody stays for ever.
        let slack = ringside_test_client::server::READY_DEADLINE * (options.kills + 1);
        let give_up = started + duration + slack + SETTLE_DEADLINE + LEAVE_DEADLINE;
        let mut unfinished = Vec::new();
        let mut clients: Vec<JoinHandle<ClientHistory>> = Vec::new();
        for client in 0..options.clients {
            let count = Unfinished::default();
            unfinished.push(count.clone());
            let agent = Agent::new(cast.persona(client), stage.clone(), count, self.seed);
            clients.push(tokio::spawn(agent.run(give_up)));
        }
        let guests: Vec<JoinHandle<ClientHistory>> = cast
            .guests(options.clients)
            .map(|invitation| tokio::spawn(Guest::new(invitation, stage.clone(), self.seed).run(give_up)))
            .collect();
        for kill in kills(self.seed, options.kills, duration) {
            sleep_until((started + kill.at).into()).await;
            self.kill_and_restart(kill.away).await?;
        }
        let undisturbed_from_us = Some(stage.now_us());
        sleep_until((started + duration).into()).await;
        phases.send_replace(Phase::Settling);
        let settle_until = Instant::now() + SETTLE_DEADLINE;
        let is_quiet = || {
            unfinished.iter().all(|count| count.count() == 0) && guests.iter().all(JoinHandle::is_finished)
        };
        while !is_quiet() && Instant::now() < settle_until {
            sleep(POLL).await;
        }
        let left: usize = unfinished.iter().map(Unfinished::count).sum();
        eprintln!("{:6.1} s  sending is over, {left} messages unfinished", started.elapsed().as_secs_f64());
        phases.send_replace(Phase::Leaving);
        let leave_until = Instant::now() + LEAVE_DEADLINE;
        while clients.iter().any(|client| !client.is_finished()) && Instant::now() < leave_until {
            sleep(POLL).await;
        }
        let mut history = History { seed: self.seed, undisturbed_from_us, ..History::default() };
        for client in clients {
            history.clients.push(client.await.expect("a client does not panic"));
        }
        for guest in guests {
            history.guests.push(guest.await.expect("a guest does not panic"));
        }
        Ok(history)
    }

    async fn kill_and_restart(&mut self, away: Duration) -> Result<(), CrashError> {
        let addresses: Addresses = self.server.addresses;
        let pid = self.server.pid();
        self.server.kill().await?;
        sleep(away).await;
        self.server = ServerProcess::start_at(&self.spec, addresses).await?;
        self.kills += 1;
        self.slowest_ready = self.slowest_ready.max(self.server.ready_after);
        eprintln!(
            "kill {} of process {}, away {} ms, ready after {} ms",
            self.kills,
            pid.unwrap_or(0),
            away.as_millis(),
            self.server.ready_after.as_millis()
        );
        Ok(())
    }

    async fn drain(&mut self) -> Result<bool, CrashError> {
        self.server.terminate()?;
        Ok(self.server.await_end(DRAIN_DEADLINE).await.is_ok_and(|status| status.success()))
    }
}
