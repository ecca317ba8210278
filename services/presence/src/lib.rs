//! What passes by, outside every channel's chain: receipts, typing, and who is there.
//!
//! ```text
//! edges --messages.status--> signals: registers in the store --messages.receive--> edges with members
//! ```

mod presence_views;
mod receipts;
pub mod signals;

pub use presence_views::PresenceViews;
pub use receipts::Receipts;
