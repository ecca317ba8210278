//! Logs go to stderr: readable on a terminal, JSON otherwise.

mod limiter;

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

use limiter::Limiter;
pub(crate) use limiter::suppressed;

/// What is logged where `RINGSIDE_LOG` says nothing else. What engines say of their own work is not news.
const FILTER: &str = "info,sqlx=warn,log=warn";

/// Starts logging. A second call, as tests make, changes nothing.
pub fn start() {
    let filter = std::env::var("RINGSIDE_LOG").unwrap_or_else(|_| FILTER.into());
    let filter = EnvFilter::try_new(&filter).unwrap_or_else(|error| {
        eprintln!("ringside: RINGSIDE_LOG is {filter:?}, which is no filter ({error}); logging {FILTER}");
        EnvFilter::new(FILTER)
    });
    let lines = fmt::layer().with_writer(stderr).with_target(false);
    let lines = if stderr().is_terminal() { lines.boxed() } else { lines.json().boxed() };
    drop(registry().with(filter).with(Limiter::default()).with(lines).try_init());
}

/// Says from time to time how many lines were left out. Never ends.
pub(crate) async fn report_suppressed() {
    let mut said = suppressed();
    loop {
        tokio::time::sleep(limiter::WINDOW).await;
        let now = suppressed();
        if now > said {
            tracing::warn!(lines = now - said, "log lines were left out: one kind came too often");
            said = now;
        }
    }
}
