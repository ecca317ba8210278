//! Presence and limits in Redis.

use ringside_redis::{Config as RedisConfig, Mode, RedisPresence};

use super::of_faults;
use crate::commands::Failure;
use crate::commands::doctor::Finding;
use crate::config::{Config, ConfigError, RedisMode, secret};
use crate::engines::PresenceEngine;
use crate::engines::presence::PresenceChoice;

pub(super) fn open(config: &Config) -> Result<PresenceEngine, Failure> {
    Ok(PresenceEngine::new(PresenceChoice::Redis(RedisPresence::new(&read(config)?)?)))
}

pub(super) async fn findings(config: &Config) -> Result<Vec<Finding>, Failure> {
    let found = ringside_redis::check(&read(config)?).await;
    let faults = found.into_iter().map(|found| found.to_string()).collect();
    Ok(of_faults("Redis", faults))
}

fn read(config: &Config) -> Result<RedisConfig, ConfigError> {
    let redis = &config.redis;
    let password = secret("redis.password", redis.password.as_ref(), redis.password_file.as_deref())?;
    let ca_pem = redis.ca_file.as_ref().map(std::fs::read).transpose().map_err(|error| {
        ConfigError::Value { from: "redis.ca_file".into(), cause: format!("it can't be read: {error}") }
    })?;
    Ok(RedisConfig {
        mode: match redis.mode {
            RedisMode::Single => Mode::Single,
            RedisMode::Cluster => Mode::Cluster,
        },
        addresses: redis.addresses.clone(),
        username: redis.user.clone(),
        password,
        ca_pem,
        prefix: redis.prefix.clone(),
        ..RedisConfig::default()
    })
}
