//! One run from the seed file to the report: threads, phases, progress, and the CPU time of the measured part.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ringside_test_client::process::{cpu_of, own_cpu};
use ringside_test_client::seed_file::SeedFile;
use ringside_test_client::websocket::Target;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::options::{LoadError, LoadOptions, SPARE_DESCRIPTORS};
use super::plan::Plan;
use super::report::{Latency, LoadReport};
use super::scoreboard::Scoreboard;
use super::tracker::Tracker;
use super::worker::{Assignment, Worker};

/// Between the last connection's opening and the first message.
const START_DELAY_NS: u64 = 100_000_000;
/// How often phases are looked at.
const POLL: Duration = Duration::from_millis(10);
const PROGRESS: Duration = Duration::from_secs(1);

/// Runs the load that was asked for.
pub fn run(options: &LoadOptions) -> Result<LoadReport, LoadError> {
    let seed = SeedFile::read(&options.seed_file)?;
    let plan = Arc::new(Plan::new(options, &seed, uuid::Uuid::now_v7().as_u128() as u64)?);
    let scoreboard = Arc::new(Scoreboard::new(plan.sends.len()));
    let workers =
        Workers::start(&options.edge, &plan, &scoreboard, options.threads, true, options.message_bytes)?;
    let mut progress = Progress::new(Arc::clone(&scoreboard));
    if !workers.await_open(u64::from(options.connections), &mut progress) {
        return workers.finish(&scoreboard).map(|_| LoadReport::default());
    }
    scoreboard.start(START_DELAY_NS);
    let before = measure_at(&scoreboard, plan.warmup_ns, options.server_pid, &mut progress);
    let after = measure_at(&scoreboard, plan.end_ns, options.server_pid, &mut progress);
    let give_up = Instant::now() + Duration::from_secs_f64(options.grace.max(0.0));
    while !scoreboard.is_settled() && Instant::now() < give_up {
        progress.wait();
    }
    // A moment more: whatever is doubled comes after what was awaited.
    thread::sleep(POLL * 10);
    let trackers = workers.finish(&scoreboard)?;
    Ok(report(options, &plan, &scoreboard, &trackers, (before, after)))
}

/// The totals at one moment.
#[derive(Clone, Copy)]
struct Moment {
    at: Instant,
    acknowledged: u64,
    delivered: u64,
    own_cpu: Duration,
    server_cpu: Option<Duration>,
}

/// Waits for a moment of the plan's time and takes the totals there.
fn measure_at(
    scoreboard: &Scoreboard,
    plan_ns: u64,
    server_pid: Option<u32>,
    progress: &mut Progress,
) -> Moment {
    let start = scoreboard.started_at_ns().expect("the run was started");
    while scoreboard.elapsed_ns() < start + plan_ns && !scoreboard.is_stopped() {
        progress.wait();
    }
    Moment {
        at: Instant::now(),
        acknowledged: scoreboard.totals.acknowledged.load(Relaxed),
        delivered: scoreboard.totals.delivered.load(Relaxed),
        own_cpu: own_cpu(),
        server_cpu: server_pid.and_then(cpu_of),
    }
}

fn report(
    options: &LoadOptions,
    plan: &Plan,
    scoreboard: &Scoreboard,
    trackers: &[Tracker],
    (before, after): (Moment, Moment),
) -> LoadReport {
    let merged = |pick: fn(&Tracker) -> &hdrhistogram::Histogram<u64>| {
        let mut all = pick(&trackers[0]).clone();
        for tracker in &trackers[1..] {
            all.add(pick(tracker)).expect("all have the same bounds");
        }
        Latency::of(&all)
    };
    let seconds = after.at.duration_since(before.at).as_secs_f64();
    let delivered = (after.delivered - before.delivered) as f64;
    let micros_each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / delivered.max(1.0);
    let server_cpu =
        after.server_cpu.zip(before.server_cpu).map(|(after, before)| after.saturating_sub(before));
    let mut report = LoadReport {
        connections: u64::from(options.connections),
        channels: plan.channels.len() as u64,
        rate_asked: options.rate,
        rate_acknowledged: (after.acknowledged - before.acknowledged) as f64 / seconds,
        rate_delivered: delivered / seconds,
        measured_s: seconds,
        ack: merged(|tracker| &tracker.ack_us),
        delivery: merged(|tracker| &tracker.delivery_us),
        send_lag: merged(|tracker| &tracker.lag_us),
        load_cpu_us_per_delivery: micros_each(after.own_cpu - before.own_cpu),
        server_cpu_us_per_delivery: server_cpu.map(micros_each),
        server_cores: server_cpu.map(|cpu| cpu.as_secs_f64() / seconds),
        ..LoadReport::default()
    };
    report.count(scoreboard, scoreboard.outcome(plan));
    for tracker in trackers {
        for (code, count) in &tracker.refusals {
            *report.refusals.entry(code.clone()).or_insert(0) += count;
        }
        report.troubles.extend(tracker.troubles.iter().cloned());
    }
    report
}

