//! Keys live in the data folder: tokens survive a restart, a rotation, and no damage goes unseen.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ringside_session::token::Verifier;
use ringside_types::{SessionId, UnixMillis, UserId};
use ringside_user::{KEYS_MAX, KeysError, SigningKeys};
use serde_json::Value;
use uuid::Uuid;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const USER: UserId = UserId(Uuid::from_u128(1));
const SESSION: SessionId = SessionId(Uuid::from_u128(2));

fn open(folder: &Path) -> SigningKeys {
    SigningKeys::open(folder, NOW).expect("opens")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("lists").map(|entry| entry.expect("reads").path()).collect();
    files.sort();
    files
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("is there").permissions().mode() & 0o777
}

#[test]
fn the_first_key_is_made_and_only_the_server_reads_it() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let folder = place.path().join("data/keys");
    let keys = open(&folder);
    let [file] = &files(&folder)[..] else { panic!("one file") };
    assert_eq!((mode(&folder), mode(file)), (0o700, 0o600));
    let id = file.file_stem().expect("a name").to_str().expect("text");
    assert_eq!(Uuid::try_parse(id).expect("a UUID").get_version_num(), 7);
    assert_eq!(keys.public()[0].id, id);
    assert!(fs::read_to_string(file).expect("reads").starts_with("-----BEGIN PRIVATE KEY-----\n"));
}

#[test]
fn tokens_survive_a_restart() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let token = open(place.path()).issue(USER, SESSION, NOW, 60);
    let again = open(place.path());
    assert_eq!(files(place.path()).len(), 1, "no second key");
    let verifier = Verifier::new(&again.public()).expect("keys");
    let claims = verifier.verify(&token, NOW.plus_ms(59_999)).expect("good");
    assert_eq!((claims.sub, claims.sid, claims.expires_at()), (USER, SESSION, NOW.plus_ms(60_000)));
    assert!(verifier.verify(&token, NOW.plus_ms(60_000)).is_err());
}

#[test]
fn the_newest_key_signs_and_all_verify() {
    let (place, later) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let old = open(place.path()).issue(USER, SESSION, NOW, 60);
    SigningKeys::open(later.path(), NOW.plus_ms(1)).expect("opens");
    let new = &files(later.path())[0];
    fs::copy(new, place.path().join(new.file_name().expect("a name"))).expect("copies");
    let both = open(place.path());
    let verifier = Verifier::new(&both.public()).expect("keys");
    assert!(verifier.verify(&old, NOW).is_ok());
    let token = both.issue(USER, SESSION, NOW, 60);
    let only_new =
        Verifier::new(&SigningKeys::open(later.path(), NOW).expect("opens").public()).expect("keys");
    assert_eq!(only_new.verify(&token, NOW), verifier.verify(&token, NOW));
    assert!(only_new.verify(&old, NOW).is_err(), "a key that is gone verifies nothing");
}

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

#[test]
fn a_new_key_is_shown_before_it_signs_and_nobody_is_signed_out() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let keys = open(place.path());
    let first = keys.public()[0].id.clone();
    let kid = |token: &str| jsonwebtoken::decode_header(token).expect("a token").kid.expect("a name");
    let soon = NOW.plus_ms(40 * DAY_MS);
    let second = keys.rotate(soon).expect("rotates");
    assert!(keys.jwks().contains(&first) && keys.jwks().contains(&second), "both are listed");
    let before = keys.issue(USER, SESSION, soon.plus_ms(59_000), 900);
    let after = keys.issue(USER, SESSION, soon.plus_ms(60_000), 900);
    assert_eq!((kid(&before), kid(&after)), (first.clone(), second.clone()));
    let later = soon.plus_ms(61_000);
    assert!(keys.verify(&before, later).is_ok() && keys.verify(&after, later).is_ok());
    let again = SigningKeys::open(place.path(), later).expect("opens");
    assert_eq!(kid(&again.issue(USER, SESSION, later, 900)), second, "a restart changes nothing");
    assert!(files(place.path()).iter().all(|file| mode(file) == 0o600));
}

