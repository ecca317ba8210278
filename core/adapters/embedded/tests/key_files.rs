//! Keys in files: for their owner's eyes alone, and no damage goes unseen.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ringside_embedded::KeyFiles;
use ringside_ports::keys::{KEYS_MAX, KeySet, KeyStore as _, KeyStoreError, StoredKey};
use uuid::Uuid;

fn key() -> StoredKey {
    let id = uuid::Builder::from_unix_timestamp_millis(1_800_000_000_000, &[7; 10]).into_uuid();
    StoredKey { id, seed: [7; 32] }
}

/// Puts the one key into a folder.
async fn filled(folder: &Path) -> KeySet {
    let store = KeyFiles::new(folder);
    let version = store.load().await.expect("loads").version;
    store.swap(version, vec![key()]).await.expect("swaps").expect("nobody else does")
}

async fn refused(folder: &Path) -> KeyStoreError {
    KeyFiles::new(folder).load().await.expect_err("refused")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).expect("lists").map(|entry| entry.expect("reads").path()).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn only_the_server_reads_them() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let folder = place.path().join("data/keys");
    filled(&folder).await;
    let [file] = &files(&folder)[..] else { panic!("one file") };
    assert_eq!((mode(&folder), mode(file)), (0o700, 0o600));
    assert_eq!(file.file_name().expect("a name").to_str(), Some(format!("{}.pem", key().id).as_str()));
    assert!(fs::read_to_string(file).expect("reads").starts_with("-----BEGIN PRIVATE KEY-----\n"));
}

#[tokio::test]
async fn a_file_that_is_no_key_is_named() {
    let check = async |name: &str, content: &[u8], cause: &str| {
        let place = tempfile::tempdir().expect("a temporary folder");
        filled(place.path()).await;
        let file = place.path().join(name);
        fs::write(&file, content).expect("writes");
        let error = refused(place.path()).await;
        assert!(matches!(&error, KeyStoreError::Damaged(_)), "{error:?}");
        let text = error.to_string();
        for part in [file.to_str().expect("text"), cause, "Restore it from a backup"] {
            assert!(text.contains(part), "{text}");
        }
    };
    let name = "01900000-0000-7000-8000-000000000001.pem";
    check(name, b"", "is no signing key").await;
    check(name, b"-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----\n", "is no signing key")
        .await;
    check(name, &[0xff; 100], "it is not text").await;
    check(name, &[b'x'; 100_000], "is no signing key").await;
    check("mine.pem", b"", "its name is not a UUID").await;
}

#[tokio::test]
async fn what_a_crash_left_is_no_key_and_in_nobodys_way() {
    let place = tempfile::tempdir().expect("a temporary folder");
    fs::write(place.path().join("new.unfinished"), b"half a k").expect("writes");
    fs::write(place.path().join("README"), b"keys").expect("writes");
    assert_eq!(filled(place.path()).await.keys.len(), 1);
    assert!(!place.path().join("new.unfinished").exists());
}

#[tokio::test]
async fn a_file_that_a_person_puts_there_is_a_change() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let before = filled(place.path()).await;
    let other = Uuid::from_u128(7);
    fs::copy(place.path().join(format!("{}.pem", key().id)), place.path().join(format!("{other}.pem")))
        .expect("copies");
    let store = KeyFiles::new(place.path());
    assert_eq!(store.swap(before.version, Vec::new()).await, Ok(None));
    assert_eq!(store.load().await.expect("loads").keys.len(), 2);
}

#[tokio::test]
async fn too_many_keys_are_refused() {
    let place = tempfile::tempdir().expect("a temporary folder");
    for number in 0..=KEYS_MAX {
        fs::write(place.path().join(format!("{}.pem", Uuid::from_u128(number as u128))), b"")
            .expect("writes");
    }
    assert!(matches!(refused(place.path()).await, KeyStoreError::TooMany(_)));
}

#[tokio::test]
async fn a_folder_that_is_a_file_is_named() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let folder = place.path().join("keys");
    fs::write(&folder, b"").expect("writes");
    let error = refused(&folder).await;
    assert!(matches!(error, KeyStoreError::Unavailable(_)) && error.to_string().contains("keys"), "{error}");
}
