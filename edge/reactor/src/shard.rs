//! Shards: threads with a loop each, pinned to their cores.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

pub use core_affinity::CoreId;

use crate::config::{Backend, Config};
use crate::counters::Counters;
use crate::driver;
use crate::handler::Handler;
use crate::io::Io;
use crate::listener::bind_listeners;
use crate::mailbox::Mailbox;
use crate::reactor::Reactor;

/// The cores that this process may use; empty where the system does not tell.
#[must_use]
pub fn core_ids() -> Vec<CoreId> {
    core_affinity::get_core_ids().unwrap_or_default()
}

/// What a handler is made from, on its shard's thread.
#[derive(Debug)]
pub struct Startup<M> {
    /// Which of the shards spawned together this is, from 0.
    pub index: usize,
    /// Where the shard accepts, with the port filled in.
    pub address: Option<SocketAddr>,
    /// The backend that was chosen.
    pub backend: Backend,
    /// The mailboxes of all shards spawned together; `mailboxes[index]` is the shard's own.
    pub mailboxes: Vec<Mailbox<M>>,
    /// The shard's counters.
    pub counters: Arc<Counters>,
}

/// A running shard. Dropping it stops the shard and waits for it.
#[derive(Debug)]
pub struct ShardHandle<M> {
    mailbox: Mailbox<M>,
    address: Option<SocketAddr>,
    backend: Backend,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl<M> ShardHandle<M> {
    /// Sends mail to the shard; clone it for other threads.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox<M> {
        &self.mailbox
    }

    /// Where the shard accepts, with the port filled in.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The backend that was chosen: never [`Backend::Auto`].
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The shard's counters.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Asks the shard to stop at the end of its turn. Returns at once.
    pub fn stop(&self) {
        self.mailbox.bell().stop();
    }

    /// True once the loop has ended, whether asked or not.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until the shard has ended (by [`ShardHandle::stop`], [`Io::stop`] or an error).
    ///
    /// # Errors
    /// The kernel interface failed, or the handler panicked.
    pub fn join(mut self) -> io::Result<()> {
        self.wait()
    }

    fn wait(&mut self) -> io::Result<()> {
        match self.thread.take() {
            None => Ok(()),
            Some(thread) => {
                thread.join().unwrap_or_else(|_| Err(io::Error::other("a shard's handler panicked")))
            }
        }
    }
}

impl<M> Drop for ShardHandle<M> {
    fn drop(&mut self) {
        self.stop();
        if let Err(error) = self.wait() {
            tracing::error!(%error, "a shard ended badly");
        }
    }
}

/// Starts one shard on a thread of its own, pinned to `core` where that is given. Returns when it
/// accepts.
///
/// # Errors
/// The configuration breaks a rule (`InvalidInput`), the address can't be bound (`AddrInUse`
/// after [`crate::BIND_RETRY`]), or the kernel refuses the backend.
pub fn spawn<H, F>(config: &Config, core: Option<CoreId>, make_handler: F) -> io::Result<ShardHandle<H::Mail>>
where
    H: Handler,
    F: FnOnce(Startup<H::Mail>) -> H + Send + 'static,
{
    let mut make_handler = Some(make_handler);
    let mut shards = spawn_on(config, &[core], move |_| make_handler.take().expect("there is one shard"))?;
    Ok(shards.pop().expect("there is one shard"))
}

/// Starts `count` shards on one address; the kernel spreads connections over them. Shard `n` is
/// pinned to the `n`th core, shards beyond the cores are not pinned.
///
/// # Errors
/// As [`spawn`]; shards that started are stopped again.
pub fn spawn_shards<H, F>(
    config: &Config,
    count: usize,
    make_handler: F,
) -> io::Result<Vec<ShardHandle<H::Mail>>>
where
    H: Handler,
    F: FnOnce(Startup<H::Mail>) -> H + Clone + Send + 'static,
{
    let ids = core_ids();
    let cores: Vec<Option<CoreId>> = (0..count).map(|index| ids.get(index).copied()).collect();
    spawn_on(config, &cores, |_| make_handler.clone())
}

fn spawn_on<H, F>(
    config: &Config,
    cores: &[Option<CoreId>],
    mut make_handler: impl FnMut(usize) -> F,
) -> io::Result<Vec<ShardHandle<H::Mail>>>
where
    H: Handler,
    F: FnOnce(Startup<H::Mail>) -> H + Send + 'static,
{
    config.validate().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let (address, mut listeners) = match config.listen {
        None => (None, Vec::new()),
        Some(address) => {
            let (address, listeners) = bind_listeners(address, cores.len(), config.listen_backlog)?;
            (Some(address), listeners)
        }
    };
    let mailboxes =
        (0..cores.len()).map(|_| Mailbox::new(config.mailbox_capacity)).collect::<io::Result<Vec<_>>>()?;
    let mut shards = Vec::with_capacity(cores.len());
    for (index, &core) in cores.iter().enumerate() {
        let seed = Seed {
            config: config.clone(),
            listener: listeners.pop(),
            core,
            startup: Startup {
                index,
                address,
                backend: config.backend,
                mailboxes: mailboxes.clone(),
                counters: Arc::default(),
            },
        };
        shards.push(seed.grow(make_handler(index))?);
    }
    Ok(shards)
}

/// What a shard's thread starts with.
struct Seed<M> {
    config: Config,
    listener: Option<TcpListener>,
    core: Option<CoreId>,
    startup: Startup<M>,
}

impl<M: Send + 'static> Seed<M> {
    fn grow<H, F>(self, make_handler: F) -> io::Result<ShardHandle<M>>
    where
        H: Handler<Mail = M>,
        F: FnOnce(Startup<M>) -> H + Send + 'static,
    {
        let mailbox = self.startup.mailboxes[self.startup.index].clone();
        let counters = Arc::clone(&self.startup.counters);
        let address = self.startup.address;
        let (ready, started) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name(format!("shard-{}", self.startup.index))
            .spawn(move || self.run(&ready, make_handler))?;
        match started.recv() {
            Ok(backend) => Ok(ShardHandle { mailbox, address, backend, counters, thread: Some(thread) }),
            // The thread ended before it was ready: its result says why.
            Err(mpsc::RecvError) => Err(match thread.join() {
                Ok(Ok(())) => io::Error::other("a shard ended before it started"),
                Ok(Err(error)) => error,
                Err(_) => io::Error::other("a shard's handler panicked while it was made"),
            }),
        }
    }

    fn run<H, F>(mut self, ready: &mpsc::SyncSender<Backend>, make_handler: F) -> io::Result<()>
    where
        H: Handler<Mail = M>,
        F: FnOnce(Startup<M>) -> H,
    {
        if let Some(core) = self.core
            && !core_affinity::set_for_current(core)
        {
            tracing::warn!(core = core.id, "a shard could not be pinned to its core");
        }
        let mailbox = self.startup.mailboxes[self.startup.index].clone();
        let counters = Arc::clone(&self.startup.counters);
        let opened = driver::open(driver::Parts {
            config: &self.config,
            listener: self.listener.take(),
            doorbell: mailbox.bell().event(),
        })?;
        let backend = opened.backend;
        self.startup.backend = backend;
        self.config.max_connections = opened.max_connections;
        let handler = make_handler(self.startup);
        let io = Io::new(opened.driver, &self.config, counters);
        // Nobody listens if the spawner gave up; then the mailbox is stopped, too.
        let _ = ready.send(backend);
        Reactor::new(io, handler, mailbox, opened.pool, &self.config).run()
    }
}
