//! Who is connected, and who sends what when: all of it decided before the first packet, from a seed.

use std::collections::HashMap;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use ringside_test_client::seed_file::SeedFile;

use super::options::{LoadError, LoadOptions, MAX_PLANNED_MESSAGES};

/// One message of the plan. Its number is its place in [`Plan::sends`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlannedSend {
    /// ns after the start.
    pub due_ns: u64,
    /// Index into [`Plan::channels`].
    pub channel: u32,
    /// Index into [`Plan::connections`].
    pub connection: u32,
}

/// A channel that is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlannedChannel {
    pub channel_id: String,
    /// The connections of its members: each gets every message.
    pub connections: Vec<u32>,
}

/// A connection and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlannedConnection {
    pub username: String,
    pub token: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub connections: Vec<PlannedConnection>,
    pub channels: Vec<PlannedChannel>,
    pub sends: Vec<PlannedSend>,
    /// Sends due before this are warm-up.
    pub warmup_ns: u64,
    /// The due time at which the measured part ends.
    pub end_ns: u64,
    /// Tells this run's messages from those of others, in every idempotency key; 48 bits.
    pub run: u64,
}

impl Plan {
    /// Lays out a run. `run` tells its messages from others'.
    pub(super) fn new(options: &LoadOptions, seed: &SeedFile, run: u64) -> Result<Self, LoadError> {
        let refuse = |reason: String| Err(LoadError::Plan(reason));
        if !(options.rate.is_finite() && options.rate > 0.0)
            || options.duration <= 0.0
            || options.warmup < 0.0
        {
            return refuse("rate and duration are positive, warmup is not negative".to_owned());
        }
        let count = ((options.warmup + options.duration) * options.rate).ceil();
        if count > MAX_PLANNED_MESSAGES as f64 {
            return refuse(format!("{count} messages are more than the {MAX_PLANNED_MESSAGES} of one run"));
        }
        let connections = Self::connections(seed, options.connections)?;
        let channels = Self::channels(seed, options)?;
        let mut plan = Self {
            connections,
            channels,
            sends: Vec::with_capacity(count as usize),
            warmup_ns: nanoseconds(options.warmup),
            end_ns: nanoseconds(options.warmup + options.duration),
            run: run & ((1 << 48) - 1),
        };
        plan.schedule(options);
        Ok(plan)
    }

    /// One connection a user; more than there are users means several for some.
    pub(super) fn connections(seed: &SeedFile, count: u32) -> Result<Vec<PlannedConnection>, LoadError> {
        if seed.users.is_empty() {
            return Err(LoadError::Plan("the seed file has no users".to_owned()));
        }
        let users = seed.users.iter().cycle().take(count as usize);
        Ok(users
            .map(|user| PlannedConnection {
                username: user.username.clone(),
                token: user.access_token.clone(),
            })
            .collect())
    }

    /// The channels whose members are best connected, in the file's order among equals.
    fn channels(seed: &SeedFile, options: &LoadOptions) -> Result<Vec<PlannedChannel>, LoadError> {
        let mut of_user: HashMap<u32, Vec<u32>> = HashMap::new();
        for connection in 0..options.connections {
            of_user.entry(connection % seed.users.len() as u32).or_default().push(connection);
        }
        let connected =
            |members: &[u32]| members.iter().filter(|member| of_user.contains_key(member)).count();
        let mut usable: Vec<(usize, usize)> = (0..seed.channels.len())
            .map(|index| {
                let members = &seed.channels[index].members;
                (members.len() - connected(members), index)
            })
            .filter(|&(absent, index)| absent < seed.channels[index].members.len())
            .collect();
        usable.sort_unstable();
        if usable.len() < options.channels as usize {
            let found = usable.len();
            return Err(LoadError::Plan(format!(
                "{} channels asked for, {found} of the seed file have a member among {} connections",
                options.channels, options.connections
            )));
        }
        let planned = |&(_, index): &(usize, usize)| {
            let channel = &seed.channels[index];
            let connections =
                channel.members.iter().filter_map(|member| of_user.get(member)).flatten().copied();
            PlannedChannel { channel_id: channel.channel_id.to_string(), connections: connections.collect() }
        };
        Ok(usable.iter().take(options.channels as usize).map(planned).collect())
    }

