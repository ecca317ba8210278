//! Buckets: the part of a channel that one partition of a table holds.
//!
//! Messages and what hangs on them are cut by the month (UTC) of their id's time, changes by their number. Which months a
//! channel has anything in is a table of its own, `channel_buckets`, so that a range over years reads those alone.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use ringside_types::{ChannelId, MessageId};

/// Changes in one partition of `channel_changes`.
pub(crate) const CHANGES_PER_BUCKET: u64 = 4_096;

/// Channels' months that are remembered as noted. A month that is forgotten is noted again: one small write.
const NOTED_MAX: usize = 65_536;

/// A month: years since year 0, times twelve, and the month from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Month(u32);

impl Month {
    /// The month of an id's time.
    pub(crate) fn of(id: MessageId) -> Self {
        // An id's time lies within 70 years of its epoch.
        let ms = i64::try_from(id.time().0).unwrap_or(i64::MAX);
        let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
        let date: Date = TimeZone::UTC.to_datetime(time).date();
        Self(u32::from(date.year().unsigned_abs()) * 12 + u32::from(date.month().unsigned_abs()) - 1)
    }

    /// Reads what `Display` writes; `None`: it is no month.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let (year, month): (u32, u32) = (year.parse().ok()?, month.parse().ok()?);
        let read = Self(year.checked_mul(12)?.checked_add(month.checked_sub(1)?)?);
        (read.to_string() == text).then_some(read)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / 12, self.0 % 12 + 1)
    }
}

/// The channels' months that this process knows to be in `channel_buckets`.
#[derive(Debug, Default)]
pub(crate) struct Noted(Mutex<HashSet<(ChannelId, Month)>>);

impl Noted {
    /// Those of these that are not known to be there.
    pub(crate) fn missing(
        &self,
        used: impl Iterator<Item = (ChannelId, Month)>,
    ) -> HashSet<(ChannelId, Month)> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.filter(|bucket| !noted.contains(bucket)).collect()
    }

    /// Remembers those that the engine has confirmed.
    pub(crate) fn confirmed(&self, buckets: HashSet<(ChannelId, Month)>) {
        if buckets.is_empty() {
            return;
        }
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() + buckets.len() > NOTED_MAX {
            noted.clear();
        }
        noted.extend(buckets.into_iter().take(NOTED_MAX));
    }
}

#[cfg(test)]
mod tests {
    use ringside_types::{PartitionId, UnixMillis};
    use uuid::Uuid;

    use super::*;

    fn month_at(time: &str) -> String {
        let ms = time.parse::<Timestamp>().expect("a time").as_millisecond();
        Month::of(MessageId::at(UnixMillis(ms.try_into().expect("after 1970")), PartitionId(1_023)))
            .to_string()
    }

    #[test]
    fn months_are_of_the_ids_time_in_utc() {
        assert_eq!(Month::of(MessageId::ZERO).to_string(), "2025-01");
        assert_eq!(month_at("2026-11-30T23:59:59.999Z"), "2026-11");
        assert_eq!(month_at("2026-12-01T00:00:00Z"), "2026-12");
        assert_eq!(month_at("2026-12-31T23:59:59.999Z"), "2026-12");
        assert_eq!(month_at("2028-02-29T12:00:00Z"), "2028-02");
        assert_eq!(Month::of(MessageId::MAX).to_string(), "2094-09");
        assert_eq!(Month::of(MessageId(u64::MAX)).to_string(), "2164-05", "no panic, whatever comes");
    }

    #[test]
    fn months_sort_as_their_texts_do_and_come_back() {
        let months = (2025 * 12..2095 * 12).map(Month);
        let texts: Vec<String> = months.clone().map(|month| month.to_string()).collect();
        assert!(texts.is_sorted());
        for (text, month) in texts.iter().zip(months) {
            assert_eq!(Month::parse(text), Some(month));
        }
        for other in ["", "2026", "2026-13", "2026-00", "2026-1", "26-01", "2026-011", "-2026-01", "x-y"] {
            assert_eq!(Month::parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_noted_is_not_missing_and_does_not_grow_without_end() {
        let (noted, month) = (Noted::default(), Month::of(MessageId::ZERO));
        let bucket = |number: usize| (ChannelId(Uuid::from_u128(number as u128)), month);
        assert_eq!(noted.missing([bucket(1), bucket(1)].into_iter()).len(), 1);
        noted.confirmed(HashSet::from([bucket(1)]));
        assert_eq!(noted.missing([bucket(1), bucket(2)].into_iter()), HashSet::from([bucket(2)]));
        for number in 0..NOTED_MAX + 10 {
            noted.confirmed(HashSet::from([bucket(number)]));
        }
        assert!(noted.0.lock().expect("no panic").len() <= NOTED_MAX);
        assert!(noted.missing([bucket(NOTED_MAX + 9)].into_iter()).is_empty(), "the last is remembered");
    }
}
