//! What passes by, outside every channel's chain: receipts, typing, and who is there.
//!
//! ```text
//! edges --messages.status--> signals: registers in the store --messages.receive--> edges with members
//! ```

mod receipts;
pub mod signals;
mod whereabouts;

pub use receipts::Receipts;
pub use whereabouts::Whereabouts;
