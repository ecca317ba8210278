//! `ringside-verdict INDEX CASES`: fails unless a conformance report holds CASES cases that all passed.

use std::process::ExitCode;

use ringside_bench::RateDecision;

fn main() -> ExitCode {
    match judge() {
        Ok(verdict) => {
            println!("{verdict}");
            if verdict.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            println!("no verdict: {error}");
            ExitCode::FAILURE
        }
    }
}

fn judge() -> Result<RateDecision, String> {
    let mut words = std::env::args().skip(1);
    let (Some(path), Some(cases), None) = (words.next(), words.next(), words.next()) else {
        return Err("usage: ringside-verdict INDEX CASES".into());
    };
    let cases = cases.parse().map_err(|error| format!("{cases} is no number of cases: {error}"))?;
    let index = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    RateDecision::read(&index, cases)
}
