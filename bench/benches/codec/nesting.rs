//! What a reader does with JSON that nests. A stack that overflows ends the process, so each trial is a child process.

use std::process::Command;

use crate::readers::{Reader, Scratch};

/// Levels: just above what the contract allows, as many as a frame of the default limit (64 KiB) has room for, and more.
pub const LEVELS: [usize; 3] = [40, 32_000, 100_000];

/// The stack of a thread, unless asked for otherwise: what a shard has.
const STACK_BYTES: usize = 2 * 1_024 * 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a field that is kept.
    Metadata,
    /// In a field that nobody asked for.
    Unknown,
}

impl Place {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Metadata, Self::Unknown];

    /// As the command line and frames name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Unknown => "unknown",
        }
    }
}

/// Reads one frame in a child process and says what came of it.
pub fn trial(reader: Reader, place: Place, levels: usize) -> String {
    let program = std::env::current_exe().expect("a program knows where it is");
    let arguments = ["--nest", reader.name(), place.name(), &levels.to_string()];
    let output = Command::new(program).args(arguments).output().expect("a child starts");
    if output.status.success() {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    } else {
        // The runtime names the overflow on its last breath.
        let overflowed = String::from_utf8_lossy(&output.stderr).contains("overflowed its stack");
        if overflowed { "STACK OVERFLOW, the process dies".into() } else { format!("{}", output.status) }
    }
}

/// The child's part: `--nest READER PLACE LEVELS`.
pub fn child(mut words: impl Iterator<Item = String>) -> Option<()> {
    let (reader, place, levels) = (words.next()?, words.next()?, words.next()?);
    let reader = Reader::ALL.into_iter().find(|it| it.name() == reader)?;
    let place = Place::ALL.into_iter().find(|it| it.name() == place)?;
    let frame = frame(place, levels.parse().ok()?);
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || read(reader, &frame));
    println!("{}", thread.ok()?.join().ok()?);
    Some(())
}

fn read(reader: Reader, frame: &[u8]) -> String {
    match reader.read(&mut Scratch::default(), frame, |send| send.metadata.len()) {
        Ok(bytes) => format!("accepted, {bytes} bytes of metadata"),
        Err(error) => format!("refused: {}", error.chars().take(60).collect::<String>()),
    }
}

fn frame(place: Place, levels: usize) -> Vec<u8> {
    let id = "0190a000-0000-7000-8000-000000000001";
    // `metadata` is an object; below it arrays, two bytes a level.
    let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
    let name = place.name();
    let payload = format!(r#"{{"channel_id":"{id}","content":"hi","{name}":{{"a":{open}{close}}}}}"#);
    format!(r#"{{"type":"message.send","id":"{id}","payload":{payload}}}"#).into_bytes()
}
