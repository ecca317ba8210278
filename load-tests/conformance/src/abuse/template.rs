//! A text that is sent again and again, each time with fresh ids where it asks for them.

use uuid::Uuid;

/// What stands in the places that a template leaves open.
#[derive(Clone, Debug, Default)]
pub(super) struct Placeholders(pub Vec<(&'static str, String)>);

impl Placeholders {
    /// The text with all known places filled; `{id}` and `{short}` stay open.
    pub(super) fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (place, value)| text.replace(place, value))
    }
}

/// Fresh ids: they have to differ, not to be secret.
#[derive(Clone, Debug)]
pub(super) struct Ids(u64);

impl Ids {
    pub(super) fn new() -> Self {
        Self(Uuid::new_v4().as_u64_pair().0 | 1)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn uuid(&mut self) -> Uuid {
        let bits = u128::from(self.number()) << 64 | u128::from(self.number());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Id,
    Short,
}

/// A text with open places.
#[derive(Clone, Debug)]
pub(super) struct Template(Vec<Part>);

impl Template {
    /// `{id}` becomes a fresh UUID, `{short}` twelve fresh hexadecimal digits.
    pub(super) fn of(text: &str) -> Self {
        let mut parts = Vec::new();
        for (index, piece) in text.split("{id}").enumerate() {
            if index > 0 {
                parts.push(Part::Id);
            }
            for (index, piece) in piece.split("{short}").enumerate() {
                if index > 0 {
                    parts.push(Part::Short);
                }
                parts.push(Part::Text(piece.to_owned()));
            }
        }
        Self(parts)
    }

    /// Appends the template with fresh ids in its gaps.
    pub(super) fn write(&self, out: &mut Vec<u8>, ids: &mut Ids) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Id => {
                    let mut text = Uuid::encode_buffer();
                    out.extend_from_slice(ids.uuid().hyphenated().encode_lower(&mut text).as_bytes());
                }
                Part::Short => {
                    out.extend_from_slice(format!("{:012x}", ids.number() >> 16).as_bytes());
                }
            }
        }
    }
}

/// A whole HTTP request. `body` may have open places: they are of a fixed length.
pub(super) fn request(method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> String {
    let authorization = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    let body_head = body.map_or(String::new(), |body| {
        let length = body.replace("{id}", &"x".repeat(36)).replace("{short}", &"x".repeat(12)).len();
        format!("Content-Type: application/json\r\nIdempotency-Key: {{id}}\r\nContent-Length: {length}\r\n")
    });
    let body = body.unwrap_or_default();
    format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}{body_head}\r\n{body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_ids_differ_and_the_length_is_right() {
        let placeholders = Placeholders(vec![("{peer}", "somebody".to_owned())]);
        let body = placeholders.fill(r#"{"user":"{peer}","key":"{id}","name":"n{short}"}"#);
        let template = Template::of(&request("POST", "/x", Some("t"), Some(&body)));
        let mut ids = Ids::new();
        let mut written = [Vec::new(), Vec::new()];
        written.iter_mut().for_each(|out| template.write(out, &mut ids));
        let [first, second] = written.map(|bytes| String::from_utf8(bytes).expect("text"));
        assert_ne!(first, second);
        let (head, body) = first.split_once("\r\n\r\n").expect("a head and a body");
        assert!(
            head.contains(&format!("Content-Length: {}\r\n", body.len()))
                || head.ends_with(&format!("Content-Length: {}", body.len()))
        );
        assert!(body.contains("somebody") && !body.contains("{id}") && !body.contains("{short}"));
    }
}
