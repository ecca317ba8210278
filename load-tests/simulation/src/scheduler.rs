//! Time, chance and tasks of a simulation: one thread, one seed.
//!
//! Of the tasks that are ready, one is drawn by lot. Time stands still while any is ready, then goes to the next timer.
//! So the same seed does the same again, and the order in which things happen is the seed's.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use ringside_clock::simulated;
use ringside_types::UnixMillis;

use crate::trace::Trace;

/// The time of day at the beginning of every simulation.
const EPOCH: UnixMillis = UnixMillis(1_790_000_000_000);
/// How long machines are up at the beginning.
const UPTIME: Duration = Duration::from_secs(10_000);

/// A simulation that does more is going round in circles.
const STEPS_MAX: u64 = 5_000_000;

/// What tasks belong to: killed and paused together, with one clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub u32);

/// The simulation itself, and its clients: never killed, with a clock that is right.
pub const WORLD: ProcessId = ProcessId(0);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A handle of the scheduler.
#[derive(Clone)]
pub struct Scheduler {
    core: Arc<Mutex<Core>>,
    ready: Arc<Ready>,
    /// What instants are counted from: no more than a name for time 0.
    started: Instant,
}

struct Core {
    now: Duration,
    random: SmallRng,
    timers: BTreeMap<(Duration, u64), Waker>,
    next: u64,
    /// `None`: it is being polled.
    tasks: BTreeMap<u64, (ProcessId, Option<Task>)>,
    paused: BTreeMap<ProcessId, Duration>,
    /// Tasks of processes that stand still, which could go on.
    held: Vec<(ProcessId, u64)>,
    /// By how much a process's time of day is off, in milliseconds.
    skews: BTreeMap<ProcessId, i64>,
    steps: u64,
    trace: Trace,
}

/// Tasks that can go on, each once.
#[derive(Default)]
struct Ready(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    tasks: Vec<u64>,
    queued: BTreeSet<u64>,
}

struct TaskWaker {
    task: u64,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.add(self.task);
    }
}

impl Ready {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, task: u64) {
        let mut queue = self.queue();
        if queue.queued.insert(task) {
            queue.tasks.push(task);
        }
    }

    /// Takes one of them out, by lot.
    fn take(&self, random: &mut SmallRng) -> Option<u64> {
        let mut queue = self.queue();
        let count = queue.tasks.len();
        let at = (count > 0).then(|| random.random_range(0..count))?;
        let task = queue.tasks.swap_remove(at);
        queue.queued.remove(&task);
        Some(task)
    }
}

impl Scheduler {
    /// At time 0. `keeps`: whether lines of the trace are kept, besides their hash.
    pub fn new(seed: u64, keeps: bool) -> Self {
        let core = Core {
            now: Duration::ZERO,
            random: SmallRng::seed_from_u64(seed),
            timers: BTreeMap::new(),
            next: 0,
            tasks: BTreeMap::new(),
            paused: BTreeMap::new(),
            held: Vec::new(),
            skews: BTreeMap::new(),
            steps: 0,
            trace: Trace::new(keeps),
        };
        Self { core: Arc::new(Mutex::new(core)), ready: Arc::default(), started: Instant::now() }
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the beginning.
    pub fn now(&self) -> Duration {
        self.core().now
    }

    pub fn instant(&self) -> Instant {
        self.started + self.now()
    }

    /// The time since the beginning of an instant.
    pub fn since_start(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.started)
    }

    /// The time of day, by a process's clock.
    pub fn wall(&self, process: ProcessId) -> UnixMillis {
        self.core().wall(process)
    }

    /// Sets a process's clock: so many milliseconds off.
    pub fn set_skew(&self, process: ProcessId, skew_ms: i64) {
        self.core().skews.insert(process, skew_ms);
    }

    /// Tasks polled so far.
    pub fn steps(&self) -> u64 {
        self.core().steps
    }

    /// A number below `bound`, each as likely as the others; 0 where there is none.
    pub fn draw(&self, bound: u64) -> u64 {
        self.core().random.random_range(0..bound.max(1))
    }

    pub fn random(&self) -> u64 {
        self.core().random.random()
    }

    /// True in so many of a thousand cases.
    pub fn chance(&self, per_mille: u64) -> bool {
        self.draw(1_000) < per_mille
    }

    /// One of these times, in microseconds.
    pub fn draw_us(&self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_micros(range.start + self.draw(range.end - range.start))
    }

    /// Adds a line to the trace.
    pub fn note(&self, line: impl FnOnce() -> String) {
        let mut core = self.core();
        let now = core.now;
        core.trace.add(now, line);
    }

    /// The trace's hash so far.
    pub fn hash(&self) -> u64 {
        self.core().trace.hash()
    }

