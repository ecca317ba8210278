//! Password hashes: argon2id with OWASP's parameters, in bounded memory.
//!
//! A hash takes 19 MiB and some 20 ms of a core by intent. So it runs on tokio's blocking pool, a few at once; some
//! more wait; further ones are refused at once. No address takes more than its share of those places.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use ringside_application::service::ServiceError;
use ringside_ports::presence::network;
use ringside_types::text::composed;
use tokio::sync::Semaphore;

/// Memory of one hash, in KiB. Source: OWASP Password Storage Cheat Sheet, argon2id with t=2, p=1.
pub const MEMORY_KIB: u32 = 19 * 1_024;
/// Hashes at once at the most, in the whole process: what bounds their memory.
pub const HASHES_MAX: usize = 4;
/// Hashes that wait or run at the most; further ones are refused.
pub const HASHES_WAITING_MAX: usize = 256;
/// Those of one address (an IPv6 one's network) at the most, so that it leaves places to others.
pub const HASHES_OF_ADDRESS_MAX: usize = HASHES_WAITING_MAX / 4;
/// Bytes of a password at the most; a longer one is nobody's.
pub const PASSWORD_BYTES_MAX: usize = 1_024;

const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

const _: () = assert!(HASHES_MAX < HASHES_WAITING_MAX);
const _: () = assert!(HASHES_MAX * MEMORY_KIB as usize <= 256 * 1_024, "hashes take 256 MiB at the most");

static RUNNING: Semaphore = Semaphore::const_new(HASHES_MAX);
/// Networks whose hashes wait or run, and how many: as many entries as places at the most.
static WAITING: Mutex<BTreeMap<IpAddr, usize>> = Mutex::new(BTreeMap::new());
/// What the operator asks for comes from no address.
const OPERATOR: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A place among those that wait or run.
struct Place(IpAddr);

impl Place {
    /// `None`: all are taken, or this address has its share.
    fn take(address: IpAddr) -> Option<Self> {
        let network = network(address);
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        let own = waiting.get(&network).copied().unwrap_or(0);
        if own >= HASHES_OF_ADDRESS_MAX || waiting.values().sum::<usize>() >= HASHES_WAITING_MAX {
            return None;
        }
        waiting.insert(network, own + 1);
        Some(Self(network))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.get_mut(&self.0) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                waiting.remove(&self.0);
            }
        }
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("argon2 allows these constants");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes a password, in PHC format, on the caller's thread: for commands. Services take [`hash`].
///
/// It is hashed in its composed form (RFC 8265 section 4.2): keyboards write the same letters in more than one way.
pub fn hash_now(password: &str) -> String {
    let salt: [u8; SALT_BYTES] = rand::random();
    let hash = argon2().hash_password_with_salt(composed(password).as_bytes(), &salt);
    hash.expect("argon2 allows this salt, and passwords up to 4 GiB").to_string()
}

/// Hashes a password, in PHC format, for a request from this address.
///
/// # Errors
/// [`ServiceError::Unavailable`]: too many wait already, or too many of this address.
pub async fn hash(address: IpAddr, password: String) -> Result<String, ServiceError> {
    in_turn(address, move || hash_now(&password)).await
}

/// The same for the operator.
///
/// # Errors
/// [`ServiceError::Unavailable`]: too many wait already.
pub(crate) async fn hash_for_operator(password: String) -> Result<String, ServiceError> {
    hash(OPERATOR, password).await
}

/// Whether the password, which came from this address, is the one that was hashed.
///
/// # Errors
/// [`ServiceError::Unavailable`]: too many wait already, or too many of this address.
pub async fn verify(address: IpAddr, password: String, hash: String) -> Result<bool, ServiceError> {
    in_turn(address, move || verify_now(&password, &hash)).await
}

fn verify_now(password: &str, hash: &str) -> bool {
    match PasswordHash::new(hash) {
        // The hash says by which parameters it was made.
        Ok(parsed) => {
            let is_it = |password: &str| argon2().verify_password(password.as_bytes(), &parsed).is_ok();
            let composed = composed(password);
            // Older versions hashed passwords as they came.
            is_it(&composed) || (composed != password && is_it(password))
        }
        Err(error) => {
            tracing::error!(%error, "a password hash in the Directory is damaged; its user can't sign in");
            false
        }
    }
}

async fn in_turn<T: Send + 'static>(
    address: IpAddr,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ServiceError> {
    let busy = || ServiceError::Unavailable("Too many people sign in at this moment; try again.".into());
    let place = Place::take(address).ok_or_else(busy)?;
    let running = RUNNING.acquire().await.expect("nobody closes it");
    // Permit and place go along: work whose request was given up still takes its memory.
    let done = tokio::task::spawn_blocking(move || {
        let done = work();
        drop((running, place));
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
    async fn further_ones_are_refused_at_once_and_no_address_takes_all_places() {
        let address = |network: u16, host: u16| IpAddr::from([0x2001, 0xdb8, 0, network, 0, 0, 0, host]);
        let full = |network: u16| -> Vec<Place> {
            (0..HASHES_OF_ADDRESS_MAX as u16).filter_map(|host| Place::take(address(network, host))).collect()
        };
        let asked = async |network| hash(address(network, 0xffff), "correct horse".into()).await;
        let first = full(0);
        assert_eq!(first.len(), HASHES_OF_ADDRESS_MAX);
        let refused = asked(0).await;
        assert!(
            matches!(refused, Err(ServiceError::Unavailable(_))),
            "its network has its share: {refused:?}"
        );
        assert!(asked(1).await.is_ok(), "another's goes on");
        let others: Vec<Place> = (1..4).flat_map(full).collect();
        assert_eq!(first.len() + others.len(), HASHES_WAITING_MAX);
        let refused = asked(4).await;
        assert!(matches!(refused, Err(ServiceError::Unavailable(_))), "all places are taken: {refused:?}");
        drop((first, others));
        assert!(asked(0).await.is_ok());
        assert!(WAITING.lock().expect("no panic").is_empty(), "nothing is kept of who is done");
    }
}
