//! Tracks that are read again.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::RecordingError;
use crate::moment::Moment;

/// The entries of a track. A last line that is not whole (the process was killed) is left out.
///
/// # Errors
/// There is no such track, or another line is no entry.
pub fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Vec<(Moment, T)>, RecordingError> {
    let path = folder.join(format!("{name}.jsonl"));
    let failed = |cause| RecordingError::File { file: path.clone(), cause };
    let mut reader = BufReader::new(File::open(&path).map_err(failed)?);
    let (mut entries, mut line) = (Vec::new(), String::new());
    loop {
        line.clear();
        reader.read_line(&mut line).map_err(failed)?;
        if !line.ends_with('\n') {
            return Ok(entries);
        }
        let entry = serde_json::from_str(&line).map_err(|cause| RecordingError::Line {
            file: path.clone(),
            line: entries.len() + 1,
            cause,
        })?;
        entries.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_line_that_was_cut_off_is_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let moment = Moment { number: 0, at_ns: 1, wall_ms: 2, boot_ns: 3 };
        let line = serde_json::to_string(&(moment, "x")).expect("serializes");
        fs::write(folder.path().join("a.jsonl"), format!("{line}\n{}", &line[..20])).expect("writes");
        assert_eq!(read::<String>(folder.path(), "a").expect("reads"), [(moment, "x".to_owned())]);
        fs::write(folder.path().join("a.jsonl"), "{}\n").expect("writes");
        let error = read::<String>(folder.path(), "a").expect_err("no entry");
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}
