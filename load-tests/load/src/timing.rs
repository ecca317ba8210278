//! Does the time of a failed login tell whether the account exists? Two distributions beside each other, for people to
//! judge; nothing is asserted, for a busy machine would decide it.

use std::fmt;
use std::time::{Duration, Instant};

use clap::Args;
use hyper::Method;
use ringside_test_client::percentile::percentile;
use ringside_test_client::rest::{Rest, RestError};
use ringside_test_client::server::{ServerError, ServerOptions, ServerProcess};
use serde_json::json;
use thiserror::Error;

/// Accounts that exist, asked by turns.
const ACCOUNTS: u32 = 8;
/// Logins before it counts: connections, caches, the first hash.
const WARM_UP: u32 = 10;

/// `ringside-load timing`.
#[derive(Clone, Debug, Args)]
pub struct TimingOptions {
    /// Which server is started, and how.
    #[command(flatten)]
    pub server: ServerOptions,
    /// Logins of each kind, in pairs whose order changes.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    pub pairs: u32,
}

/// Why nothing was measured.
#[derive(Debug, Error)]
pub enum TimingError {
    /// The server could not be started.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A request was not answered as the contract says.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// The data folder could not be made.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Milliseconds of both kinds, sorted.
#[derive(Debug)]
pub struct TimingReport {
    known_ms: Vec<f64>,
    unknown_ms: Vec<f64>,
}

impl TimingReport {
    fn of(mut known_ms: Vec<f64>, mut unknown_ms: Vec<f64>) -> Self {
        known_ms.sort_by(f64::total_cmp);
        unknown_ms.sort_by(f64::total_cmp);
        Self { known_ms, unknown_ms }
    }

    /// How often a login of a known account takes longer than one of an unknown one, ties by half: 0.5 tells nothing,
    /// 0 and 1 tell all. (The rank-sum statistic over its greatest value.)
    fn known_is_slower(&self) -> f64 {
        let (mut wins, mut below, mut ties) = (0.0, 0, 0);
        for time in &self.known_ms {
            while self.unknown_ms.get(below).is_some_and(|other| other < time) {
                below += 1;
            }
            ties = ties.max(below);
            while self.unknown_ms.get(ties).is_some_and(|other| other <= time) {
                ties += 1;
            }
            wins += below as f64 + (ties - below) as f64 / 2.0;
        }
        wins / (self.known_ms.len() * self.unknown_ms.len()) as f64
    }

    /// The same as a normal deviate: beyond ±2.6 a chance of 1 in 100 if the two are alike.
    fn deviate(&self) -> f64 {
        let (n, m) = (self.known_ms.len() as f64, self.unknown_ms.len() as f64);
        (self.known_is_slower() - 0.5) * n * m / (n * m * (n + m + 1.0) / 12.0).sqrt()
    }
}

impl fmt::Display for TimingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "failed logins, ms      count      p50      p90      p99")?;
        for (name, times) in [("known account", &self.known_ms), ("unknown account", &self.unknown_ms)] {
            let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|part| percentile(times, part));
            writeln!(f, "{name:20} {:7} {p50:8.2} {p90:8.2} {p99:8.2}", times.len())?;
        }
        write!(
            f,
            "a known account takes longer in {:.1} % of all pairs (rank-sum deviate {:+.2})",
            self.known_is_slower() * 100.0,
            self.deviate()
        )
    }
}

/// Starts a server and times pairs of failed logins on it.
pub async fn run(options: &TimingOptions) -> Result<TimingReport, TimingError> {
    let folder = tempfile::tempdir()?;
    let spec = options.server.spec_in(folder.path()).without_limits();
    let server = ServerProcess::start(&spec).await?;
    let rest = server.addresses.rest();
    for account in 0..ACCOUNTS {
        rest.sign_up(&format!("known{account:04}")).await?;
    }
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for pair in 0..options.pairs + WARM_UP {
        let names = [format!("known{:04}", pair % ACCOUNTS), format!("never{:04}", pair % ACCOUNTS)];
        let mut times = [Duration::ZERO; 2];
        // The order changes, so that what one leaves warm serves both alike.
        for turn in [pair as usize % 2, 1 - pair as usize % 2] {
            times[turn] = failed_login(rest, &names[turn]).await?;
        }
        if pair >= WARM_UP {
            known.push(times[0].as_secs_f64() * 1000.0);
            unknown.push(times[1].as_secs_f64() * 1000.0);
        }
    }
    Ok(TimingReport::of(known, unknown))
}

async fn failed_login(rest: Rest, login: &str) -> Result<Duration, RestError> {
    let body = json!({ "login": login, "password": "a wrong but long password" });
    let since = Instant::now();
    let answer = rest.call(Method::POST, "/api/v1/auth/login", None, Some(&body)).await?;
    let took = since.elapsed();
    answer.read::<serde_json::Value>("a wrong login", &[401])?;
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_tell_which_is_slower() {
        let times = |from: u32| (from..from + 100).map(f64::from).collect::<Vec<_>>();
        let alike = TimingReport::of(times(0), times(0));
        assert!((alike.known_is_slower() - 0.5).abs() < 1e-9 && alike.deviate().abs() < 1e-9);
        let slower = TimingReport::of(times(200), times(0));
        assert!((slower.known_is_slower() - 1.0).abs() < 1e-9 && slower.deviate() > 10.0);
        let faster = TimingReport::of(times(0), times(200));
        assert!(faster.known_is_slower() < 1e-9 && faster.deviate() < -10.0);
    }
}
