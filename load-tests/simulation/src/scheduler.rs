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
use ringside_types::{ChannelId, UnixMillis};

use crate::trace::{Lane, Step, Trace};

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

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Task {
    process: ProcessId,
    /// `None`: it is being polled.
    work: Option<Work>,
    /// One for all polls, so that it is known again.
    waker: Waker,
}

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
    tasks: BTreeMap<u64, Task>,
    paused: BTreeMap<ProcessId, Duration>,
    /// Tasks of processes that stand still, which could go on.
    held: Vec<(ProcessId, u64)>,
    /// By how much a process's time of day is off, in milliseconds.
    skews: BTreeMap<ProcessId, i64>,
    lanes: BTreeMap<ProcessId, Lane>,
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
    /// At time 0. `keeps`: whether steps of the trace are kept, besides their hash.
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
            lanes: BTreeMap::new(),
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

    /// Says what a process is in the trace.
    pub fn name(&self, process: ProcessId, lane: Lane) {
        self.core().lanes.insert(process, lane);
    }

    /// What a process is in the trace.
    pub fn lane(&self, process: ProcessId) -> Lane {
        self.core().lanes.get(&process).copied().unwrap_or(Lane::World)
    }

    /// Adds a step to the trace.
    pub fn note(&self, from: Lane, to: Lane, channel: Option<ChannelId>, text: impl FnOnce() -> String) {
        let mut core = self.core();
        let at = core.now;
        core.trace.add(Step { at, from, to, channel, text: text() });
    }

    /// The trace's hash so far.
    pub fn hash(&self) -> u64 {
        self.core().trace.hash()
    }

    /// The steps of the trace, where they were kept.
    pub fn trace(&self) -> Vec<Step> {
        self.core().trace.steps()
    }

    /// Adds a task to a process.
    pub fn spawn(&self, process: ProcessId, task: impl Future<Output = ()> + Send + 'static) {
        let mut core = self.core();
        let number = core.number();
        let waker = Waker::from(Arc::new(TaskWaker { task: number, ready: Arc::clone(&self.ready) }));
        core.tasks.insert(number, Task { process, work: Some(Box::pin(task)), waker });
        self.ready.add(number);
    }

    /// Ends all of a process's tasks where they are.
    pub fn kill(&self, process: ProcessId) {
        let ended: Vec<_> = {
            let mut core = self.core();
            core.paused.remove(&process);
            core.skews.remove(&process);
            core.tasks.extract_if(.., |_, task| task.process == process).collect()
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
        // A task that was woken by something else asks for the same timer again.
        let mut same = core.timers.range((until, 0)..=(until, u64::MAX));
        if !same.any(|(_, waker)| waker.will_wake(context.waker())) {
            let number = core.number();
            core.timers.insert((until, number), context.waker().clone());
        }
        Poll::Pending
    }

    /// Runs until this time, or until nothing is left to do.
    pub fn run_until(&self, end: Duration) {
        loop {
            while let Some(task) = self.choose() {
                self.poll(task);
            }
            let mut core = self.core();
            let due = core.timers.first_key_value().map(|((at, _), _)| *at);
            let woken = core.paused.values().min().copied();
            let Some(next) = due.into_iter().chain(woken).min().filter(|next| *next <= end) else {
                core.now = end.max(core.now);
                break;
            };
            core.now = next.max(core.now);
            let now = core.now;
            self.release(&mut core, now);
            while let Some(timer) = core.timers.first_entry().filter(|timer| timer.key().0 <= now) {
                // A waker takes no lock of the scheduler's but that of what is ready.
                timer.remove().wake();
            }
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
            let Some(&Task { process, .. }) = core.tasks.get(&task) else { continue };
            if !core.paused.contains_key(&process) {
                return Some(task);
            }
            core.held.push((process, task));
        }
    }

    fn poll(&self, number: u64) {
        let (mut work, waker, reading) = {
            let mut core = self.core();
            core.steps += 1;
            assert!(core.steps < STEPS_MAX, "so much is done without an end");
            let Some(task) = core.tasks.get_mut(&number) else { return };
            let (process, waker, Some(work)) = (task.process, task.waker.clone(), task.work.take()) else {
                return;
            };
            let reading = simulated::Reading { wall: core.wall(process), since_boot: UPTIME + core.now };
            (work, waker, reading)
        };
        simulated::set(Some(reading));
        let polled = work.as_mut().poll(&mut Context::from_waker(&waker));
        simulated::set(None);
        let mut core = self.core();
        let ended = match polled {
            Poll::Ready(()) => core.tasks.remove(&number).map(|_| work),
            // It may have killed its own process.
            Poll::Pending => match core.tasks.get_mut(&number) {
                Some(task) => {
                    task.work = Some(work);
                    None
                }
                None => Some(work),
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
