//! Password hashes: argon2id with OWASP's parameters, in bounded memory.
//!
//! A hash takes 19 MiB and some 20 ms of a core by intent. So it runs on tokio's blocking pool, a few at once; some
//! more wait; further ones are refused at once.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use ringside_ports::service::ServiceError;
use tokio::sync::Semaphore;

/// Memory of one hash, in KiB. Source: OWASP Password Storage Cheat Sheet, argon2id with t=2, p=1.
pub const MEMORY_KIB: u32 = 19 * 1_024;
/// Hashes at once at the most, in the whole process: what bounds their memory.
pub const HASHES_MAX: usize = 4;
/// Hashes that wait or run at the most; further ones are refused.
pub const HASHES_WAITING_MAX: usize = 256;
/// Bytes of a password at the most; a longer one is nobody's.
pub const PASSWORD_BYTES_MAX: usize = 1_024;

const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

const _: () = assert!(HASHES_MAX < HASHES_WAITING_MAX);
const _: () = assert!(HASHES_MAX * MEMORY_KIB as usize <= 256 * 1_024, "hashes take 256 MiB at the most");

static RUNNING: Semaphore = Semaphore::const_new(HASHES_MAX);
static WAITING: Semaphore = Semaphore::const_new(HASHES_WAITING_MAX);

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("argon2 allows these constants");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes a password, in PHC format, on the caller's thread: for commands. Services take [`hash`].
pub fn hash_now(password: &str) -> String {
    let salt: [u8; SALT_BYTES] = rand::random();
    let hash = argon2().hash_password_with_salt(password.as_bytes(), &salt);
    hash.expect("argon2 allows this salt, and passwords up to 4 GiB").to_string()
}

/// Hashes a password, in PHC format.
///
/// # Errors
/// [`ServiceError::Unavailable`]: too many wait already.
pub async fn hash(password: String) -> Result<String, ServiceError> {
    in_turn(move || hash_now(&password)).await
}

/// Whether the password is the one that was hashed.
///
/// # Errors
/// [`ServiceError::Unavailable`]: too many wait already.
pub async fn verify(password: String, hash: String) -> Result<bool, ServiceError> {
    in_turn(move || verify_now(&password, &hash)).await
}

fn verify_now(password: &str, hash: &str) -> bool {
    match PasswordHash::new(hash) {
        // The hash says by which parameters it was made.
        Ok(parsed) => argon2().verify_password(password.as_bytes(), &parsed).is_ok(),
        Err(error) => {
            tracing::error!(%error, "a password hash in the Directory is damaged; its user can't sign in");
            false
        }
    }
}

async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ServiceError> {
    let busy = || ServiceError::Unavailable("Too many people sign in at this moment; try again.".into());
    let _waiting = WAITING.try_acquire().map_err(|_| busy())?;
    let running = RUNNING.acquire().await.expect("nobody closes it");
    // The permit goes along: work whose request was given up still takes its memory.
    let done = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(running);
        done
    });
    done.await.map_err(|_| busy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_names_its_parameters_and_fits_its_password_alone() {
        let hash = hash_now("correct horse");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, hash_now("correct horse"), "salted");
        assert!(verify_now("correct horse", &hash) && !verify_now("correct hors", &hash));
        assert!(!verify_now("correct horse", "not a hash"));
    }

    #[tokio::test]
    async fn further_ones_are_refused_at_once() {
        let taken = WAITING.acquire_many(HASHES_WAITING_MAX as u32).await.expect("open");
        let refused = hash("correct horse".into()).await;
        assert!(matches!(refused, Err(ServiceError::Unavailable(_))), "{refused:?}");
        drop(taken);
        assert!(hash("correct horse".into()).await.is_ok());
    }
}
