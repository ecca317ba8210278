//! The frames that are read: `message.send`, made the same way each time.

use std::fmt::Write as _;

/// Frames of a kind that are read in turn, so that the processor can't learn a single one by heart.
pub const FRAMES_OF_A_CASE: usize = 16;

/// Bytes of `content` once it is decoded.
pub const CONTENT_BYTES: [usize; 3] = [64, 1_024, 16 * 1_024];

/// What stands in `content` and beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// The same, a quotation mark or a line's end after each fifteen bytes.
    Escaped,
    /// Letters of two bytes each.
    Wide,
    /// Plain, and an object of 150 bytes as `metadata`.
    Metadata,
}

impl Kind {
    /// Every kind, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Escaped, Self::Wide, Self::Metadata];

    /// As the table names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Escaped => "escaped",
            Self::Wide => "wide",
            Self::Metadata => "metadata",
        }
    }
}

/// Frames of one kind and size.
pub struct Case {
    pub kind: Kind,
    pub content_bytes: usize,
    pub frames: Vec<Vec<u8>>,
}

pub fn cases() -> Vec<Case> {
    let of = |kind, content_bytes| Case {
        kind,
        content_bytes,
        frames: (0..FRAMES_OF_A_CASE as u64).map(|number| frame(kind, content_bytes, number)).collect(),
    };
    CONTENT_BYTES.iter().flat_map(|bytes| Kind::ALL.map(|kind| of(kind, *bytes))).collect()
}

fn frame(kind: Kind, content_bytes: usize, number: u64) -> Vec<u8> {
    let content = serde_json::to_string(&content(kind, content_bytes, number)).expect("a string serializes");
    let mut payload = format!(r#"{{"channel_id":"{}","content":{content}"#, uuid(number * 2));
    if kind == Kind::Metadata {
        write!(
            payload,
            concat!(
                r#","metadata":{{"client":"desktop","version":[4,17,{}],"mentions":["{}"],"#,
                r#""link":{{"title":"A page","width":1280,"height":720,"safe":true}}}}"#
            ),
            number,
            uuid(number * 2 + 7)
        )
        .expect("a String takes every write");
    }
    format!(r#"{{"type":"message.send","id":"{}","payload":{payload}}}}}"#, uuid(number * 2 + 1)).into_bytes()
}

/// Text of exactly so many bytes, once decoded.
fn content(kind: Kind, bytes: usize, number: u64) -> String {
    let mut text = String::with_capacity(bytes);
    let mut place = number * 31;
    while text.len() < bytes {
        let letter = mixed(place) % 24;
        place += 1;
        match kind {
            Kind::Escaped if text.len() % 16 == 15 => {
                text.push(if letter.is_multiple_of(2) { '"' } else { '\n' });
            }
            Kind::Wide if bytes - text.len() >= 2 => {
                text.push(char::from_u32(0x430 + letter as u32).expect("a Cyrillic letter"));
            }
            _ if letter % 6 == 5 => text.push(' '),
            _ => text.push(char::from(b'a' + letter as u8)),
        }
    }
    text
}

fn uuid(number: u64) -> String {
    let (high, low) = (mixed(number), mixed(number ^ u64::MAX));
    format!(
        "{:08x}-{:04x}-7{:03x}-8{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low & 0xfff,
        low >> 16
    )
}

/// The finaliser of SplitMix64: spreads numbers as random ones are.
fn mixed(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
