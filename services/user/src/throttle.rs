//! The limits of registering and signing in.

use std::net::IpAddr;

use ringside_application::service::ServiceError;
use ringside_ports::Presence;
use ringside_ports::presence::{Account, Charge, Rate, RateDecision, network};
use ringside_types::text::folded;
use ringside_types::{Limits, UserId};
use uuid::Uuid;

use crate::registration::EMAIL_BYTES_MAX;

/// Bytes that tell one login from another in its limit; no account's login is longer.
const LOGIN_KEY_BYTES_MAX: usize = EMAIL_BYTES_MAX;

/// What a registration from this address costs.
pub(crate) fn of_registration(limits: &Limits, address: IpAddr) -> Charge {
    let rate = Rate { per_minute: limits.register_per_minute_per_address, burst: limits.register_burst };
    Charge::one(Account::AddressRegistrations(network(address)), rate)
}

/// What a failed login costs the address by what was typed. `login` is folded as the Directory folds it, so that no
/// spelling has a limit of its own.
pub(crate) fn of_typed_login(limits: &Limits, address: IpAddr, login: &str) -> Charge {
    let mut key = folded(login);
    key.truncate(key.floor_char_boundary(LOGIN_KEY_BYTES_MAX));
    of_guess(limits, Account::LoginGuesses(network(address), key))
}

/// What a failed login costs the account, if there is one. An address that signed in to it before has a limit of its
/// own, so that guesses from elsewhere don't keep its owner out.
pub(crate) fn of_failed_login(
    limits: &Limits,
    user: Option<UserId>,
    address: IpAddr,
    is_known: bool,
) -> Charge {
    let user = user.unwrap_or(UserId(Uuid::nil()));
    let account = if is_known {
        Account::KnownAddressGuesses(user, network(address))
    } else {
        Account::StrangersGuesses(user)
    };
    of_guess(limits, account)
}

/// What a wrong current password costs, where the password is to be changed.
pub(crate) fn of_failed_change(limits: &Limits, user: UserId) -> Charge {
    of_guess(limits, Account::PasswordChangeGuesses(user))
}

fn of_guess(limits: &Limits, account: Account) -> Charge {
    let per_minute = limits.login_failures_per_minute;
    Charge::one(account, Rate { per_minute, burst: per_minute })
}

/// Takes the token. What happens when the engine fails is decided around it (`ringside_application::open_limits`).
pub(crate) async fn charge<P: Presence>(presence: &P, charge: &Charge) -> Result<(), ServiceError> {
    match presence.charge(std::slice::from_ref(charge)).await?.first() {
        Some(RateDecision::Refused { retry_after_ms }) => {
            let (retry_after_ms, limit) = (*retry_after_ms, charge.rate.per_minute);
            Err(ServiceError::RateLimited { retry_after_ms, limit })
        }
        _ => Ok(()),
    }
}

/// Gives the token back.
pub(crate) async fn refund<P: Presence>(presence: &P, charge: &Charge) {
    if let Err(error) = presence.refund(std::slice::from_ref(charge)).await {
        tracing::warn!(%error, "a sign-in counts as a failed one: the limits' engine did not answer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_login_has_one_limit_however_it_is_spelled() {
        let limits = Limits::default();
        let account = |login: &str| of_typed_login(&limits, [192, 0, 2, 1].into(), login).account;
        assert_eq!(account("ADA@Example.org"), account("ada@example.ORG"));
        assert_ne!(account("ada"), account("bob"));
        let long = "ü".repeat(1_000);
        assert_eq!(account(&long), account(&format!("{long}x")), "bounded, and cut between characters");
        let elsewhere = of_typed_login(&limits, [192, 0, 2, 2].into(), "ada").account;
        assert_ne!(account("ada"), elsewhere, "another address has its own");
    }
}
