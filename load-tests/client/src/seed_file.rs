//! The accounts and channels that `ringside seed` writes beside the data, for tools like this one.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// The version that this crate reads.
pub const SEED_FILE_VERSION: u32 = 1;

/// `seed.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedFile {
    pub version: u32,
    pub users: Vec<SeededUser>,
    pub channels: Vec<SeededChannel>,
}

/// An account with a token that lives for a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeededUser {
    pub user_id: Uuid,
    pub username: String,
    pub password: String,
    /// A token for the edge and for REST.
    pub access_token: String,
}

/// A channel and its members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeededChannel {
    pub channel_id: Uuid,
    #[serde(rename = "type")]
    pub kind: String,
    /// Indices into [`SeedFile::users`].
    pub members: Vec<u32>,
}

/// Why a seed file can't be used.
#[derive(Debug, Error)]
pub enum SeedFileError {
    /// It can't be read: was `ringside seed` run on this data folder?
    #[error("{path}: {source}; `ringside seed` writes it")]
    Read { path: PathBuf, source: io::Error },
    /// It is no seed file.
    #[error("{path}: {source}")]
    Parse { path: PathBuf, source: serde_json::Error },
    /// It comes from another version of `ringside seed`.
    #[error("the seed file has version {0}, this tool reads {SEED_FILE_VERSION}")]
    Version(u32),
    /// A channel names a member that the file doesn't have.
    #[error("channel {0} has a member beyond the users of the file")]
    Member(Uuid),
}

impl SeedFile {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, SeedFileError> {
        let text = fs::read(path).map_err(|source| SeedFileError::Read { path: path.to_owned(), source })?;
        let file: Self = serde_json::from_slice(&text)
            .map_err(|source| SeedFileError::Parse { path: path.to_owned(), source })?;
        if file.version != SEED_FILE_VERSION {
            return Err(SeedFileError::Version(file.version));
        }
        let users = file.users.len();
        let beyond =
            |channel: &&SeededChannel| channel.members.iter().any(|&member| member as usize >= users);
        if let Some(channel) = file.channels.iter().find(beyond) {
            return Err(SeedFileError::Member(channel.channel_id));
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_seed_writes_and_refuses_the_rest() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("seed.json");
        let id = Uuid::from_u128(1);
        let text = |version: u32, member: u32| {
            format!(
                r#"{{"version":{version},"users":[{{"user_id":"{id}","username":"u000001","password":"p","access_token":"t"}}],
                "channels":[{{"channel_id":"{id}","type":"dm","members":[{member}]}}]}}"#
            )
        };
        let read = |text: String| {
            fs::write(&path, text).expect("written");
            SeedFile::read(&path)
        };
        assert_eq!(read(text(1, 0)).expect("a file").channels[0].kind, "dm");
        assert!(matches!(read(text(2, 0)), Err(SeedFileError::Version(2))));
        assert!(matches!(read(text(1, 1)), Err(SeedFileError::Member(_))));
        assert!(matches!(read("{".into()), Err(SeedFileError::Parse { .. })));
        assert!(matches!(SeedFile::read(Path::new("/nowhere")), Err(SeedFileError::Read { .. })));
    }
}
