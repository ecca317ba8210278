//! What honest users had between two moments.

use std::collections::BTreeMap;
use std::time::Instant;

use ringside_test_client::percentile::percentile;

use super::honest::{Kind, Sample};

/// From so many samples on the 99th percentile says more than which one was the worst.
const SAMPLES_FOR_P99: usize = 100;

/// Sorted milliseconds of each kind, and what failed, how often.
#[derive(Clone, Debug, Default)]
pub(super) struct Measurements {
    pub acks: Vec<f64>,
    pub deliveries: Vec<f64>,
    pub rest: Vec<f64>,
    pub failures: BTreeMap<String, u32>,
}

impl Measurements {
    /// Of what was due in this time.
    pub(super) fn of(samples: &[Sample], from: Instant, to: Instant) -> Self {
        let mut measurements = Self::default();
        for sample in samples.iter().filter(|sample| (from..to).contains(&sample.due)) {
            match &sample.outcome {
                Ok(took) => measurements.times(sample.kind).push(took.as_secs_f64() * 1000.0),
                Err(why) => *measurements.failures.entry(why.clone()).or_default() += 1,
            }
        }
        for kind in [Kind::Ack, Kind::Delivery, Kind::Rest] {
            measurements.times(kind).sort_by(f64::total_cmp);
        }
        measurements
    }

    fn times(&mut self, kind: Kind) -> &mut Vec<f64> {
        match kind {
            Kind::Ack => &mut self.acks,
            Kind::Delivery => &mut self.deliveries,
            Kind::Rest => &mut self.rest,
        }
    }
}

/// The same high percentile of both: the 99th where both have enough samples for it, else the 95th.
pub(super) fn high_percentiles(quiet: &[f64], under: &[f64]) -> (f64, f64) {
    let part = if quiet.len().min(under.len()) >= SAMPLES_FOR_P99 { 0.99 } else { 0.95 };
    (percentile(quiet, part), percentile(under, part))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn samples_belong_to_the_time_when_they_were_due() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let sample = |ms, outcome| Sample { kind: Kind::Ack, due: at(ms), outcome };
        let samples = [
            sample(5, Ok(Duration::from_millis(9))),
            sample(15, Ok(Duration::from_millis(7))),
            sample(19, Ok(Duration::from_millis(3))),
            sample(12, Err("refused".to_owned())),
            sample(20, Ok(Duration::from_millis(1))),
        ];
        let measurements = Measurements::of(&samples, at(10), at(20));
        assert_eq!(measurements.acks, [3.0, 7.0]);
        assert_eq!(measurements.failures.get("refused"), Some(&1));
    }

    #[test]
    fn few_samples_have_a_lower_percentile() {
        let times = |count: u32| (1..=count).map(f64::from).collect::<Vec<_>>();
        assert_eq!(high_percentiles(&times(200), &times(100)), (198.0, 99.0));
        assert_eq!(high_percentiles(&times(20), &times(100)), (19.0, 95.0));
    }
}
