//! The faults that a seed brings.

use std::time::Duration;

use ringside_types::PartitionId;

use super::World;
use crate::log::BROKER;
use crate::network::{Conditions, Engine};
use crate::scheduler::{ProcessId, WORLD};

/// Between two faults, in milliseconds.
const FAULT_MS: std::ops::Range<u64> = 100..3_000;
/// How long one goes on whose place is taken.
const REPLACED_LIFE: Duration = Duration::from_secs(2);

impl World {
    /// Breaks things, one after the other, then mends all of them.
    pub(super) fn disturb(&mut self) {
        let end = self.scheduler.now() + self.scale.disturbed;
        while self.scheduler.now() < end {
            self.fault();
            let pause =
                Duration::from_millis(FAULT_MS.start + self.scheduler.draw(FAULT_MS.end - FAULT_MS.start));
            self.scheduler.run_until((self.scheduler.now() + pause).min(end));
        }
        self.note("all is mended");
        self.replaced.iter().for_each(|process| self.scheduler.kill(*process));
        *self.network.conditions() = Conditions::default();
        for process in
            self.edge_processes.iter().chain(&self.processor_processes).chain([&self.relay, &BROKER])
        {
            self.scheduler.set_skew(*process, 0);
        }
    }

    fn note(&self, line: &str) {
        self.scheduler.note(|| format!("fault   {line}"));
    }

    fn fault(&mut self) {
        let draw = |bound: usize| self.scheduler.draw(bound as u64) as usize;
        match draw(12) {
            0 => self.restart_edge(draw(self.edge_processes.len())),
            1 | 2 => self.restart_processor(draw(self.processor_processes.len())),
            3 => {
                let process = self.edge_processes[draw(self.edge_processes.len())];
                self.pause(process);
            }
            4 => {
                let process = self.processor_processes[draw(self.processor_processes.len())];
                self.pause(process);
            }
            5 => self.second_owner(draw(self.processor_processes.len())),
            6 => {
                let all: Vec<ProcessId> =
                    self.edge_processes.iter().chain(&self.processor_processes).copied().collect();
                let engine = [Engine::Log, Engine::Store, Engine::Backend][draw(3)];
                let process = all[draw(all.len())];
                self.note(&format!("process {} does not reach the {engine:?}", process.0));
                self.network.conditions().cuts.insert((process, engine));
            }
            7 => {
                self.note("everybody reaches everything");
                self.network.conditions().cuts.clear();
            }
            8 => {
                let lost = [0, 0, 5, 30][draw(4)];
                self.note(&format!("of a thousand calls {lost} are lost"));
                self.network.conditions().lost_per_mille = lost;
            }
            9 => {
                let slow = Duration::from_millis([0, 0, 20, 300][draw(4)]);
                self.note(&format!("engines are slower by up to {slow:?}"));
                self.network.conditions().slow = slow;
            }
            10 => {
                let all: Vec<ProcessId> = self
                    .edge_processes
                    .iter()
                    .chain(&self.processor_processes)
                    .chain([&BROKER])
                    .copied()
                    .collect();
                let process = all[draw(all.len())];
                let skew_ms = [0, -5_000, 5_000, -600, 40_000][draw(5)];
                self.note(&format!("the clock of process {} is off by {skew_ms} ms", process.0));
                self.scheduler.set_skew(process, skew_ms);
            }
            _ => {
                self.note("the relay and the reaper are killed");
                self.scheduler.kill(self.relay);
                self.scheduler.kill(self.reaper);
                self.relay = self.start_relay();
                self.reaper = self.start_reaper();
            }
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

    fn pause(&self, process: ProcessId) {
        let time = Duration::from_millis([50, 400, 1_400, 2_500, 8_000][self.scheduler.draw(5) as usize]);
        self.note(&format!("process {} stands still for {time:?}", process.0));
        self.scheduler.pause(process, time);
    }

    /// An edge is killed, and started again; now and then its slot is claimed anew while it stands still.
    fn restart_edge(&mut self, at: usize) {
        let (number, before) = (at as u16, self.edge_processes[at]);
        let is_zombie = self.scheduler.chance(300);
        self.edges.remove(number);
        if is_zombie {
            self.note(&format!(
                "edge {number}, process {}, stands still, and another takes its slot",
                before.0
            ));
            let time = Duration::from_millis(2_000 + self.scheduler.draw(6_000));
            self.stand_still(before, time);
        } else {
            self.note(&format!("edge {number}, process {}, is killed", before.0));
            self.scheduler.kill(before);
        }
        self.edge_processes[at] = self.start_edge(number);
    }

    fn restart_processor(&mut self, at: usize) {
        let before = self.processor_processes[at];
        self.note(&format!("the processor of partition {at}, process {}, is killed", before.0));
        self.scheduler.kill(before);
        self.processor_processes[at] = self.start_processor(PartitionId(at as u16));
    }

    /// Another owner begins before the one that there was has ended: it stands still, and wakes.
    fn second_owner(&mut self, at: usize) {
        let before = self.processor_processes[at];
        let time = Duration::from_millis(100 + self.scheduler.draw(4_000));
        self.note(&format!(
            "partition {at} has a second owner; the first, process {}, wakes after {time:?}",
            before.0
        ));
        self.stand_still(before, time);
        self.processor_processes[at] = self.start_processor(PartitionId(at as u16));
    }
}
