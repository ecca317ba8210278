//! One crash test from an empty folder to the verdict.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ringside_checker::check;
use ringside_checker::history::{ClientHistory, History};
use ringside_test_client::server::{Addresses, READY_DEADLINE, ServerProcess, ServerSpec};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until};
use uuid::Uuid;

use crate::agent::Agent;
use crate::context::{Phase, RunContext, Unfinished};
use crate::evicted_client::EvictedClient;
use crate::options::{CrashError, CrashOptions};
use crate::participants::Participants;
use crate::report::CrashReport;
use crate::schedule::kills;

/// What is unfinished when sending ends has to come to its end within this time.
const SETTLE_DEADLINE: Duration = Duration::from_secs(60);
/// And the last sync of everybody within this.
const LEAVE_DEADLINE: Duration = Duration::from_secs(30);
/// A drain without clients is over as soon as it begins; this is generous.
const DRAIN_DEADLINE: Duration = Duration::from_secs(25);
const POLL: Duration = Duration::from_millis(50);

/// Runs the crash test that was asked for.
pub async fn run(options: &CrashOptions) -> Result<CrashReport, CrashError> {
    let seed = options.seed.unwrap_or_else(|| Uuid::now_v7().as_u128() as u64 >> 16);
    eprintln!("seed {seed}");
    let (data_dir, temporary) = data_dir(options, seed)?;
    let spec = ServerSpec {
        log_file: data_dir.with_extension("log"),
        data_dir: data_dir.clone(),
        ..options.server.spec_in(&data_dir)
    }
    .without_limits();
    let server = ServerProcess::start(&spec).await?;
    let participants = Participants::register(server.addresses.rest(), seed, options).await?;
    eprintln!("{} users, {} channels; sending", participants.accounts.len(), participants.channels.len());
    let mut run = Run { spec, seed, server, kills: 0, slowest_ready: Duration::ZERO };
    let mut history = run.run_clients(&participants, options).await?;
    let addresses = run.server.addresses;
    participants.read_final_state(addresses.rest(), &addresses.target(), &mut history).await?;
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
    async fn run_clients(
        &mut self,
        participants: &Participants,
        options: &CrashOptions,
    ) -> Result<History, CrashError> {
        let duration = Duration::from_secs_f64(options.duration.max(0.1));
        let started = Instant::now();
        let (phases, phase) = watch::channel(Phase::Sending);
        let mean_pause = Duration::from_secs_f64(options.pause_ms.max(1.0) / 1000.0);
        let target = self.server.addresses.target();
        let rest = self.server.addresses.rest();
        let context = RunContext { started, phase, target, rest, mean_pause };
        // A kill late in the run may move its end; nobody stays for ever.
        let slack = READY_DEADLINE * (options.kills + 1);
        let give_up = started + duration + slack + SETTLE_DEADLINE + LEAVE_DEADLINE;
        let mut unfinished = Vec::new();
        let mut clients: Vec<JoinHandle<ClientHistory>> = Vec::new();
        for client in 0..options.clients {
            let count = Unfinished::default();
            unfinished.push(count.clone());
            let agent = Agent::new(participants.persona(client), context.clone(), count, self.seed);
            clients.push(tokio::spawn(agent.run(give_up)));
        }
        let evicted_clients: Vec<JoinHandle<ClientHistory>> = participants
            .evicted_clients(options.clients)
            .map(|persona| tokio::spawn(EvictedClient::new(persona, context.clone(), self.seed).run(give_up)))
            .collect();
        for kill in kills(self.seed, options.kills, duration) {
            sleep_until((started + kill.at).into()).await;
            self.kill_and_restart(kill.away).await?;
        }
        let undisturbed_from_us = Some(context.now_us());
        sleep_until((started + duration).into()).await;
        phases.send_replace(Phase::Settling);
        let settle_until = Instant::now() + SETTLE_DEADLINE;
        let is_quiet = || {
            unfinished.iter().all(|count| count.count() == 0)
                && evicted_clients.iter().all(JoinHandle::is_finished)
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
        for evicted_client in evicted_clients {
            history.evicted_clients.push(evicted_client.await.expect("an evicted client does not panic"));
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
