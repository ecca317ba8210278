//! A conformance report, read strictly. Autobahn's `wstest` exits 0 whatever it found, and kosoku lets NON-STRICT pass.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// Cases that any answer passes: the suite only tells which one was given.
const ANSWERED_EITHER_WAY: [&str; 3] = ["7.1.6", "7.13.1", "7.13.2"];

/// One case, as `index.json` has it.
#[derive(Deserialize)]
struct Case {
    behavior: String,
    #[serde(rename = "behaviorClose")]
    behavior_close: String,
}

/// What a report comes to.
#[derive(Debug, PartialEq, Eq)]
pub struct RateDecision {
    expected: usize,
    ok: usize,
    informational: usize,
    /// Each case that did not pass, and how it behaved.
    others: Vec<String>,
}

impl RateDecision {
    /// Reads `index.json`, which must be about one server. `expected`: how many cases were to be run.
    ///
    /// # Errors
    /// It is no report of the suite's form, or one of several servers.
    pub fn read(index: &str, expected: usize) -> Result<RateDecision, String> {
        let agents: BTreeMap<String, BTreeMap<String, Case>> =
            serde_json::from_str(index).map_err(|error| format!("this is no report: {error}"))?;
        let mut agents = agents.into_values();
        let (Some(cases), None) = (agents.next(), agents.next()) else {
            return Err("the report is not about one server".into());
        };
        let mut verdict = RateDecision { expected, ok: 0, informational: 0, others: Vec::new() };
        for (id, case) in cases {
            match (case.behavior.as_str(), case.behavior_close.as_str()) {
                ("OK", "OK") => verdict.ok += 1,
                ("OK" | "INFORMATIONAL", "OK" | "INFORMATIONAL")
                    if ANSWERED_EITHER_WAY.contains(&id.as_str()) =>
                {
                    verdict.informational += 1;
                }
                (behavior, close) => verdict.others.push(format!("{id}: {behavior}, close {close}")),
            }
        }
        Ok(verdict)
    }

    /// Whether every case was run, and passed.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.others.is_empty() && self.cases() == self.expected
    }

    fn cases(&self) -> usize {
        self.ok + self.informational + self.others.len()
    }
}

impl fmt::Display for RateDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cases, others) = (self.cases(), self.others.len());
        write!(f, "{cases} cases: {} OK, {} informational, {others} others", self.ok, self.informational)?;
        if cases != self.expected {
            write!(f, "; {} were to be run", self.expected)?;
        }
        self.others.iter().try_for_each(|other| write!(f, "\n  {other}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report of these cases: id, behaviour, behaviour at the close.
    fn report(cases: &[(&str, &str, &str)]) -> String {
        let cases: Vec<String> = cases
            .iter()
            .map(|(id, behavior, close)| {
                format!(r#""{id}": {{"behavior": "{behavior}", "behaviorClose": "{close}", "duration": 2}}"#)
            })
            .collect();
        format!(r#"{{"ringside": {{{}}}}}"#, cases.join(", "))
    }

    /// What a report of 1.1.1, which is fine, and this case comes to.
    fn verdict(id: &str, behavior: &str, close: &str) -> RateDecision {
        let report = report(&[("1.1.1", "OK", "OK"), (id, behavior, close)]);
        RateDecision::read(&report, 2).expect("a report")
    }

    #[test]
    fn every_case_fine_is_one_line() {
        let verdict = verdict("7.1.6", "INFORMATIONAL", "INFORMATIONAL");
        assert!(verdict.holds());
        assert_eq!(verdict.to_string(), "2 cases: 1 OK, 1 informational, 0 others");
    }

    #[test]
    fn anything_less_than_strict_fails_and_is_named() {
        for (id, behavior, close) in [
            ("6.4.1", "NON-STRICT", "OK"),
            ("6.4.1", "FAILED", "OK"),
            ("6.4.1", "OK", "UNCLEAN"),
            ("6.4.1", "OK", "WRONG CODE"),
            ("6.4.1", "UNIMPLEMENTED", "OK"),
            // Only the suite's own three may be informational, and they may be nothing else.
            ("6.4.1", "INFORMATIONAL", "INFORMATIONAL"),
            ("7.13.1", "NON-STRICT", "INFORMATIONAL"),
            ("7.13.1", "INFORMATIONAL", "FAILED"),
        ] {
            let verdict = verdict(id, behavior, close);
            assert!(!verdict.holds(), "{id} {behavior} {close}");
            assert!(verdict.to_string().ends_with(&format!("1 others\n  {id}: {behavior}, close {close}")));
        }
    }

    #[test]
    fn a_case_that_was_not_run_fails() {
        let verdict = RateDecision::read(&report(&[("1.1.1", "OK", "OK")]), 2).expect("a report");
        assert!(!verdict.holds());
        assert_eq!(verdict.to_string(), "1 cases: 1 OK, 0 informational, 0 others; 2 were to be run");
    }

    #[test]
    fn what_is_no_report_of_one_server_is_refused() {
        for index in ["", "{}", "[]", r#"{"a": {}, "b": {}}"#, r#"{"a": {"1.1.1": {"behavior": "OK"}}}"#] {
            assert!(RateDecision::read(index, 0).is_err(), "{index}");
        }
    }
}