#[test]
fn keys_are_rotated_in_time_and_go_with_their_last_token() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let keys = open(place.path());
    let tend = |days, after_ms| keys.tend(days, NOW.plus_ms(after_ms)).expect("tends");
    assert!(!tend(30, 30 * DAY_MS - 1) && !tend(0, 400 * DAY_MS), "not due, or never");
    assert!(tend(30, 30 * DAY_MS));
    assert!(!tend(30, 30 * DAY_MS), "once");
    // The longest token that the first key may have signed: at the last moment before the second signs.
    let last = NOW.plus_ms(30 * DAY_MS + 59_000);
    let token = keys.issue(USER, SESSION, last, u64::MAX / 4_000);
    let expires = keys.verify(&token, last).expect("good").expires_at();
    assert!(!tend(30, expires.0 - 1 - NOW.0));
    assert!(keys.verify(&token, UnixMillis(expires.0 - 1)).is_ok());
    assert!(tend(30, 32 * DAY_MS));
    assert_eq!((keys.public().len(), files(place.path()).len()), (1, 1), "its file is gone, too");
    assert!(
        !keys.jwks().contains(&jsonwebtoken::decode_header(&token).expect("a token").kid.expect("a name"))
    );
}

#[test]
fn a_clock_that_steps_back_makes_no_older_key() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let keys = open(place.path());
    let second = keys.rotate(UnixMillis(NOW.0 - DAY_MS)).expect("rotates");
    assert_eq!(keys.public().last().expect("a key").id, second);
    while keys.rotate(NOW).is_ok() {}
    assert_eq!(files(place.path()).len(), KEYS_MAX, "no more than can be opened again");
    open(place.path());
}

#[test]
fn the_jwk_set_holds_what_verifies_and_nothing_else() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let keys = open(place.path());
    let set: Value = serde_json::from_str(&keys.jwks()).expect("JSON");
    let key = &keys.public()[0];
    let expected = serde_json::json!({"keys": [{
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.id, "x": key.x,
    }]});
    assert_eq!(set, expected);
}

#[test]
fn a_file_that_is_no_key_is_named() {
    let check = |name: &str, content: &[u8], cause: &str| {
        let place = tempfile::tempdir().expect("a temporary folder");
        open(place.path());
        let file = place.path().join(name);
        fs::write(&file, content).expect("writes");
        let error = SigningKeys::open(place.path(), NOW).expect_err(name);
        assert!(matches!(&error, KeysError::Damaged { .. }), "{error:?}");
        let text = error.to_string();
        for part in [file.to_str().expect("text"), cause, "Restore it from a backup"] {
            assert!(text.contains(part), "{text}");
        }
    };
    let name = "01900000-0000-7000-8000-000000000001.pem";
    check(name, b"", "is no signing key");
    check(name, b"-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----\n", "is no signing key");
    check(name, &[0xff; 100], "it is not text");
    check(name, &[b'x'; 100_000], "is no signing key");
    check("mine.pem", b"", "its name is not a UUID");
}

#[test]
fn what_a_crash_left_is_no_key_and_in_nobodys_way() {
    let place = tempfile::tempdir().expect("a temporary folder");
    fs::write(place.path().join("new.unfinished"), b"half a k").expect("writes");
    fs::write(place.path().join("README"), b"keys").expect("writes");
    let keys = open(place.path());
    assert_eq!(keys.public().len(), 1);
    assert!(!place.path().join("new.unfinished").exists());
}

#[test]
fn too_many_keys_are_refused() {
    let place = tempfile::tempdir().expect("a temporary folder");
    for number in 0..=KEYS_MAX {
        fs::write(place.path().join(format!("{}.pem", Uuid::from_u128(number as u128))), b"")
            .expect("writes");
    }
    assert!(matches!(SigningKeys::open(place.path(), NOW), Err(KeysError::TooMany(_))));
}

#[test]
fn a_folder_that_is_a_file_is_named() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let folder = place.path().join("keys");
    fs::write(&folder, b"").expect("writes");
    let error = SigningKeys::open(&folder, NOW).expect_err("refused");
    assert!(matches!(error, KeysError::Folder { .. }) && error.to_string().contains("keys"), "{error}");
}

#[tokio::test]
async fn sessions_live_on_over_a_restart_of_the_service() {
    use ringside_application::service::UserService as _;
    let scene = support::Scene::new().await;
    let made = support::registered(&scene.users(), "ada").await;
    let caller = scene.users().verify(&made.access_token).await.expect("good");
    assert_eq!(caller.user_id, made.user.id);
}
