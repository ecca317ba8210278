//! `ringside up`: all roles in one process, on embedded engines.
//!
//! Started from the engines up, stopped from the sockets down.

mod edge;
mod engines;
mod metrics;
mod observe;
mod pipeline;
mod rotation;
mod services;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ringside_http::{Callers, WebSocketProxy};
use ringside_types::forwarded::TrustedProxies;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch as latch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::commands::Failure;
use crate::config::Config;
use crate::control::{Answering, Socket};
use crate::{admin, audit, backup, logging, tls};

use edge::Edge;
use engines::EngineFailure;
pub(crate) use engines::{DIRECTORY_FILE, DataFolder, KEYS_FOLDER};
pub(crate) use pipeline::Pipeline;
pub(crate) use services::People;

/// Requests under way get this long to end once the sockets are drained.
const REQUESTS_END: Duration = Duration::from_secs(5);

/// Runs until it is told to stop, or an engine fails.
///
/// # Errors
/// The sentence to print: why it could not start, or had to stop.
pub fn run(config: &Config) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = serve(&runtime, config);
    // Whatever still runs has been told to stop; a thread that hangs on a disk must not keep the process.
    runtime.shutdown_timeout(REQUESTS_END);
    outcome
}

fn serve(runtime: &Runtime, config: &Config) -> Result<(), Failure> {
    let (stop, stopping) = latch::channel(false);
    // Ports are taken before the data folder is touched: the commonest mistake is found first.
    let tls = tls::read(config)?;
    let acceptor = tls.as_ref().map(|tls| TlsAcceptor::from(tls.server.clone()));
    let connector = tls.as_ref().map(|tls| TlsConnector::from(tls.to_ourselves.clone()));
    let (api, admin) = {
        let _runtime = runtime.enter();
        let api = ringside_http::Server::bind("API", "api_addr", config.api_addr, acceptor)?;
        (api, ringside_http::Server::bind("admin port", "admin_addr", config.admin_addr, None)?)
    };
    let folder = DataFolder::open(runtime, &config.data_dir)?;
    let pipeline = runtime.block_on(Pipeline::start(&folder, &stopping))?;
    let callers = Callers::default();
    let tls = tls.map(|tls| tls.server);
    let edge = Edge::start(runtime, config, api.address(), tls, &callers, &folder, &stopping)?;
    let ready = watch::Readiness::new(edge.seated());
    let proxy = WebSocketProxy::new(edge.address(), connector, callers);
    let ports = [("api", api.connections()), ("admin", admin.connections()), ("door", proxy.connections())];
    let (audit, auditor) = audit::Audit::open(folder.path(), &config.audit)?;
    let trusted = TrustedProxies::from(config.trusted_proxies.clone());
    let observer = Arc::new(observe::Observer::new(audit.clone(), trusted.clone()));
    let metrics = metrics::Metrics::new(&folder, &pipeline, &edge, &ready, ports, &observer);
    let services = services::Services::new(config, &folder, &pipeline);
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let (people, keys) = (services.people(), folder.keys.clone());
        let administration = admin::Administration { people, keys, is_running: true, audit };
        let (close, closing) = latch::channel(false);
        let auditor = auditor.map(|auditor| tokio::spawn(auditor.run(closing)));
        let control = Socket::open(folder.path()).map(|socket| {
            let answering = Answering::new(backup::Source::of(&folder), administration);
            tokio::spawn(socket.serve(answering, stopping.clone()))
        });
        announce(config, &api, &admin, &edge);
        tokio::spawn(rotation::follow(folder.keys.keys().changes(), edge.to_shards(), stopping.clone()));
        tokio::spawn(folder.keys.clone().run(config.signing_key_days, stopping.clone()));
        tokio::spawn(logging::report_suppressed());
        let (leave, leaving) = latch::channel(false);
        let client = ringside_web::Pages::client(edge.found(config), trusted.clone()).routes();
        let router = ringside_api::router(services, api_config(config, &edge)).fallback_service(client);
        let any =
            ringside_http::Hosts { allowed: ringside_http::AllowedHosts::Any, trusted: trusted.clone() };
        let api = api.serve(observe::observed(router, observer), any, Some(proxy), leaving.clone());
        let own = ringside_http::Hosts { allowed: admin_names(config, admin.address()), trusted };
        let admin = admin.serve(watch::routes(ready.clone(), Arc::new(metrics)), own, None, leaving);
        let outcome = tokio::select! {
            name = signals.next() => {
                tracing::info!(signal = name, "stopping: connections are let go first");
                ready.drain();
                edge.drain(Duration::from_secs(config.drain_window_s), &mut signals).await;
                Ok(())
            }
            cause = folder.failed() => Err(EngineFailure(cause).into()),
            cause = pipeline.failed() => Err(cause),
            cause = edge.failed() => Err(cause),
        };
        // Requests under way still need what they stand on.
        leave.send_replace(true);
        let _ = tokio::join!(api, admin);
        stop.send_replace(true);
        edge.stopped().await;
        pipeline.stopped().await;
        ended(control).await;
        // What all others have recorded is written last.
        close.send_replace(true);
        ended(auditor).await;
        outcome
    })
}

/// Waits until a task has ended, unless it hangs on a disk. How it ended is in the log.
async fn ended(task: Option<JoinHandle<()>>) {
    if let Some(task) = task {
        let _ = timeout(REQUESTS_END, task).await;
    }
}

fn admin_names(config: &Config, bound: SocketAddr) -> ringside_http::AllowedHosts {
    let names = config.admin_names.iter().map(|name| name.to_ascii_lowercase()).collect();
    ringside_http::AllowedHosts::Only { bound, names }
}

fn api_config(config: &Config, edge: &Edge) -> ringside_api::Config {
    ringside_api::Config {
        limits: config.limits.clone(),
        trusted_proxies: config.trusted_proxies.clone().into(),
        edge: edge.found(config),
    }
}

/// Says where to point a browser: on stdout, in plain words.
fn announce(config: &Config, api: &ringside_http::Server, admin: &ringside_http::Server, edge: &Edge) {
    let api = api.address();
    let scheme = if config.tls_cert.is_some() { "https" } else { "http" };
    println!(
        "Ringside is up: {scheme}://{api}/ in a browser, {} for WebSocket clients",
        edge.found(config).url("")
    );
    println!("For whoever runs it: http://{}/status in a browser, /metrics, /ready", admin.address());
    tracing::info!(
        api = %api,
        edge = %edge.address(),
        admin = %admin.address(),
        backend = ?edge.backend(),
        shards = edge.shards(),
        data = %config.data_dir.display(),
        "ringside is up"
    );
}

/// SIGTERM and SIGINT.
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
