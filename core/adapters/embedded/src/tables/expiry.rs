//! Idempotency keys live 72 h by their record's time. Readers don't see one that is older; compaction drops it.
//!
//! A filter costs no scan and leaves no second copy of the table's order by time: keys are spread evenly, so every
//! compaction into the last level meets all that are due, and a table that nobody writes to doesn't grow.

use fjall::compaction::filter::{
    CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict,
};
use ringside_types::UnixMillis;
use ringside_types::limits::IDEMPOTENCY_ROW_MS;

use super::layout::stamp_of;
use crate::age::Age;

/// Microseconds of a stamp in a millisecond.
const STAMPS_PER_MS: u64 = 1_000;

/// Whether a row with this stamp has lived its time.
pub(crate) fn is_over(stamp: u64, now: UnixMillis) -> bool {
    now.0.saturating_sub(stamp / STAMPS_PER_MS) > IDEMPOTENCY_ROW_MS
}

/// Makes the filter of one compaction.
pub(crate) struct Expired {
    age: Age,
}

impl Expired {
    pub(crate) fn new(age: Age) -> Self {
        Self { age }
    }
}

impl Factory for Expired {
    fn name(&self) -> &str {
        "idempotency rows live 72 h"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(ExpiredAt { now: self.age.now() })
    }
}

struct ExpiredAt {
    now: UnixMillis,
}

impl CompactionFilter for ExpiredAt {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        // What can't be read is kept: a reader reports it as damaged.
        let over = stamp_of(&item.value()?).is_some_and(|stamp| is_over(stamp, self.now));
        Ok(if over { Verdict::Remove } else { Verdict::Keep })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tables;
    use super::super::layout::Builder;
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn seventy_two_hours_by_the_records_time() {
        let made = 1_700_000_000_000;
        let stamp = made * STAMPS_PER_MS + 999;
        assert!(!is_over(stamp, UnixMillis(made + IDEMPOTENCY_ROW_MS)));
        assert!(is_over(stamp, UnixMillis(made + IDEMPOTENCY_ROW_MS + 1)));
        assert!(!is_over(stamp, UnixMillis(0)), "a clock that stepped back expires nothing");
    }

    #[test]
    fn compaction_drops_what_is_over_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let now = 1_700_000_000_000;
        let clock = Clock::Manual(std::sync::Arc::new(now.into()));
        let tables = Tables::open(folder.path(), 1024 * 1024, &clock).expect("opens");
        let stamp_at = |ms: u64| Builder::value(ms * STAMPS_PER_MS, 0).done();
        let over = stamp_at(now - IDEMPOTENCY_ROW_MS - 1);
        for table in [&tables.keys, &tables.heads] {
            for number in 0..100_u8 {
                let value = if number < 60 { over.clone() } else { stamp_at(now - IDEMPOTENCY_ROW_MS) };
                table.insert([number], value).expect("inserts");
            }
            table.rotate_memtable_and_wait().expect("flushes");
            table.major_compact().expect("compacts");
        }
        let kept = |table: &fjall::Keyspace| table.iter().count();
        assert_eq!((kept(&tables.keys), kept(&tables.heads)), (40, 100), "only keys expire");
    }
}
