//! Changes of a channel and of roles in it, public channels, mutes.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use ringside_application::service::{Caller, ChannelService as _, FieldError, ServiceError};
use ringside_ports::channels::{ChannelPatch, Role};
use ringside_types::UnixMillis;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::channels::ListQuery;
use crate::client::{Field, Fields, JsonBody, Path, Query, TEXT, id};
use crate::problem::Problem;
use crate::router::App;
use crate::services::Services;
use crate::views;

const ROLES: &str = "`owner`, `admin`, `member` or `guest`";
const UNTIL: &str = "a time like 2027-01-31T18:00:00Z, or null for good";

/// What may be changed. Any other field is unknown here, and passed over.
#[derive(Deserialize)]
struct PatchBody {
    name: Option<String>,
    description: Option<String>,
    topic: Option<String>,
    #[serde(default)]
    settings: SettingsBody,
}

#[derive(Default, Deserialize)]
struct SettingsBody {
    slow_mode_s: Option<u32>,
    who_may_post: Option<String>,
    history_for_joiners: Option<String>,
    retention_days: Option<Value>,
}

impl Fields for PatchBody {
    const FIELDS: &'static [Field] = &[
        Field::optional::<Option<String>>("name", TEXT),
        Field::optional::<Option<String>>("description", TEXT),
        Field::optional::<Option<String>>("topic", TEXT),
        Field::object::<SettingsBody>("settings"),
    ];
}

impl Fields for SettingsBody {
    const FIELDS: &'static [Field] = &[
        Field::optional::<Option<u32>>("slow_mode_s", "a number of seconds"),
        Field::optional::<Option<String>>("who_may_post", TEXT),
        Field::optional::<Option<String>>("history_for_joiners", TEXT),
    ];
}

#[derive(Deserialize)]
struct RoleBody {
    role: String,
}

impl Fields for RoleBody {
    const FIELDS: &'static [Field] = &[Field::required::<String>("role", ROLES)];
}

#[derive(Deserialize)]
struct MuteBody {
    #[serde(default)]
    until: Option<UnixMillis>,
}

impl Fields for MuteBody {
    const FIELDS: &'static [Field] = &[Field::optional::<Option<UnixMillis>>("until", UNTIL)];
}

#[derive(Deserialize)]
pub(crate) struct DiscoverQuery {
    limit: Option<usize>,
    cursor: Option<String>,
    #[serde(default)]
    q: String,
}

impl PatchBody {
    fn patch(self) -> Result<ChannelPatch, ServiceError> {
        let SettingsBody { slow_mode_s, who_may_post, history_for_joiners, retention_days } = self.settings;
        let mut wrong = Vec::new();
        let admins_post = one_of("settings.who_may_post", who_may_post, ["everyone", "admins"], &mut wrong);
        let history_from_join =
            one_of("settings.history_for_joiners", history_for_joiners, ["all", "from_join"], &mut wrong);
        if retention_days.is_some_and(|days| !days.is_null()) {
            let message = "Retention is not built yet: messages are kept for good.".into();
            wrong.push(FieldError { field: "settings.retention_days".into(), message });
        }
        if !wrong.is_empty() {
            return Err(ServiceError::Invalid(wrong));
        }
        let Self { name, description, topic, .. } = self;
        Ok(ChannelPatch { name, description, topic, slow_mode_s, admins_post, history_from_join })
    }
}

/// Whether it is the second of the two.
fn one_of(
    field: &'static str,
    value: Option<String>,
    [first, second]: [&str; 2],
    wrong: &mut Vec<FieldError>,
) -> Option<bool> {
    let value = value?;
    if value != first && value != second {
        wrong.push(FieldError {
            field: field.into(),
            message: format!("`{field}` must be `{first}` or `{second}`."),
        });
    }
    Some(value == second)
}

pub(crate) async fn change<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(channel): Path<String>,
    body: JsonBody,
) -> Result<Json<Value>, Problem> {
    let body: PatchBody = body.read()?;
    let changed = app.services.channels().change(caller.user_id, id(&channel)?, body.patch()?);
    let (channel, membership) = changed.await?;
    Ok(Json(views::own_channel(&app.services, caller.user_id, &channel, membership.as_ref()).await?))
}

pub(crate) async fn delete<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(channel): Path<String>,
) -> Result<StatusCode, Problem> {
    app.services.channels().delete(caller.user_id, id(&channel)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn discover<S: Services>(
    State(app): State<Arc<App<S>>>,
    Query(query): Query<DiscoverQuery>,
) -> Result<Json<Value>, Problem> {
    let DiscoverQuery { limit, cursor, q } = query;
    let part = ListQuery { limit, cursor }.part()?;
    let listed = app.services.channels().discover(&q, part).await?;
    let item = |(channel, count): &(_, u64)| {
        let mut item = views::channel(channel, None);
        item["member_count"] = (*count).into();
        item
    };
    let items: Vec<Value> = listed.items.iter().map(item).collect();
    Ok(Json(json!({"items": items, "next_cursor": listed.next_cursor})))
}

pub(crate) async fn set_role<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path((channel, user)): Path<(String, String)>,
    body: JsonBody,
) -> Result<Json<Value>, Problem> {
    let RoleBody { role } = body.read()?;
    let role = Role::from_name(&role).ok_or_else(|| {
        let message = format!("`role` must be {ROLES}.");
        ServiceError::Invalid(vec![FieldError { field: "role".into(), message }])
    })?;
    let member = app.services.channels().set_role(caller.user_id, id(&channel)?, id(&user)?, role).await?;
    Ok(Json(views::member(&member)))
}

pub(crate) async fn mute<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(channel): Path<String>,
    body: JsonBody,
) -> Result<StatusCode, Problem> {
    let MuteBody { until } = body.read()?;
    let until = until.unwrap_or(UnixMillis::MAX).min(UnixMillis::MAX);
    app.services.channels().mute(caller.user_id, id(&channel)?, Some(until)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn unmute<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(channel): Path<String>,
) -> Result<StatusCode, Problem> {
    app.services.channels().mute(caller.user_id, id(&channel)?, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
