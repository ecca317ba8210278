//! All servers: which of them a call goes to, in one pipeline for each, and what is done where one of them says no.

mod calls;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::join_all;
use redis::{Pipeline, Value};
use ringside_ports::EngineError;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::config::{Address, Config, ConfigError, Dialing, Mode};
use crate::counters::Counters;
use crate::failure::{Refused, unavailable};
use crate::link::{Link, LinkError};
use crate::slots::{SlotMap, slot_of};
pub(crate) use calls::{Call, Repeat};
use calls::{Open, Sending};

/// How often a call is sent at the most, all of its redirections included.
const ATTEMPTS_MAX: u32 = 8;
/// How long a call waits before it is sent again to a server that asked for a moment, plus or minus a half.
const MOMENT: Duration = Duration::from_millis(20);
/// The map of slots is asked for at most this often.
const MAP_PAUSE: Duration = Duration::from_millis(100);
/// Servers known at the most; one that is too many replaces all that are not seeds.
const LINKS_MAX: usize = 1_024;

pub(crate) const GIVEN_AS_SINGLE: &str = "it is part of a Redis Cluster: configure a cluster";
pub(crate) const GIVEN_AS_CLUSTER: &str = "it gave no map of a Redis Cluster: configure a single Redis";

/// The servers. A clone is another handle.
#[derive(Clone)]
pub(crate) struct Nodes(Arc<Shared>);

struct Shared {
    mode: Mode,
    seeds: Vec<Address>,
    dialing: Dialing,
    timeout: Duration,
    counters: Arc<Counters>,
    map: RwLock<Arc<SlotMap>>,
    is_doubted: AtomicBool,
    links: Mutex<HashMap<Address, Link>>,
    /// When the map was asked for last, and why it did not come; held by the one that asks.
    asked: tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Nodes {
    /// Connects to nothing yet.
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let (seeds, dialing) = config.read()?;
        let map = match (config.mode, seeds.first()) {
            (Mode::Single, Some(address)) => SlotMap::of_one(address.clone()),
            _ => SlotMap::unknown(),
        };
        Ok(Self(Arc::new(Shared {
            mode: config.mode,
            seeds,
            dialing,
            timeout: config.timeout,
            counters: Arc::default(),
            map: RwLock::new(Arc::new(map)),
            is_doubted: AtomicBool::new(false),
            links: Mutex::default(),
            asked: tokio::sync::Mutex::default(),
        })))
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.0.counters
    }

    pub(crate) fn seeds(&self) -> &[Address] {
        &self.0.seeds
    }

    pub(crate) fn dialing(&self) -> &Dialing {
        &self.0.dialing
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// A server has said who has a slot now.
    pub(crate) fn moved(&self, slot: u16, owner: Address) {
        self.0.counters.redirections.fetch_add(1, Ordering::Relaxed);
        let mut map = self.0.map.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut *map).set_owner(slot, owner);
    }

    /// The map may not be what it was.
    pub(crate) fn doubt_map(&self) {
        self.0.is_doubted.store(true, Ordering::Relaxed);
    }

    /// The map, asked for if it is doubted, or if none is known.
    pub(crate) async fn sure_map(&self) -> Result<Arc<SlotMap>, String> {
        let is_doubted = self.0.is_doubted.swap(false, Ordering::Relaxed);
        if self.0.mode == Mode::Cluster && (is_doubted || self.map().primaries().is_empty()) {
            let asked = self.ask_for_map(Instant::now() + self.0.timeout).await;
            if let Err(cause) = asked {
                self.doubt_map();
                return Err(cause);
            }
        }
        Ok(self.map())
    }

