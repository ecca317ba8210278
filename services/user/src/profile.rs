//! Profiles: one's own, others', found, and erased.

mod settings;

pub use settings::{SETTINGS_BYTES_MAX, SETTINGS_DEPTH_MAX};

use ringside_application::service::people::{ProfilePatch, ProfileService, VisibleProfile};
use ringside_application::service::{FieldError, Page, PageRequest, ServiceError};
use ringside_clock::now;
use ringside_ports::People;
use ringside_ports::people::After;
use ringside_ports::people::profiles::{
    AuditEntry, Changed, Found, Profile, ProfileChange, SearchFor, SettingsSwap,
};
use ringside_ports::people::relations::Relationship;
use ringside_ports::{Log, Presence};
use ringside_types::UserId;
use ringside_types::limits::STATUS_MESSAGE_CHARS_MAX;
use ringside_types::text::composed;

use crate::lists;
use crate::registration::{is_text, wrong_display_name};
use crate::sessions::{revoked, to_the_end};
use crate::users::Users;

const AVATAR_URL_BYTES_MAX: usize = 2_048;
const SEARCH_CHARS_MAX: usize = 254;
/// How often a change is tried while other changes of the same settings come in between.
const CHANGE_TRIES: usize = 16;

impl<D: People, P: Presence, L: Log> ProfileService for Users<D, P, L> {
    async fn own(&self, caller: UserId) -> Result<Profile, ServiceError> {
        let found = self.directory().profiles(&[caller]).await?.into_iter().next();
        found.filter(|profile| profile.erased_at.is_none()).map(as_of_now).ok_or_else(gone)
    }

    async fn change(&self, caller: UserId, patch: ProfilePatch) -> Result<Profile, ServiceError> {
        let ProfilePatch { display_name, avatar_url, status_message, status_expires_at, settings } = patch;
        let display_name = display_name.map(|name| composed(name.trim()).into_owned());
        let status_message = status_message.map(|text| text.trim().to_owned());
        check(display_name.as_deref(), avatar_url.as_deref(), status_message.as_deref())?;
        if status_expires_at.flatten().is_some_and(|until| until <= now()) {
            let message = "A status ends at a time in the future, or never: null.".into();
            return Err(invalid("status_expires_at", message));
        }
        let is_seen = status_message.is_some() || status_expires_at.is_some() || settings.is_some();
        let mut change =
            ProfileChange { display_name, avatar_url, status_message, status_expires_at, settings: None };
        for _ in 0..CHANGE_TRIES {
            if let Some(patch) = &settings {
                let from = self.own(caller).await?.settings;
                let to = settings::merged(&from, patch).map_err(|message| invalid("settings", message))?;
                change.settings = Some(SettingsSwap { from, to });
            }
            match self.directory().change_profile(caller, change.clone(), now()).await? {
                Changed::Done(profile) => {
                    if is_seen {
                        self.presence_changed(&[caller]).await;
                    }
                    return Ok(as_of_now(*profile));
                }
                Changed::Gone => return Err(gone()),
                Changed::Moved => {}
            }
        }
        Err(ServiceError::Unavailable("the settings are changed by too many at once".into()))
    }

    async fn seen(&self, caller: UserId, ids: &[UserId]) -> Result<Vec<VisibleProfile>, ServiceError> {
        let profiles = self.directory().profiles(ids).await?;
        self.as_seen(caller, profiles).await
    }

    async fn search(
        &self,
        caller: UserId,
        text: &str,
        part: PageRequest,
    ) -> Result<Page<VisibleProfile>, ServiceError> {
        let text = text.trim();
        if !is_text(text, 0, SEARCH_CHARS_MAX) {
            let message = format!("`q` has {SEARCH_CHARS_MAX} characters at the most.");
            return Err(ServiceError::BadRequest(message));
        }
        let limit = lists::limit(&part);
        let after = part.cursor.as_deref().map(found_at).transpose()?;
        let search = SearchFor { viewer: caller, text: text.into() };
        let found = self.directory().search(&search, After { after, limit: limit + 1 }).await?;
        let listed = lists::listed(found, limit, |(found, _)| cursor_of(*found));
        let profiles = listed.items.into_iter().map(|(_, profile)| profile).collect();
        let items = self.as_seen(caller, profiles).await?;
        Ok(Page { items, next_cursor: listed.next_cursor })
    }

    async fn erase(&self, caller: UserId) -> Result<(), ServiceError> {
        let users = self.clone();
        to_the_end(async move { users.erase_account(caller, Some(caller)).await }).await
    }

    async fn audit(&self, caller: UserId, part: PageRequest) -> Result<Page<AuditEntry>, ServiceError> {
        let (limit, after) = (lists::limit(&part), lists::cursor(part.cursor)?);
        let entries = self.directory().audit(caller, After { after, limit: limit + 1 }).await?;
        Ok(lists::listed(entries, limit, |entry| entry.id.to_string()))
    }
}