    /// The lines that were kept.
    pub fn lines(&self) -> Vec<String> {
        self.core().trace.lines()
    }

    /// Adds a task to a process.
    pub fn spawn(&self, process: ProcessId, task: impl Future<Output = ()> + Send + 'static) {
        let mut core = self.core();
        let number = core.number();
        core.tasks.insert(number, (process, Some(Box::pin(task))));
        self.ready.add(number);
    }

    /// Ends all of a process's tasks where they are.
    pub fn kill(&self, process: ProcessId) {
        let ended: Vec<_> = {
            let mut core = self.core();
            core.paused.remove(&process);
            core.skews.remove(&process);
            core.tasks.extract_if(.., |_, (of, _)| *of == process).collect()
        };
        drop(ended);
    }

    /// Nothing of a process goes on for so long.
    pub fn pause(&self, process: ProcessId, time: Duration) {
        let until = self.now() + time;
        self.core().paused.insert(process, until);
    }

    pub async fn sleep(&self, time: Duration) {
        self.sleep_until(self.now() + time).await;
    }

    /// Waits until this time since the beginning.
    pub async fn sleep_until(&self, until: Duration) {
        std::future::poll_fn(|context| self.poll_timer(until, context)).await;
    }

    /// Ready once it is so late; until then the task is woken at that time.
    pub fn poll_timer(&self, until: Duration, context: &Context<'_>) -> Poll<()> {
        let mut core = self.core();
        if until <= core.now {
            return Poll::Ready(());
        }
        let number = core.number();
        core.timers.insert((until, number), context.waker().clone());
        Poll::Pending
    }

    /// Runs until this time, or until nothing is left to do.
    pub fn run_until(&self, end: Duration) {
        loop {
            while let Some(task) = self.choose() {
                self.poll(task);
            }
            let next = {
                let mut core = self.core();
                let due = core.timers.first_key_value().map(|((at, _), _)| *at);
                let woken = core.paused.values().min().copied();
                match due.into_iter().chain(woken).min().filter(|next| *next <= end) {
                    None => {
                        core.now = end.max(core.now);
                        break;
                    }
                    Some(next) => {
                        core.now = next.max(core.now);
                        let now = core.now;
                        self.release(&mut core, now);
                        let later = core.timers.split_off(&(now, u64::MAX));
                        std::mem::replace(&mut core.timers, later)
                    }
                }
            };
            next.into_values().for_each(Waker::wake);
        }
    }

    /// What stood still until now goes on.
    fn release(&self, core: &mut Core, now: Duration) {
        core.paused.retain(|_, until| *until > now);
        let Core { paused, held, .. } = core;
        held.retain(|(process, task)| {
            let is_held = paused.contains_key(process);
            if !is_held {
                self.ready.add(*task);
            }
            is_held
        });
    }

    /// A task that can go on, by lot. Those of processes that stand still are held back.
    fn choose(&self) -> Option<u64> {
        let mut core = self.core();
        loop {
            let task = self.ready.take(&mut core.random)?;
            let Some((process, _)) = core.tasks.get(&task) else { continue };
            let process = *process;
            if !core.paused.contains_key(&process) {
                return Some(task);
            }
            core.held.push((process, task));
        }
    }

    fn poll(&self, number: u64) {
        let (process, task, reading) = {
            let mut core = self.core();
            core.steps += 1;
            assert!(core.steps < STEPS_MAX, "so much is done without an end");
            let reading = |core: &Core, process| simulated::Reading {
                wall: core.wall(process),
                since_boot: UPTIME + core.now,
            };
            let Some((process, task)) = core.tasks.get_mut(&number) else { return };
            let (process, Some(task)) = (*process, task.take()) else { return };
            (process, task, reading(&core, process))
        };
        let mut task = task;
        simulated::set(Some(reading));
        let waker = Waker::from(Arc::new(TaskWaker { task: number, ready: Arc::clone(&self.ready) }));
        let polled = task.as_mut().poll(&mut Context::from_waker(&waker));
        simulated::set(None);
        let mut core = self.core();
        let ended = match polled {
            Poll::Ready(()) => core.tasks.remove(&number).map(|_| task),
            // It may have killed its own process.
            Poll::Pending => match core.tasks.get_mut(&number) {
                Some(place) => {
                    *place = (process, Some(task));
                    None
                }
                None => Some(task),
            },
        };
        drop(core);
        drop(ended);
    }
}

impl Core {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn wall(&self, process: ProcessId) -> UnixMillis {
        let skew = self.skews.get(&process).copied().unwrap_or_default();
        let now_ms = u64::try_from(self.now.as_millis()).unwrap_or(u64::MAX);
        UnixMillis(EPOCH.0.saturating_add(now_ms).saturating_add_signed(skew))
    }
}
