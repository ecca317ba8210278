//! The hash of maps and sets.

use std::cell::Cell;
use std::hash::BuildHasher;

use foldhash::SharedSeed;
use foldhash::fast::{FoldHasher, SeedableRandomState};

thread_local! {
    static SEED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Seeds a map's hash, each differently, so that nobody outside can make keys that collide. A simulation, which must do the
/// same again, [fixes](fix_seed) it.
#[derive(Clone, Debug)]
pub struct RandomState(SeedableRandomState);

impl Default for RandomState {
    fn default() -> Self {
        Self(match SEED.get() {
            None => SeedableRandomState::random(),
            Some(seed) => SeedableRandomState::with_seed(seed, SharedSeed::global_fixed()),
        })
    }
}

impl BuildHasher for RandomState {
    type Hasher = FoldHasher<'static>;

    fn build_hasher(&self) -> FoldHasher<'static> {
        self.0.build_hasher()
    }
}

/// From now on, maps that are made on this thread have this seed; `None`: random ones again.
pub fn fix_seed(seed: Option<u64>) {
    SEED.set(seed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_random_unless_they_are_fixed() {
        let hash = || RandomState::default().hash_one("a");
        assert!((0..8).map(|_| hash()).any(|other| other != hash()));
        fix_seed(Some(7));
        let fixed = hash();
        assert_eq!(fixed, hash());
        fix_seed(Some(8));
        assert_ne!(fixed, hash());
        fix_seed(None);
    }
}
