//! Accounts, sessions, tokens, profiles, relations.
//!
//! * [`Users`]: the service, over a Directory, the limits and the log.
//! * [`SigningKeys`]: what signs and verifies access tokens; [`KeyRotation`]: how it changes, over a store of keys.
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

pub use keys::{KeyRotation, PublicKeys, SigningKeys};
pub use profile::{SETTINGS_BYTES_MAX, SETTINGS_DEPTH_MAX};
pub use registration::RegistrationMode;
pub use users::Users;
