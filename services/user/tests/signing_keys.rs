//! Keys rotate: tokens survive a restart, a rotation and each other's changes, and the edges are told.

mod support;

use std::path::Path;
use std::time::Duration;

use ringside_application::direct::KeyHolder as _;
use ringside_embedded::{Config, EmbeddedLog, Engine, KeyFiles};
use ringside_ports::Log as _;
use ringside_ports::keys::{KEYS_MAX, KeyStore as _};
use ringside_ports::log::ReadLimit;
use ringside_session::token::Verifier;
use ringside_types::{Offset, PartitionId, SessionId, Topic, UnixMillis, UserId};
use ringside_user::{KeyRotation, SigningKeys};
use ringside_wire::records::{Control, KeysChanged, control};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const USER: UserId = UserId(Uuid::from_u128(1));
const SESSION: SessionId = SessionId(Uuid::from_u128(2));
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

type Rotation = KeyRotation<KeyFiles, EmbeddedLog>;

/// A store of keys, and a log that is told.
struct Place {
    folder: TempDir,
    log: EmbeddedLog,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config =
            Config { tail_bytes: 256 * 1024, cache_bytes: 8 << 20, free_bytes_min: 0, ..Config::default() };
        let log = Engine::open(&folder.path().join("log"), config).expect("opens").log();
        Self { folder, log }
    }

    fn keys(&self) -> std::path::PathBuf {
        self.folder.path().join("keys")
    }

    async fn open(&self) -> Rotation {
        self.open_at(NOW).await
    }

    async fn open_at(&self, now: UnixMillis) -> Rotation {
        KeyRotation::open(KeyFiles::new(self.keys()), self.log.clone(), now).await.expect("opens")
    }

    /// How often edges were told that the keys are others.
    async fn told(&self) -> usize {
        let limit = ReadLimit { records: 10_000, bytes: 1 << 20 };
        let read = self.log.read(Topic::Control, PartitionId(0), Offset(0), limit, Duration::ZERO).await;
        let changed = Control { body: Some(control::Body::KeysChanged(KeysChanged {})) };
        let records = read.expect("reads").into_iter();
        records.filter(|record| ringside_wire::decode(record.payload.clone()) == Ok(changed.clone())).count()
    }
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("lists").count()
}

fn kid(token: &str) -> String {
    jsonwebtoken::decode_header(token).expect("a token").kid.expect("a name")
}

fn issue(rotation: &Rotation, now: UnixMillis) -> String {
    rotation.keys().issue(USER, SESSION, now, 900)
}

#[tokio::test]
async fn tokens_survive_a_restart() {
    let place = Place::new();
    let token = place.open().await.keys().issue(USER, SESSION, NOW, 60);
    let again = place.open().await;
    assert_eq!(count(&place.keys()), 1, "no second key");
    let verifier = Verifier::new(&again.keys().public().keys).expect("keys");
    let claims = verifier.verify(&token, NOW.plus_ms(59_999)).expect("good");
    assert_eq!((claims.sub, claims.sid, claims.expires_at()), (USER, SESSION, NOW.plus_ms(60_000)));
    assert!(verifier.verify(&token, NOW.plus_ms(60_000)).is_err());
}

#[tokio::test]
async fn the_newest_key_signs_and_all_verify() {
    let (place, later) = (Place::new(), Place::new());
    let old = issue(&place.open().await, NOW);
    later.open_at(NOW.plus_ms(1)).await;
    let new = KeyFiles::new(later.keys()).load().await.expect("loads");
    let name = format!("{}.pem", new.keys[0].id);
    std::fs::copy(later.keys().join(&name), place.keys().join(&name)).expect("copies");
    let both = place.open().await;
    let verifier = Verifier::new(&both.keys().public().keys).expect("keys");
    assert!(verifier.verify(&old, NOW).is_ok());
    let token = issue(&both, NOW);
    let only_new = SigningKeys::new(&new.keys);
    assert_eq!(only_new.verify(&token, NOW), verifier.verify(&token, NOW));
    assert!(only_new.verify(&old, NOW).is_err(), "a key that is gone verifies nothing");
}

#[tokio::test]
async fn a_new_key_is_shown_before_it_signs_and_nobody_is_signed_out() {
    let place = Place::new();
    let rotation = place.open().await;
    let first = rotation.keys().public().keys[0].id.clone();
    let soon = NOW.plus_ms(40 * DAY_MS);
    let second = rotation.rotate(soon).await.expect("rotates");
    let jwks = rotation.keys().public().jwks.clone();
    assert!(jwks.contains(&first) && jwks.contains(&second), "both are listed");
    let (before, after) = (issue(&rotation, soon.plus_ms(59_000)), issue(&rotation, soon.plus_ms(60_000)));
    assert_eq!((kid(&before), kid(&after)), (first.clone(), second.clone()));
    let later = soon.plus_ms(61_000);
    let keys = rotation.keys();
    assert!(keys.verify(&before, later).is_ok() && keys.verify(&after, later).is_ok());
    let again = place.open_at(later).await;
    assert_eq!(kid(&issue(&again, later)), second, "a restart changes nothing");
}

