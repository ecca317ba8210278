//! Texts and whom they mention: the vectors that the web client's grammar is held to as well.

use ringside_wire::mention::{may_mention, names};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    text: String,
    /// Names in lower case, in their order; one that may end a sentence stands there without and with what ends it.
    mentions: Vec<String>,
}

#[test]
fn a_text_mentions_whom_the_vectors_say() {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("text_vectors.json")).expect("the file has vectors");
    assert!(vectors.len() > 50, "{} vectors", vectors.len());
    let wrong: Vec<_> = vectors
        .into_iter()
        .filter(|vector| names(&vector.text) != vector.mentions)
        .map(|vector| format!("{:?} names {:?}, not {:?}", vector.text, names(&vector.text), vector.mentions))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(may_mention("@ada", ""));
}
