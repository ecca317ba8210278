//! Accounts, sessions, tokens.
//!
//! * [`Users`]: the service, over a Directory, the limits and the log.
//! * [`SigningKeys`]: the keys in the data folder that sign access tokens.
//! * [`password`]: hashes, in bounded memory.

mod clock;
mod keys;
pub mod password;
mod refresh;
mod registration;
mod sessions;
mod throttle;
mod users;

pub use keys::{KEY_FILE_BYTES_MAX, KEYS_MAX, KeysError, SigningKeys};
pub use users::Users;