#[tokio::test]
async fn keys_are_rotated_in_time_and_go_with_their_last_token() {
    let place = Place::new();
    let rotation = place.open().await;
    let maintain =
        async |days, after_ms| rotation.maintain(days, NOW.plus_ms(after_ms)).await.expect("maintains");
    assert!(!maintain(30, 30 * DAY_MS - 1).await && !maintain(0, 400 * DAY_MS).await, "not due, or never");
    assert!(maintain(30, 30 * DAY_MS).await);
    assert!(!maintain(30, 30 * DAY_MS).await, "once");
    // The longest token that the first key may have signed: at the last moment before the second signs.
    let last = NOW.plus_ms(30 * DAY_MS + 59_000);
    let keys = rotation.keys();
    let token = keys.issue(USER, SESSION, last, u64::MAX / 4_000);
    let expires = keys.verify(&token, last).expect("good").expires_at();
    assert!(!maintain(30, expires.0 - 1 - NOW.0).await);
    assert!(keys.verify(&token, UnixMillis(expires.0 - 1)).is_ok());
    assert!(maintain(30, 32 * DAY_MS).await);
    assert_eq!((keys.public().keys.len(), count(&place.keys())), (1, 1), "its file is gone, too");
    assert!(!keys.public().jwks.contains(&kid(&token)));
}

#[tokio::test]
async fn each_change_is_told_to_the_edges() {
    let place = Place::new();
    let rotation = place.open().await;
    assert_eq!(place.told().await, 0, "the first key is nobody's news");
    rotation.rotate(NOW.plus_ms(1)).await.expect("rotates");
    assert_eq!(place.told().await, 1);
    rotation.maintain(30, NOW.plus_ms(2)).await.expect("maintains");
    assert_eq!(place.told().await, 1, "nothing has changed");
}

#[tokio::test]
async fn two_processes_on_one_store_undo_nothing_of_each_other() {
    let place = Place::new();
    let (one, other) = (place.open().await, place.open().await);
    let second = one.rotate(NOW.plus_ms(1)).await.expect("rotates");
    let third = other.rotate(NOW.plus_ms(2)).await.expect("rotates");
    for rotation in [&one, &other] {
        let public = rotation.public_keys().await.expect("loads");
        assert_eq!(public, rotation.keys().public().keys, "what it tells it verifies with, too");
        assert_eq!(public[1..].iter().map(|key| &key.id).collect::<Vec<_>>(), [&second, &third]);
    }
}

#[tokio::test]
async fn a_clock_that_steps_back_makes_no_older_key() {
    let place = Place::new();
    let rotation = place.open().await;
    let second = rotation.rotate(UnixMillis(NOW.0 - DAY_MS)).await.expect("rotates");
    assert_eq!(rotation.keys().public().keys.last().expect("a key").id, second);
    while rotation.rotate(NOW).await.is_ok() {}
    assert_eq!(count(&place.keys()), KEYS_MAX, "no more than can be opened again");
    place.open().await;
}

#[tokio::test]
async fn the_first_key_is_made_once() {
    let place = Place::new();
    let files = KeyFiles::new(place.keys());
    assert!(Rotation::init(&files, NOW).await.expect("makes it"));
    assert!(!Rotation::init(&files, NOW).await.expect("it is there"));
    assert_eq!(count(&place.keys()), 1);
}

#[tokio::test]
async fn the_jwk_set_holds_what_verifies_and_nothing_else() {
    let place = Place::new();
    let public = place.open().await.keys().public();
    let set: Value = serde_json::from_str(&public.jwks).expect("JSON");
    let key = &public.keys[0];
    let expected = serde_json::json!({"keys": [{
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.id, "x": key.x,
    }]});
    assert_eq!(set, expected);
}

#[tokio::test]
async fn sessions_live_on_over_a_restart_of_the_service() {
    use ringside_application::service::UserService as _;
    let mut context = support::TestContext::new().await;
    let made = support::registered(&context.users(), "ada").await;
    let files = KeyFiles::new(context.folder.path().join("keys"));
    let again = KeyRotation::open(files, context.log.clone(), support::now()).await.expect("opens");
    context.keys = again.keys().clone();
    let caller = context.users().verify(&made.access_token).await.expect("good");
    assert_eq!(caller.user_id, made.user.id);
}
