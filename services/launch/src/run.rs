//! `ringside run`: roles in this process, from its start to its stop. `ringside up` runs all of them.
//!
//! Started from the engines up, stopped from the sockets down.

mod metrics;
mod readiness;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ringside_http::{AllowedHosts, BindError, Callers, Hosts, Server, WebSocketProxy};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::admin::Administration;
use crate::audit::Audit;
use crate::commands::Failure;
use crate::config::Config;
use crate::control::{Answering, Socket};
use crate::engines::{Engines, refuse_to_share};
use crate::roles::api::{Api, Observer};
use crate::roles::{Role, Roles};
use crate::tls::Tls;
use crate::{init, logging, tls};
use metrics::Metrics;
use readiness::Readiness;

/// Requests under way get this long to end once the sockets are drained.
const REQUESTS_END: Duration = Duration::from_secs(5);
/// What is left after a failure gets this long.
const FAILED_END: Duration = Duration::from_secs(10);

/// Runs these roles until it is told to stop, or an engine fails.
///
/// # Errors
/// The sentence to print: why it could not start, or had to stop.
pub(crate) fn run(config: &Config, roles: &[Role]) -> Result<(), Failure> {
    refuse_to_share(roles)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(serve(config));
    // Whatever still runs has been told to stop; a thread that hangs on a disk must not keep the process.
    runtime.shutdown_timeout(REQUESTS_END);
    outcome
}

/// The ports of this process, taken and not served yet.
pub(crate) struct Ports {
    pub(crate) api: Server,
    admin: Server,
    pub(crate) tls: Option<Tls>,
    /// Who is behind the connections that the edge has from the API's port.
    pub(crate) callers: Callers,
}

impl Ports {
    fn bind(config: &Config, tls: Option<Tls>) -> Result<Self, BindError> {
        let acceptor = tls.as_ref().map(|tls| TlsAcceptor::from(tls.server.clone()));
        Ok(Self {
            api: Server::bind("API", "api_addr", config.api_addr, acceptor)?,
            admin: Server::bind("admin port", "admin_addr", config.admin_addr, None)?,
            tls,
            callers: Callers::default(),
        })
    }

    /// The way from the API's port to an edge.
    fn proxy(&self, edge: SocketAddr) -> WebSocketProxy {
        let connector = self.tls.as_ref().map(|tls| TlsConnector::from(tls.to_ourselves.clone()));
        WebSocketProxy::new(edge, connector, self.callers.clone())
    }
}

async fn serve(config: &Config) -> Result<(), Failure> {
    // Ports are taken before the data folder is touched: the commonest mistake is found first.
    let ports = Ports::bind(config, tls::read(config)?)?;
    let (engines, _) = init::open(config).await?;
    let (stop, stopping) = watch::channel(false);
    let roles = Roles::start(config, &engines, &ports, &stopping).await?;
    let ready = Readiness::new(roles.probes());
    let proxy = ports.proxy(roles.edge.address());
    let (audit, auditor) = Audit::open(&config.data_dir, &config.audit)?;
    let observer = Arc::new(Observer::new(audit.clone(), config.trusted_proxies.clone().into()));
    let named = [
        ("api", ports.api.connections().clone()),
        ("admin", ports.admin.connections().clone()),
        ("door", proxy.connections().clone()),
    ];
    let metrics = Metrics::new(&config.data_dir, &engines, &roles, &ready, named, &observer);
    let mut signals = Signals::new()?;
    let (close, closing) = watch::channel(false);
    let auditor = auditor.map(|auditor| tokio::spawn(auditor.run(closing)));
    let control = answer_commands(config, &engines, &roles, audit, stopping);
    announce(config, &ports, &roles);
    tokio::spawn(logging::report_suppressed());
    let (leave, leaving) = watch::channel(false);
    let own =
        Hosts { allowed: admin_names(config, &ports.admin), trusted: config.trusted_proxies.clone().into() };
    let api = Api::start(config, ports.api, proxy, &roles, observer, leaving.clone());
    let admin = ports.admin.serve(readiness::routes(ready.clone(), Arc::new(metrics)), own, None, leaving);
    let outcome = until_stopped(config, &engines, &roles, &ready, &mut signals).await;
    // Requests under way still need what they stand on.
    leave.send_replace(true);
    let _ = tokio::join!(api.stopped(), admin);
    stop.send_replace(true);
    if outcome.is_ok() {
        roles.stopped().await;
    } else {
        // What failed may never end.
        let _ = timeout(FAILED_END, roles.stopped()).await;
    }
    ended(control).await;
    // What all others have recorded is written last.
    close.send_replace(true);
    ended(auditor).await;
    outcome
}

/// Waits until it is time to stop: by a signal, after which connections are let go, or because something failed.
async fn until_stopped(
    config: &Config,
    engines: &Engines,
    roles: &Roles,
    ready: &Readiness,
    signals: &mut Signals,
) -> Result<(), Failure> {
    tokio::select! {
        name = signals.next() => {
            tracing::info!(signal = name, "stopping: connections are let go first");
            ready.drain();
        }
        cause = engines.failed() => return Err(cause),
        cause = roles.failed() => return Err(cause),
    }
    roles.edge.drain(Duration::from_secs(config.drain_window_s), signals).await;
    Ok(())
}

/// Opens the socket through which commands reach this process. `None`: it can't be opened.
fn answer_commands(
    config: &Config,
    engines: &Engines,
    roles: &Roles,
    audit: Audit,
    stop: watch::Receiver<bool>,
) -> Option<JoinHandle<()>> {
    let (people, keys) = (roles.user.service(), roles.user.keys());
    let administration = Administration { people, keys, is_running: true, audit };
    let answering = Answering::new(config.data_dir.clone(), engines.clone(), administration);
    Socket::open(&config.data_dir).map(|socket| tokio::spawn(socket.serve(answering, stop)))
}

/// Waits until a task has ended, unless it hangs on a disk. How it ended is in the log.
async fn ended(task: Option<JoinHandle<()>>) {
    if let Some(task) = task {
        let _ = timeout(REQUESTS_END, task).await;
    }
}

fn admin_names(config: &Config, admin: &Server) -> AllowedHosts {
    let names = config.admin_names.iter().map(|name| name.to_ascii_lowercase()).collect();
    AllowedHosts::Only { bound: admin.address(), names }
}

/// Says where to point a browser: on stdout, in plain words.
fn announce(config: &Config, ports: &Ports, roles: &Roles) {
    let (api, admin, edge) = (ports.api.address(), ports.admin.address(), &roles.edge);
    let scheme = if config.tls_cert.is_some() { "https" } else { "http" };
    println!(
        "Ringside is up: {scheme}://{api}/ in a browser, {} for WebSocket clients",
        edge.found(config).url("")
    );
    println!("For whoever runs it: http://{admin}/status in a browser, /metrics, /ready");
    tracing::info!(
        api = %api,
        edge = %edge.address(),
        admin = %admin,
        backend = ?edge.backend(),
        shards = edge.shards(),
        data = %config.data_dir.display(),
        "ringside is up"
    );
}

pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for either; its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
