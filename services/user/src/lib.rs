//! Accounts, sessions, tokens, profiles, relations.
//!
//! * [`Users`]: the service, over a Directory, the limits and the log.
//! * [`SigningKeys`]: the keys in the data folder that sign access tokens.
//! * [`password`]: hashes, in bounded memory.

mod administration;
mod keys;
mod lists;
mod own_sessions;
pub mod password;
mod profile;
mod refresh;
mod registration;
mod relations;
mod sessions;
mod throttle;
mod users;

pub use keys::{KEY_FILE_BYTES_MAX, KEYS_MAX, KeysError, SHOWN_FIRST_MS, SigningKeys};
pub use profile::{SETTINGS_BYTES_MAX, SETTINGS_DEPTH_MAX};
pub use registration::RegistrationMode;
pub use users::Users;
