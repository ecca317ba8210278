//! `docs/limits.md` names every bound of the edge's queues, and none that is not there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const DOCUMENT: &str = "docs/limits.md";
const CONFIGURATIONS: &[&str] = &[
    "edge/node/src/config.rs",
    "edge/gateway/src/config.rs",
    "core/session/src/limits.rs",
    "core/application/src/pages.rs",
];
const SUFFIX: &str = "_MAX";

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn is_bound(word: &str) -> bool {
    word.ends_with(SUFFIX) && word.chars().all(|one| one.is_ascii_uppercase() || one == '_')
}

#[test]
fn every_bound_of_a_queue_is_listed_and_every_listed_one_is_there() {
    let in_code: BTreeSet<String> = CONFIGURATIONS
        .iter()
        .flat_map(|path| {
            let text = read(path);
            let declared = text.lines().filter_map(|line| line.split_once("const ")?.1.split_once(':'));
            declared.map(|(name, _)| name.to_owned()).filter(|name| is_bound(name)).collect::<Vec<_>>()
        })
        .collect();
    let document = read(DOCUMENT);
    let listed: BTreeSet<String> =
        document.split('`').filter(|word| is_bound(word)).map(str::to_owned).collect();
    assert!(in_code.len() > 20, "the bounds are found: {in_code:?}");
    let (missing, gone) = (in_code.difference(&listed), listed.difference(&in_code));
    let (missing, gone): (Vec<_>, Vec<_>) = (missing.collect(), gone.collect());
    assert!(missing.is_empty(), "{DOCUMENT} does not say what happens beyond {missing:?}");
    assert!(gone.is_empty(), "{DOCUMENT} lists {gone:?}, which no configuration has");
}