    pub(crate) fn map(&self) -> Arc<SlotMap> {
        Arc::clone(&self.0.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn link(&self, address: &Address) -> Link {
        let mut links = self.0.links.lock().unwrap_or_else(PoisonError::into_inner);
        if links.len() >= LINKS_MAX && !links.contains_key(address) {
            links.retain(|known, _| self.0.seeds.contains(known));
        }
        let make = || Link::new(address.clone(), self.0.dialing.clone(), Arc::clone(&self.0.counters));
        links.entry(address.clone()).or_insert_with(make).clone()
    }

    /// The answers to all calls, in order. Ends within the time limit.
    pub(crate) async fn execute(&self, calls: &[Call], repeat: Repeat) -> Result<Vec<Value>, EngineError> {
        let answered = self.execute_within(calls, repeat, Instant::now() + self.0.timeout).await;
        if answered.is_err() {
            self.0.counters.calls_failed.fetch_add(1, Ordering::Relaxed);
        }
        answered
    }

    async fn execute_within(
        &self,
        calls: &[Call],
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<Vec<Value>, EngineError> {
        let mut sending = Sending::new(calls, repeat);
        for attempt in 1..=ATTEMPTS_MAX {
            if sending.needs_map && self.0.mode == Mode::Cluster {
                if let Err(cause) = self.ask_for_map(deadline).await {
                    sending.cause = cause;
                }
                sending.needs_map = false;
            }
            self.send_open(&mut sending, deadline).await?;
            if sending.open.is_empty() {
                return Ok(sending.into_answers());
            }
            let now = Instant::now();
            if now >= deadline || attempt == ATTEMPTS_MAX {
                break;
            }
            if sending.needs_pause {
                let pause = MOMENT.mul_f64(rand::random_range(0.5..1.5));
                sleep_until(deadline.min(now + pause)).await;
                sending.needs_pause = false;
            }
        }
        Err(unavailable(sending.cause))
    }

    /// Sends what is open, each server's part at once, and notes what came of it.
    async fn send_open(&self, sending: &mut Sending<'_>, deadline: Instant) -> Result<(), EngineError> {
        let map = self.map();
        let mut groups: BTreeMap<Address, Vec<Open>> = BTreeMap::new();
        for open in std::mem::take(&mut sending.open) {
            let owner = match &open.ask {
                Some(address) => Some(address.clone()),
                None => map.owner(slot_of(sending.calls[open.at].key.as_bytes())).map(|it| (**it).clone()),
            };
            match owner {
                Some(address) => groups.entry(address).or_default().push(open),
                None => {
                    // Keeps the cause of a failure that hides the map.
                    if sending.cause.is_empty() {
                        sending.cause = "no server has the slot of a key, or none could be asked".into();
                    }
                    sending.open.push(open);
                    sending.needs_map = true;
                    sending.needs_pause = true;
                }
            }
        }
        let sent = groups.into_iter().map(|(address, group)| {
            let link = self.link(&address);
            let (pipeline, places) = sending.pipeline(&group);
            async move { (link.send(&pipeline, deadline).await, places, address, group) }
        });
        let sent: Vec<_> = join_all(sent).await;
        for (replies, places, address, group) in sent {
            match replies {
                Ok(mut replies) => {
                    for (open, place) in group.into_iter().zip(places) {
                        self.note(sending, open, std::mem::take(&mut replies[place]), &address)?;
                    }
                }
                Err(error) => self.note_failure(sending, group, error, &address)?,
            }
        }
        Ok(())
    }

    fn note(
        &self,
        sending: &mut Sending<'_>,
        open: Open,
        reply: Value,
        from: &Address,
    ) -> Result<(), EngineError> {
        let Value::ServerError(error) = reply else {
            sending.answers[open.at] = reply;
            return Ok(());
        };
        let refused = Refused::of(&error, from);
        if let (Refused::Moved(..) | Refused::Ask(_), Mode::Single) = (&refused, self.0.mode) {
            return Err(unavailable(format!("{from}: {GIVEN_AS_SINGLE}")));
        }
        let mut again = Open { ask: None, ..open };
        match refused {
            Refused::Moved(slot, address) => {
                self.moved(slot, address);
                sending.needs_map = true;
            }
            Refused::Ask(address) => {
                self.0.counters.redirections.fetch_add(1, Ordering::Relaxed);
                again.ask = Some(address);
            }
            Refused::UnknownScript => (again.loads, again.ask) = (true, open.ask),
            Refused::ReadOnly => {
                self.link(from).reset("its server is a replica now");
                sending.cause = format!("{from}: it is a replica");
                (sending.needs_map, sending.needs_pause) = (true, true);
            }
            Refused::Later(cause) => {
                sending.cause = cause;
                (sending.needs_map, sending.needs_pause) = (true, true);
            }
            Refused::For(error) => return Err(error),
        }
        sending.open.push(again);
        Ok(())
    }

    /// A server did not answer. What was not sent may be sent to another, if the cluster has chosen one since; what was sent is
    /// repeated once, where that does no harm.
    fn note_failure(
        &self,
        sending: &mut Sending<'_>,
        group: Vec<Open>,
        error: LinkError,
        from: &Address,
    ) -> Result<(), EngineError> {
        let may_go_on = match error.is_sent {
            true => sending.repeat == Repeat::Harmless,
            false => self.0.mode == Mode::Cluster,
        };
        if !may_go_on || sending.failed.contains(from) {
            return Err(unavailable(error.cause));
        }
        sending.failed.push(from.clone());
        sending.cause = error.cause;
        sending.needs_map = true;
        sending.open.extend(group.into_iter().map(|open| Open { ask: None, ..open }));
        Ok(())
    }

    /// Asks one of the servers which has which slots, unless that was asked a moment ago. Where none answers, what was
    /// known stays.
    async fn ask_for_map(&self, deadline: Instant) -> Result<(), String> {
        let Ok(mut asked) = timeout_at(deadline, self.0.asked.lock()).await else {
            return Err("no map of the cluster in time".into());
        };
        if let Some((at, answer)) = &*asked
            && at.elapsed() < MAP_PAUSE
        {
            return answer.clone();
        }
        let answer = self.find_map(deadline).await.map(|_| ());
        *asked = Some((Instant::now(), answer.clone()));
        answer
    }

    /// The map as the first server tells it that answers.
    pub(crate) async fn find_map(&self, deadline: Instant) -> Result<Arc<SlotMap>, String> {
        let known = self.map().primaries().into_iter().map(|address| (*address).clone());
        let mut places: Vec<Address> = known.collect();
        places.extend(self.0.seeds.iter().filter(|seed| !places.contains(seed)).cloned().collect::<Vec<_>>());
        // Not all processes ask the same one.
        let first = rand::random_range(0..places.len().max(1));
        places.rotate_left(first);
        let mut pipeline = Pipeline::new();
        pipeline.cmd("CLUSTER").arg("SLOTS");
        let mut cause = String::from("no server is known");
        for address in places {
            if Instant::now() >= deadline {
                break;
            }
            match self.link(&address).send(&pipeline, deadline).await.map(|mut replies| replies.pop()) {
                Ok(Some(Value::ServerError(error))) if error.details().is_some_and(has_no_cluster) => {
                    cause = format!("{address}: {GIVEN_AS_CLUSTER}");
                }
                Ok(Some(answer)) => match SlotMap::read(&answer, &address) {
                    Some(map) => {
                        let map = Arc::new(map);
                        *self.0.map.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&map);
                        return Ok(map);
                    }
                    None => cause = format!("{address}: {GIVEN_AS_CLUSTER}"),
                },
                Ok(None) => {}
                Err(error) => cause = error.cause,
            }
        }
        Err(cause)
    }
}

fn has_no_cluster(details: &str) -> bool {
    details.contains("cluster support disabled")
}

impl std::fmt::Debug for Nodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nodes")
            .field("mode", &self.0.mode)
            .field("seeds", &self.0.seeds)
            .finish_non_exhaustive()
    }
}