/// What they said until a time that is over, they say no more.
fn as_of_now(mut profile: Profile) -> Profile {
    if profile.status_expires_at.is_some_and(|until| until <= now()) {
        (profile.status_message, profile.status_expires_at) = (String::new(), None);
    }
    profile
}

impl<D: People, P: Presence, L: Log> Users<D, P, L> {
    /// Erases an account, and tells every edge; returns once the log has it. Its memberships end through the outbox.
    pub(crate) async fn erase_account(
        &self,
        user: UserId,
        actor: Option<UserId>,
    ) -> Result<(), ServiceError> {
        self.directory().erase(user, actor, now()).await?.ok_or_else(gone)?;
        self.revoke(vec![revoked(user, None)]).await
    }

    /// In the order given.
    async fn as_seen(
        &self,
        viewer: UserId,
        profiles: Vec<Profile>,
    ) -> Result<Vec<VisibleProfile>, ServiceError> {
        let ids: Vec<UserId> = profiles.iter().map(|profile| profile.user.id).collect();
        let relationships = self.directory().relationships(viewer, &ids).await?;
        let seen = profiles.into_iter().zip(relationships).map(|(profile, relationship)| {
            let own = profile.user.id == viewer;
            let sees =
                |may: fn(&Relationship) -> bool| relationship.as_ref().is_some_and(|one| own || may(one));
            let mut profile = as_of_now(profile);
            if !sees(Relationship::sees_status_message) {
                (profile.status_message, profile.status_expires_at) = (String::new(), None);
            }
            VisibleProfile { profile, sees_email: sees(Relationship::sees_email) }
        });
        Ok(seen.collect())
    }
}

pub(crate) fn gone() -> ServiceError {
    ServiceError::Unauthorized("This account is gone.".into())
}

fn invalid(field: &'static str, message: String) -> ServiceError {
    ServiceError::Invalid(vec![FieldError { field: field.into(), message }])
}

fn check(
    display_name: Option<&str>,
    avatar_url: Option<&str>,
    status_message: Option<&str>,
) -> Result<(), ServiceError> {
    let checks = [
        ("display_name", display_name.and_then(wrong_display_name)),
        (
            "avatar_url",
            avatar_url.filter(|url| !is_picture(url)).map(|_| {
                format!("An avatar is an http or https address of up to {AVATAR_URL_BYTES_MAX} bytes, or empty.")
            }),
        ),
        (
            "status_message",
            status_message.filter(|text| !is_text(text, 0, STATUS_MESSAGE_CHARS_MAX)).map(|_| {
                format!(
                    "A status has up to {STATUS_MESSAGE_CHARS_MAX} characters, none of them a control character."
                )
            }),
        ),
    ];
    let wrong: Vec<FieldError> = checks
        .into_iter()
        .filter_map(|(field, wrong)| wrong.map(|message| FieldError { field: field.into(), message }))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(ServiceError::Invalid(wrong)) }
}

/// No `javascript:` and the like: clients put it into their pages.
fn is_picture(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let is_address = rest.is_some_and(|rest| !rest.is_empty());
    let is_out_of_place =
        |one: char| one.is_whitespace() || one.is_control() || matches!(one, '"' | '<' | '>' | '\\');
    url.is_empty() || (is_address && url.len() <= AVATAR_URL_BYTES_MAX && !url.contains(is_out_of_place))
}

/// A search goes on after an account, found by its username (`u`) or its display name (`d`).
fn cursor_of(found: Found) -> String {
    match found {
        Found::ByUsername(id) => format!("u{id}"),
        Found::ByDisplayName(id) => format!("d{id}"),
    }
}

fn found_at(cursor: &str) -> Result<Found, ServiceError> {
    let found = match cursor.split_at_checked(1) {
        Some(("u", id)) => id.parse().ok().map(Found::ByUsername),
        Some(("d", id)) => id.parse().ok().map(Found::ByDisplayName),
        _ => None,
    };
    found.ok_or_else(lists::invalid_cursor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_picture_is_on_the_web_or_nowhere() {
        for good in ["", "https://example.org/ä.png", "http://a"] {
            assert!(is_picture(good), "{good}");
        }
        let long = format!("https://{}", "a".repeat(AVATAR_URL_BYTES_MAX));
        for bad in ["javascript:alert(1)", "data:x", "https://", "//a", "https://a b", "https://a\"b", &long]
        {
            assert!(!is_picture(bad), "{bad}");
        }
    }

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let id = UserId(Uuid::from_u128(7));
        for found in [Found::ByUsername(id), Found::ByDisplayName(id)] {
            assert_eq!(found_at(&cursor_of(found)), Ok(found));
        }
        for none in ["", "u", "x00000000-0000-0000-0000-000000000007", "ü"] {
            assert!(matches!(found_at(none), Err(ServiceError::BadRequest(_))), "{none}");
        }
    }
}
