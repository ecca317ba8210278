//! The invariants, one module each or two, over the same `Index`. A further one is another module and another line in
//! [`check`].

mod agreement;
mod causality;
mod changes;
mod cursors;
mod eviction;
mod final_history;
mod live_order;
mod provenance;
mod sync_suffix;

use crate::history::History;
use crate::index::Index;
use crate::verdict::Verdict;
pub(crate) use cursors::count_unread;
pub use cursors::{CertainCursors, certain_cursors};
pub use eviction::SILENT_WITHIN_US;

/// Checks every invariant over a history.
pub fn check(history: &History) -> Verdict {
    let index = Index::build(history);
    let mut verdict = Verdict { counts: index.counts(), ..Verdict::default() };
    final_history::check(&index, &mut verdict);
    provenance::check(&index, &mut verdict);
    agreement::check(&index, &mut verdict);
    live_order::check(&index, &mut verdict);
    causality::check(&index, &mut verdict);
    sync_suffix::check(&index, &mut verdict);
    eviction::check(&index, &mut verdict);
    changes::check(&index, &mut verdict);
    cursors::check(&index, &mut verdict);
    verdict
}
