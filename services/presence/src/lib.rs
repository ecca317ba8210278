//! What passes by, outside every channel's chain: receipts and typing.
//!
//! ```text
//! edges --messages.status--> signals: registers in the store --messages.receive--> edges with members
//! ```

mod receipts;
pub mod signals;

pub use receipts::Receipts;
