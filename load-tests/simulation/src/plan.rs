//! The faults of a simulation, drawn before it begins, so that they can be taken out one by one.
//!
//! A plan reads and is written as text, `3.2 kill edge 0; 5.1 pause processor 1 2500`: the time in seconds since clients began
//! to send, and what happens then; other times are in milliseconds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::network::Engine;

/// Between two faults, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 100..3_000;

/// A process by what it is: the one that stands in its place when the fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Edge(u16),
    Processor(u16),
    /// The log itself, whose clock stamps records.
    Broker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Ends at once, and is started again.
    Kill(Place),
    /// Stands still for so long, while another takes its place; then it goes on for a while.
    Replace(Place, u64),
    /// Stands still for so long.
    Pause(Place, u64),
    /// Does not reach an engine.
    Cut(Place, Engine),
    /// Everybody reaches everything.
    Heal,
    /// Of a thousand calls so many are lost, and as many answers.
    Lose(u64),
    /// Calls take up to so much longer.
    Slow(u64),
    /// Of a thousand records to an edge so many are lost, as many come twice, and as many too late.
    Garble(u64),
    /// The time of day is off by so much.
    Skew(Place, i64),
    /// The relay and the reaper end, and are started again.
    KillServices,
}

/// Faults, each with its time since clients began to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan(pub Vec<(Duration, Fault)>);

impl Plan {
    /// The faults that a seed brings to so many edges and processors, for so long.
    pub fn draw(seed: u64, edges: u16, processors: u16, disturbed: Duration) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let (mut plan, mut at) = (Vec::new(), Duration::ZERO);
        while at < disturbed {
            plan.push((at, fault(&mut random, edges, processors)));
            at += Duration::from_millis(random.random_range(PAUSE_MS));
        }
        Self(plan)
    }
}

fn fault(random: &mut SmallRng, edges: u16, processors: u16) -> Fault {
    let edge = Place::Edge(random.random_range(0..edges.max(1)));
    let processor = Place::Processor(random.random_range(0..processors));
    let either = if random.random_bool(0.5) { edge } else { processor };
    let mut of = |values: &[u64]| values[random.random_range(0..values.len())];
    match of(&[0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10]) {
        0 if of(&[0, 0, 1]) == 1 => Fault::Replace(edge, 2_000 + 50 * of(&[0, 20, 40, 60, 80, 100])),
        0 => Fault::Kill(edge),
        1 => Fault::Kill(processor),
        2 => Fault::Pause(either, of(&[50, 400, 1_400, 2_500, 8_000])),
        3 => Fault::Replace(processor, of(&[100, 700, 1_500, 2_500, 4_000])),
        4 => Fault::Cut(either, [Engine::Log, Engine::Store, Engine::Backend][of(&[0, 1, 2]) as usize]),
        5 => Fault::Heal,
        6 => Fault::Lose(of(&[0, 0, 5, 30])),
        7 => Fault::Slow(of(&[0, 0, 20, 300])),
        8 => {
            let place = if of(&[0, 1, 2, 3, 4]) == 0 { Place::Broker } else { either };
            Fault::Skew(place, [0, -5_000, 5_000, -600, 40_000][of(&[0, 1, 2, 3, 4]) as usize])
        }
        9 => Fault::KillServices,
        _ => Fault::Garble(of(&[0, 20, 100])),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edge(number) => write!(f, "edge {number}"),
            Self::Processor(number) => write!(f, "processor {number}"),
            Self::Broker => f.write_str("broker"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(place) => write!(f, "kill {place}"),
            Self::Replace(place, ms) => write!(f, "replace {place} {ms}"),
            Self::Pause(place, ms) => write!(f, "pause {place} {ms}"),
            Self::Cut(place, engine) => write!(f, "cut {place} {engine}"),
            Self::Heal => f.write_str("heal"),
            Self::Lose(per_mille) => write!(f, "lose {per_mille}"),
            Self::Slow(ms) => write!(f, "slow {ms}"),
            Self::Garble(per_mille) => write!(f, "garble {per_mille}"),
            Self::Skew(place, ms) => write!(f, "skew {place} {ms}"),
            Self::KillServices => f.write_str("kill services"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (at, fault)) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}{}.{:03} {fault}", at.as_secs(), at.subsec_millis())?;
        }
        Ok(())
    }
}

/// A plan that can't be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no fault: write a time in seconds and what happens, like `3.2 kill edge 0`")]
pub struct InvalidPlan(String);

impl FromStr for Plan {
    type Err = InvalidPlan;

    fn from_str(text: &str) -> Result<Self, InvalidPlan> {
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        parts
            .map(|part| parsed(part).ok_or_else(|| InvalidPlan(part.into())))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn parsed(text: &str) -> Option<(Duration, Fault)> {
    let mut words = text.split_whitespace();
    let at = Duration::try_from_secs_f64(words.next()?.parse().ok()?).ok()?;
    let rest: Vec<&str> = words.collect();
    let fault = match *rest.as_slice() {
        ["kill", "services"] => Fault::KillServices,
        ["heal"] => Fault::Heal,
        ["lose", per_mille] => Fault::Lose(per_mille.parse().ok()?),
        ["slow", ms] => Fault::Slow(ms.parse().ok()?),
        ["garble", per_mille] => Fault::Garble(per_mille.parse().ok()?),
        ["kill", ref place @ ..] => Fault::Kill(parsed_place(place)?),
        ["replace", ref place @ .., ms] => Fault::Replace(parsed_place(place)?, ms.parse().ok()?),
        ["pause", ref place @ .., ms] => Fault::Pause(parsed_place(place)?, ms.parse().ok()?),
        ["skew", ref place @ .., ms] => Fault::Skew(parsed_place(place)?, ms.parse().ok()?),
        ["cut", ref place @ .., engine] => {
            let engines = [Engine::Log, Engine::Store, Engine::Backend];
            Fault::Cut(parsed_place(place)?, engines.into_iter().find(|of| of.to_string() == engine)?)
        }
        _ => return None,
    };
    Some((at, fault))
}

fn parsed_place(words: &[&str]) -> Option<Place> {
    match *words {
        ["edge", number] => Some(Place::Edge(number.parse().ok()?)),
        ["processor", number] => Some(Place::Processor(number.parse().ok()?)),
        ["broker"] => Some(Place::Broker),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_read_as_they_are_written() {
        for seed in 0..200 {
            let plan = Plan::draw(seed, 3, 2, Duration::from_secs(30));
            assert_eq!(plan.to_string().parse(), Ok(plan));
        }
    }

    #[test]
    fn what_is_no_fault_is_named() {
        for text in ["kill edge 0", "3 kill", "3 kill edge", "3 cut edge 0 network", "3 slow down", "-1 heal"]
        {
            assert_eq!(text.parse::<Plan>(), Err(InvalidPlan(text.into())));
        }
    }
}
