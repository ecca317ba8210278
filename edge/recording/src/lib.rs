//! What an edge's machines took in, written down so that they can take it in again: an incident of a running server, replayed
//! step by step.
//!
//! A *recording* is a folder with one *track* for each machine: a file of JSON lines, one for each input, in the order in
//! which the machine took them. All tracks share one count, so that they can be put into one order again. A recording is
//! bounded: once it has taken its bytes, it is over, for all tracks at the same count. Each start of a server begins one, and
//! the last [`KEPT`] are kept.
//!
//! It holds what users wrote, and tokens that are good until they expire: keep it as you keep the data folder.

#![warn(missing_docs)]

mod error;
mod moment;
mod reading;
mod recording;

pub use error::RecordingError;
pub use moment::Moment;
pub use reading::read;
pub use recording::{KEPT, Recording, Track};