/// The worker threads of a run.
pub(super) struct Workers {
    threads: Vec<JoinHandle<Result<Tracker, LoadError>>>,
}

impl Workers {
    pub(super) fn start(
        target: &Target,
        plan: &Arc<Plan>,
        scoreboard: &Arc<Scoreboard>,
        workers: u32,
        await_hello: bool,
        message_bytes: u32,
    ) -> Result<Self, LoadError> {
        allow_descriptors(plan.connections.len() as u64 + SPARE_DESCRIPTORS)?;
        let mut threads = Vec::new();
        for worker in 0..workers {
            let assignment = Assignment {
                worker,
                workers,
                target: target.clone(),
                plan: Arc::clone(plan),
                scoreboard: Arc::clone(scoreboard),
                await_hello,
                message_bytes,
            };
            let thread = thread::Builder::new().name(format!("load-{worker}"));
            threads.push(thread.spawn(move || Worker::new(assignment)?.run())?);
        }
        Ok(Self { threads })
    }

    /// False when a worker gave up.
    pub(super) fn await_open(&self, connections: u64, progress: &mut Progress) -> bool {
        while progress.scoreboard.totals.opened.load(Relaxed) < connections {
            if self.threads.iter().any(JoinHandle::is_finished) {
                return false;
            }
            progress.wait();
        }
        true
    }

    /// Stops the workers and collects what they measured.
    pub(super) fn finish(self, scoreboard: &Scoreboard) -> Result<Vec<Tracker>, LoadError> {
        scoreboard.stop();
        self.threads.into_iter().map(|thread| thread.join().expect("a worker does not panic")).collect()
    }
}

fn allow_descriptors(needed: u64) -> Result<(), LoadError> {
    let limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    if needed > allowed {
        return Err(LoadError::Descriptors { needed, allowed });
    }
    if limit.current.is_some_and(|current| current < needed) {
        let raised = Rlimit { current: Some(needed), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).map_err(std::io::Error::from)?;
    }
    Ok(())
}

/// The line on stderr, once a second.
pub(super) struct Progress {
    scoreboard: Arc<Scoreboard>,
    since: Instant,
    next: Instant,
    last: (u64, u64, u64),
}

impl Progress {
    pub(super) fn new(scoreboard: Arc<Scoreboard>) -> Self {
        let now = Instant::now();
        Self { scoreboard, since: now, next: now + PROGRESS, last: (0, 0, 0) }
    }

    /// Waits a moment, and prints when a second has passed.
    pub(super) fn wait(&mut self) {
        thread::sleep(POLL);
        if Instant::now() < self.next {
            return;
        }
        self.next += PROGRESS;
        let totals = &self.scoreboard.totals;
        let now =
            (totals.sent.load(Relaxed), totals.acknowledged.load(Relaxed), totals.delivered.load(Relaxed));
        eprintln!(
            "{:4} s  {} open  {}/s sent  {}/s acknowledged  {}/s delivered  {} behind  {} refused  {} doubled  {} reordered  {} dropped",
            self.since.elapsed().as_secs(),
            totals.opened.load(Relaxed),
            now.0 - self.last.0,
            now.1 - self.last.1,
            now.2 - self.last.2,
            totals.owed.load(Relaxed).saturating_sub(now.2),
            totals.refused.load(Relaxed),
            totals.doubled.load(Relaxed),
            totals.reordered.load(Relaxed),
            totals.dropped.load(Relaxed),
        );
        self.last = now;
    }
}