    fn schedule(&mut self, options: &LoadOptions) {
        let mut random = SmallRng::seed_from_u64(options.seed);
        let gap_ns = 1e9 / options.rate;
        let mut due = 0.0;
        loop {
            due += if options.poisson { -gap_ns * (1.0 - random.random::<f64>()).ln() } else { gap_ns };
            if due >= self.end_ns as f64 || self.sends.len() as u64 >= MAX_PLANNED_MESSAGES {
                return;
            }
            let channel = random.random_range(0..self.channels.len());
            let senders = &self.channels[channel].connections;
            let connection = senders[random.random_range(0..senders.len())];
            self.sends.push(PlannedSend { due_ns: due as u64, channel: channel as u32, connection });
        }
    }

    /// How many connections should get this message.
    pub(super) fn recipients(&self, number: usize) -> u32 {
        self.channels[self.sends[number].channel as usize].connections.len() as u32
    }

    /// Whether a message counts for the figures.
    pub(super) fn is_measured(&self, number: usize) -> bool {
        self.sends[number].due_ns >= self.warmup_ns
    }
}

fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use uuid::Uuid;

    use super::*;
    use crate::open_loop::ReportFormat;
    use ringside_test_client::seed_file::{SeededChannel, SeededUser};

    pub(in crate::open_loop) fn options(connections: u32, channels: u32, rate: f64) -> LoadOptions {
        LoadOptions {
            edge: "ws://127.0.0.1:1/ws".parse().expect("a target"),
            seed_file: PathBuf::new(),
            connections,
            channels,
            rate,
            duration: 2.0,
            warmup: 1.0,
            grace: 1.0,
            threads: 1,
            message_bytes: 16,
            poisson: false,
            seed: 5,
            server_pid: None,
            report: ReportFormat::Text,
        }
    }

    pub(in crate::open_loop) fn pairs(users: u32) -> SeedFile {
        let user = |n: u32| SeededUser {
            user_id: Uuid::from_u128(u128::from(n)),
            username: format!("u{n:06}"),
            password: String::new(),
            access_token: format!("token-{n}"),
        };
        let channel = |n: u32| SeededChannel {
            channel_id: Uuid::from_u128(1000 + u128::from(n)),
            kind: "dm".to_owned(),
            members: vec![2 * n, 2 * n + 1],
        };
        SeedFile {
            version: 1,
            users: (0..users).map(user).collect(),
            channels: (0..users / 2).map(channel).collect(),
        }
    }

    #[test]
    fn even_arrivals_keep_the_rate() {
        let plan = Plan::new(&options(4, 2, 100.0), &pairs(4), 1).expect("a plan");
        assert!((298..=300).contains(&plan.sends.len()), "{}", plan.sends.len());
        assert!(plan.sends.windows(2).all(|pair| pair[0].due_ns < pair[1].due_ns));
        assert_eq!(
            plan.sends.iter().filter(|send| send.due_ns >= plan.warmup_ns).count(),
            plan.sends.len() - 99
        );
    }

    #[test]
    fn random_arrivals_keep_the_rate_and_repeat() {
        let random = LoadOptions { poisson: true, ..options(4, 2, 1000.0) };
        let plan = Plan::new(&random, &pairs(4), 1).expect("a plan");
        assert!((2700..3300).contains(&plan.sends.len()), "{}", plan.sends.len());
        assert_eq!(plan.sends, Plan::new(&random, &pairs(4), 2).expect("a plan").sends);
    }

    #[test]
    fn senders_are_members() {
        let plan = Plan::new(&options(6, 3, 500.0), &pairs(8), 1).expect("a plan");
        for send in &plan.sends {
            assert!(plan.channels[send.channel as usize].connections.contains(&send.connection));
        }
        assert!(plan.channels.iter().all(|channel| channel.connections.len() == 2));
    }

    #[test]
    fn surplus_connections_are_further_devices() {
        let plan = Plan::new(&options(8, 2, 10.0), &pairs(4), 1).expect("a plan");
        assert_eq!(plan.channels[0].connections, [0, 4, 1, 5]);
        assert_eq!(plan.connections[5].token, "token-1");
    }

    #[test]
    fn refuses_more_channels_than_there_are() {
        assert!(matches!(Plan::new(&options(2, 2, 10.0), &pairs(4), 1), Err(LoadError::Plan(_))));
        assert!(matches!(Plan::new(&options(2, 1, 0.0), &pairs(4), 1), Err(LoadError::Plan(_))));
    }
}
