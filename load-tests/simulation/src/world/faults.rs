//! Carries out the faults of a plan, then mends all of them.

use std::time::Duration;

use ringside_types::PartitionId;

use super::World;
use crate::log::BROKER;
use crate::network::Conditions;
use crate::plan::{Fault, Place, Plan};
use crate::scheduler::{ProcessId, WORLD};
use crate::trace::Lane;

/// How long one goes on whose place is taken.
const REPLACED_LIFE: Duration = Duration::from_secs(2);

impl World {
    /// Breaks things as it is planned, then mends all of them.
    pub(super) fn disturb(&mut self, plan: &Plan) {
        let began = self.scheduler.now();
        let end = began + self.scale.disturbed;
        for (at, fault) in plan.0.iter().filter(|(at, _)| began + *at < end) {
            self.scheduler.run_until(began + *at);
            self.note(&fault.to_string());
            self.carry_out(*fault);
        }
        self.scheduler.run_until(end);
        self.note("all is mended");
        self.replaced.iter().for_each(|process| self.scheduler.kill(*process));
        *self.network.conditions() = Conditions::default();
        for process in
            self.edge_processes.iter().chain(&self.processor_processes).chain([&self.relay, &BROKER])
        {
            self.scheduler.set_skew(*process, 0);
        }
    }

    fn note(&self, text: &str) {
        self.scheduler.note(Lane::World, Lane::World, None, || text.to_owned());
    }

    /// The process that stands in a place; `None`: this simulation has no such place.
    fn process_at(&self, place: Place) -> Option<ProcessId> {
        match place {
            Place::Edge(number) => self.edge_processes.get(usize::from(number)).copied(),
            Place::Processor(number) => self.processor_processes.get(usize::from(number)).copied(),
            Place::Broker => Some(BROKER),
        }
    }

    fn carry_out(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(place) => self.restart(place, None),
            Fault::Replace(place, ms) => self.restart(place, Some(Duration::from_millis(ms))),
            Fault::Pause(place, ms) => {
                if let Some(process) = self.process_at(place) {
                    self.scheduler.pause(process, Duration::from_millis(ms));
                }
            }
            Fault::Cut(place, engine) => {
                if let Some(process) = self.process_at(place) {
                    self.network.conditions().cuts.insert((process, engine));
                }
            }
            Fault::Heal => self.network.conditions().cuts.clear(),
            Fault::Lose(per_mille) => self.network.conditions().lost_per_mille = per_mille,
            Fault::Garble(per_mille) => self.network.conditions().garbled_per_mille = per_mille,
            Fault::Slow(ms) => self.network.conditions().slow = Duration::from_millis(ms),
            Fault::Skew(place, ms) => {
                if let Some(process) = self.process_at(place) {
                    self.scheduler.set_skew(process, ms);
                }
            }
            Fault::KillServices => {
                self.scheduler.kill(self.relay);
                self.scheduler.kill(self.reaper);
                self.relay = self.start_relay();
                self.reaper = self.start_reaper();
            }
        }
    }

    /// Another process takes a place. The one before ends, or stands still for so long and wakes.
    fn restart(&mut self, place: Place, wakes_after: Option<Duration>) {
        let Some(before) = self.process_at(place) else { return };
        match place {
            Place::Edge(number) => self.edges.remove(number),
            Place::Processor(_) => {}
            Place::Broker => return,
        }
        match wakes_after {
            None => self.scheduler.kill(before),
            Some(time) => self.stand_still(before, time),
        }
        match place {
            Place::Edge(number) => self.edge_processes[usize::from(number)] = self.start_edge(number),
            Place::Processor(number) => {
                self.processor_processes[usize::from(number)] = self.start_processor(PartitionId(number));
            }
            Place::Broker => {}
        }
    }

    /// One whose place is taken stands still, goes on for a while, and is ended then.
    fn stand_still(&mut self, process: ProcessId, time: Duration) {
        self.scheduler.pause(process, time);
        self.replaced.push(process);
        let (scheduler, until) = (self.scheduler.clone(), self.scheduler.now() + time + REPLACED_LIFE);
        self.scheduler.spawn(WORLD, async move {
            scheduler.sleep_until(until).await;
            scheduler.kill(process);
        });
    }
}
