//! What CONTRIBUTING and ARCHITECTURE ask of every crate and file, held by a test. One function a rule; each names the
//! offenders and says what to do. It reads manifests and sources alone: no network, no registry.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Imports go strictly down; crates on one floor don't know each other. ARCHITECTURE.md has the same table.
const FLOORS: &[(&str, &[&str])] = &[
    ("0", &["core/types"]),
    ("1", &["core/clock", "core/websocket", "core/wire", "core/segments"]),
    ("2", &["core/domain", "edge/recording"]),
    ("3", &["core/session", "core/ports", "edge/uring"]),
    (
        "4",
        &[
            "core/application",
            "core/adapters/embedded",
            "core/adapters/kafka",
            "core/adapters/sql",
            "core/adapters/cassandra",
            "core/adapters/redis",
            "core/adapters/postgres",
            "edge/reactor",
            "edge/protocol",
            "services/http",
        ],
    ),
    (
        "5",
        &[
            "edge/gateway",
            "edge/node",
            "services/message",
            "services/user",
            "services/channel",
            "services/presence",
            "services/api",
            "services/web",
        ],
    ),
    ("6", &["services/launch"]),
    (
        BESIDE,
        &[
            "bench",
            "load-tests/client",
            "load-tests/checker",
            "load-tests/crash",
            "load-tests/conformance",
            "load-tests/load",
            SIMULATION,
        ],
    ),
];

/// Stands beside the house: may import what it measures, and nothing of the house imports it.
const BESIDE: &str = "beside";

const ADAPTERS: &str = "core/adapters/";

/// Who chooses engines. Others take an adapter as a dev-dependency at most.
const MAY_IMPORT_ADAPTERS: &[&str] = &["services/launch", "bench"];

/// They judge what a server does, so they must not share the server's own understanding of it. Each imports only those
/// before it.
const LOAD_TESTS: &[&str] = &[
    "load-tests/client",
    "load-tests/checker",
    "load-tests/crash",
    "load-tests/conformance",
    "load-tests/load",
    SIMULATION,
];

/// Runs the product's own machines.
const SIMULATION: &str = "load-tests/simulation";

/// What they may import of the product.
const LOAD_TESTS_MAY_IMPORT: &[&str] = &["core/clock", "core/websocket"];

/// Time is an argument there and output goes into the caller's buffer, so that a simulator can drive them.
const PURE: &[&str] =
    &["core/types", "core/websocket", "core/wire", "core/domain", "core/session", "load-tests/checker"];

/// What a pure crate would reach the world with: crates, and words in its sources.
const IMPURE_CRATES: &[&str] =
    &["tokio", "futures-util", "mio", "socket2", "rustix", "libc", "io-uring", "rand", "getrandom"];
const IMPURE_WORDS: &[&str] = &[
    "async fn",
    "async move",
    ".await",
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    "new_v4",
    "now_v7",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "std::fs",
    "std::thread",
    "std::env",
];

/// Written in two pieces, so that this file may hold them.
const LEFTOVERS: &[&str] =
    &[concat!("dbg", "!("), concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];
const UNSAFE: &str = concat!("un", "safe");
const MAY_HOLD_UNSAFE: &str = "edge/uring";

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 1_000;
const SOURCE_LINES_MAX: usize = 500;
const LIB_LINES_MAX: usize = 80;
const MAIN_LINES_MAX: usize = 60;

/// Sources that may pass `SOURCE_LINES_MAX`, and why.
const LONG_SOURCES: &[(&str, &str)] = &[
    ("core/wire/src/records.rs", "generated from records.proto"),
    ("edge/node/src/node.rs", "every input and output of the machine, each handed on in a few lines"),
    ("core/adapters/embedded/src/tables/rows.rs", "one format after the other, each the same five functions"),
];

/// Names that say nothing of what is inside, so that everything ends up there.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "utility", "common", "helper", "helpers", "manager", "misc", "shared"];

/// A crate of the workspace: its folder names it.
struct Crate {
    folder: String,
    manifest: String,
    /// Folders of the workspace's crates that its library or binaries import.
    imports: Vec<String>,
    /// The other crates that they import.
    outsiders: Vec<String>,
}

struct Source {
    /// From the workspace's root.
    path: String,
    text: String,
}

impl Source {
    fn is_in(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    fn lines(&self) -> usize {
        self.text.lines().count()
    }

    /// Whether it is built into a library or binary.
    fn is_product(&self) -> bool {
        self.path.contains("/src/")
    }

    /// Its lines of code, numbered from one, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        lines.map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default().trim_end()))
    }
}

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("services/launch is two folders below the root")
}

fn crates() -> Vec<Crate> {
    let root = root();
    let folder_of = |path: &Path| {
        let folder = path.strip_prefix(&root).expect("the workspace's crates are below its root");
        folder.to_string_lossy().into_owned()
    };
    // Without `no_deps` cargo would ask the registry on a machine that has built nothing yet.
    let metadata =
        MetadataCommand::new().current_dir(&root).no_deps().exec().expect("cargo metadata answers");
    let packages = metadata.packages.iter().map(|package| {
        let manifest = package.manifest_path.as_std_path();
        let (inside, outside): (Vec<_>, Vec<_>) = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind != DependencyKind::Development)
            .partition(|dependency| dependency.path.is_some());
        Crate {
            folder: folder_of(manifest.parent().expect("a manifest is in a folder")),
            manifest: fs::read_to_string(manifest).expect("a manifest is text"),
            imports: inside
                .iter()
                .filter_map(|it| it.path.as_ref())
                .map(|it| folder_of(it.as_std_path()))
                .collect(),
            outsiders: outside.iter().map(|it| it.name.clone()).collect(),
        }
    });
    packages.collect()
}

/// Every Rust file of the workspace's crates, and of the fuzz targets.
fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for folder in crates().into_iter().map(|it| it.folder).chain(["fuzz".into()]) {
        for part in ["build.rs", "src", "tests", "benches", "examples", "fuzz_targets"] {
            collect(&root(), &format!("{folder}/{part}"), &mut sources);
        }
    }
    assert!(
        sources.len() > 100,
        "only {} files were found: the test looks in the wrong place",
        sources.len()
    );
    sources
}

fn collect(root: &Path, path: &str, sources: &mut Vec<Source>) {
    let whole = root.join(path);
    if whole.is_dir() {
        for entry in fs::read_dir(&whole).expect("a folder can be listed") {
            let name = entry.expect("a folder can be listed").file_name();
            collect(root, &format!("{path}/{}", name.to_string_lossy()), sources);
        }
    } else if path.ends_with(".rs") && whole.is_file() {
        sources.push(Source {
            path: path.to_owned(),
            text: fs::read_to_string(whole).expect("sources are UTF-8"),
        });
    }
}

/// Fails with every offender at once.
fn none(offenders: impl IntoIterator<Item = String>, what_to_do: &str) {
    let offenders: Vec<String> = offenders.into_iter().collect();
    assert!(offenders.is_empty(), "\n  {}\n{what_to_do}\n", offenders.join("\n  "));
}

fn floor_of(folder: &str) -> Option<&'static str> {
    FLOORS.iter().find(|(_, crates)| crates.contains(&folder)).map(|(floor, _)| *floor)
}

#[test]
fn every_crate_has_a_floor() {
    let crates: BTreeSet<String> = crates().into_iter().map(|it| it.folder).collect();
    let floored: BTreeSet<String> =
        FLOORS.iter().flat_map(|(_, it)| it.iter()).map(|it| (*it).into()).collect();
    none(
        crates.symmetric_difference(&floored).cloned(),
        "These are in the workspace or in FLOORS, not in both. Give a new crate a floor here and in ARCHITECTURE.md.",
    );
}

#[test]
fn architecture_tells_the_same_floors() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    let mut told: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let &["", floor, crates, ""] = cells.as_slice() else { continue };
        if FLOORS.iter().any(|(known, _)| *known == floor) {
            // What stands between backticks.
            told.entry(floor).or_default().extend(crates.split('`').skip(1).step_by(2));
        }
    }
    for (floor, crates) in FLOORS {
        let told = told.remove(floor).unwrap_or_default();
        let held: BTreeSet<&str> = crates.iter().copied().collect();
        assert_eq!(
            told, held,
            "\nFloor {floor} of ARCHITECTURE.md (left) is not FLOORS (right): change both."
        );
    }
}

#[test]
fn imports_go_strictly_down() {
    let mut offenders = Vec::new();
    for Crate { folder, imports, .. } in crates() {
        for import in imports {
            let goes_down = match (floor_of(&folder), floor_of(&import)) {
                (Some(BESIDE), Some(BESIDE)) => is_load_test_below(&import, &folder),
                (_, None | Some(BESIDE)) | (None, _) => false,
                (Some(BESIDE), _) => true,
                (Some(upper), Some(lower)) => upper > lower,
            };
            if !goes_down {
                offenders.push(format!("{folder} imports {import}"));
            }
        }
    }
    none(
        offenders,
        "Imports go strictly down the floors. Move what both need to a floor below, or let services/launch join them.",
    );
}

/// Whether both are load tests, and the first comes before the second.
fn is_load_test_below(lower: &str, upper: &str) -> bool {
    let position = |folder: &str| LOAD_TESTS.iter().position(|it| *it == folder);
    position(lower).zip(position(upper)).is_some_and(|(lower, upper)| lower < upper)
}

#[test]
fn only_launch_chooses_engines() {
    let mut offenders = Vec::new();
    for Crate { folder, imports, .. } in crates() {
        if !MAY_IMPORT_ADAPTERS.contains(&folder.as_str()) {
            let adapters = imports.iter().filter(|import| import.starts_with(ADAPTERS));
            offenders.extend(adapters.map(|import| format!("{folder} imports {import}")));
        }
    }
    none(offenders, "Take the port (core/ports) instead; a test may have an adapter as a dev-dependency.");
}

#[test]
fn load_tests_know_the_public_contract_alone() {
    let mut offenders = Vec::new();
    let judges = |it: &Crate| it.folder.starts_with("load-tests/") && it.folder != SIMULATION;
    for Crate { folder, imports, .. } in crates().into_iter().filter(judges) {
        assert!(
            LOAD_TESTS.contains(&folder.as_str()),
            "{folder} is not in LOAD_TESTS: give it a place there"
        );
        let product = imports.iter().filter(|it| !LOAD_TESTS.contains(&it.as_str()));
        let forbidden = product.filter(|it| !LOAD_TESTS_MAY_IMPORT.contains(&it.as_str()));
        offenders.extend(forbidden.map(|import| format!("{folder} imports {import}")));
    }
    none(offenders, "Load tests judge the server from outside: write what they need in load-tests/client.");
}

#[test]
fn pure_crates_reach_for_nothing() {
    let mut offenders = Vec::new();
    for Crate { folder, outsiders, .. } in crates() {
        if PURE.contains(&folder.as_str()) {
            let impure = outsiders.iter().filter(|it| IMPURE_CRATES.contains(&it.as_str()));
            offenders.extend(impure.map(|it| format!("{folder} depends on {it}")));
        }
    }
    for source in sources() {
        if !source.is_product() || !PURE.iter().any(|folder| source.is_in(folder)) {
            continue;
        }
        // Unit tests are a file's end, and may look at the clock.
        let product = source.code().take_while(|(_, line)| *line != "mod tests {");
        for (number, line) in product {
            let words = IMPURE_WORDS.iter().filter(|word| line.contains(**word));
            offenders.extend(words.map(|word| format!("{}:{number}: {word}", source.path)));
        }
    }
    none(offenders, "A pure crate holds no socket, clock, randomness or async: take it as an argument.");
}

#[test]
fn every_file_opens_with_what_it_is() {
    let closed = sources().into_iter().filter(|source| !source.text.starts_with("//! "));
    none(
        closed.map(|source| source.path),
        "Open each file with `//! `: a sentence that says what is inside.",
    );
}

#[test]
fn nothing_is_left_over() {
    let mut offenders = Vec::new();
    for source in sources() {
        for (number, line) in source.code() {
            let found = LEFTOVERS.iter().filter(|word| line.contains(**word));
            offenders.extend(found.map(|word| format!("{}:{number}: {word}", source.path)));
        }
    }
    none(
        offenders,
        "Finish it or take it out. A test that must not run with the others is a step of ./check --long.",
    );
}

#[test]
fn only_the_ring_holds_unsafe_code() {
    let mut offenders = Vec::new();
    for source in sources().iter().filter(|source| !source.is_in(MAY_HOLD_UNSAFE)) {
        for (number, line) in source.code() {
            let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            if words.any(|word| word == UNSAFE) {
                offenders.push(format!("{}:{number}", source.path));
            }
        }
    }
    for Crate { folder, manifest, .. } in crates() {
        if folder != MAY_HOLD_UNSAFE && !manifest.contains("[lints]\nworkspace = true") {
            offenders.push(format!("{folder}/Cargo.toml lacks `[lints] workspace = true`, which forbids it"));
        }
    }
    none(offenders, "edge/uring alone may: build on it, or do without.");
}

#[test]
fn functions_fit_a_screen() {
    let mut offenders = Vec::new();
    for source in
        sources().iter().filter(|source| !LONG_SOURCES[..1].iter().any(|(path, _)| *path == source.path))
    {
        let lines: Vec<&str> = source.text.lines().collect();
        for (start, line) in lines.iter().enumerate().filter(|(_, line)| declares_function(line)) {
            // rustfmt closes a body at the depth of its declaration.
            let indent = &line[..line.len() - line.trim_start().len()];
            let opening = lines[start..].iter().position(|line| line.ends_with(['{', ';', '}']));
            let Some(opening) = opening.filter(|opening| lines[start + opening].ends_with('{')) else {
                continue;
            };
            let is_end = |line: &&str| line.strip_prefix(indent).is_some_and(|rest| rest == "}");
            let length = lines[start + opening..].iter().position(is_end);
            let length = opening + length.map_or(0, |end| end + 1);
            if length > FUNCTION_LINES_MAX {
                offenders.push(format!(
                    "{}:{}: {length} lines, {FUNCTION_LINES_MAX} allowed",
                    source.path,
                    start + 1
                ));
            }
        }
    }
    none(offenders, "Give a part of it a name of its own.");
}

fn declares_function(line: &str) -> bool {
    let mut words = line.split_whitespace().map(|word| word.split('(').next().unwrap_or_default());
    let before_fn = words.find(|word| !matches!(*word, "pub" | "const" | "async" | "extern"));
    before_fn == Some("fn")
}

#[test]
fn files_are_read_in_one_sitting() {
    let mut offenders = Vec::new();
    for source in sources() {
        let allowed = match source.name() {
            "main.rs" if source.is_product() => MAIN_LINES_MAX,
            "lib.rs" if source.is_product() => LIB_LINES_MAX,
            _ if LONG_SOURCES.iter().any(|(path, _)| *path == source.path) => FILE_LINES_MAX,
            _ if source.is_product() => SOURCE_LINES_MAX,
            _ => FILE_LINES_MAX,
        };
        let lines = source.lines();
        if lines > allowed {
            offenders.push(format!("{}: {lines} lines, {allowed} allowed", source.path));
        }
    }
    none(offenders, "Split it where the subject changes, or name it in LONG_SOURCES with the reason.");
}

#[test]
fn long_sources_are_still_there() {
    let sources = sources();
    let gone = LONG_SOURCES.iter().filter(|(path, _)| !sources.iter().any(|source| source.path == *path));
    none(gone.map(|(path, why)| format!("{path} ({why})")), "Take them out of LONG_SOURCES.");
}

#[test]
fn lib_files_are_a_table_of_contents() {
    let mut offenders = Vec::new();
    for source in sources().iter().filter(|it| it.is_product() && it.name() == "lib.rs") {
        let mut in_statement = false;
        for (number, line) in source.code() {
            let item = line.strip_prefix("pub ").or_else(|| line.strip_prefix("pub(crate) ")).unwrap_or(line);
            let module = item.starts_with("mod ") && item.ends_with(';');
            let starts = item.starts_with("use ") || line.starts_with("#[") || line.starts_with("#![");
            if !(in_statement || starts || module || line.is_empty()) {
                offenders.push(format!("{}:{number}: {line}", source.path));
            }
            in_statement = (in_statement || starts) && !line.ends_with(';') && !line.ends_with(']');
        }
    }
    none(offenders, "lib.rs holds docs, modules and `use`: move the item to a file that is named for it.");
}

#[test]
fn names_say_what_is_inside() {
    let mut offenders = Vec::new();
    for source in sources() {
        let stems = source.path.split('/').map(|part| part.strip_suffix(".rs").unwrap_or(part));
        if stems.into_iter().any(|stem| EMPTY_NAMES.contains(&stem)) {
            offenders.push(source.path.clone());
        }
    }
    none(offenders, "Name the file for the noun that it holds.");
}

/// Folders whose documents are not ours, or are made by a build.
const FOREIGN_FOLDERS: &[&str] = &["target", "node_modules", "vendor", ".git"];

fn documents(path: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(path).expect("a folder can be listed") {
        let path = entry.expect("a folder can be listed").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !FOREIGN_FOLDERS.contains(&name.as_str()) {
            documents(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// The id that a heading gets: lower case, spaces as hyphens, no other punctuation.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|one| one.is_alphanumeric() || [' ', '-', '_'].contains(one));
    kept.map(|one| if one == ' ' { '-' } else { one }).collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut found = Vec::new();
    documents(&root(), &mut found);
    assert!(found.len() > 20, "only {} documents were found: the test looks in the wrong place", found.len());
    let mut offenders = Vec::new();
    for document in found {
        let text = fs::read_to_string(&document).expect("documents are UTF-8");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, section) = link.split_once('#').unwrap_or((link, ""));
            if path.contains(':') || path.contains(char::is_whitespace) {
                continue;
            }
            let target = match path {
                "" => document.clone(),
                path => document.parent().expect("a document is in a folder").join(path),
            };
            let has_section =
                |text: String| text.lines().any(|line| line.starts_with('#') && anchor(line) == section);
            let leads =
                target.exists() && (section.is_empty() || fs::read_to_string(&target).is_ok_and(has_section));
            if !leads {
                offenders.push(format!("{}: {link}", document.display()));
            }
        }
    }
    none(offenders, "Correct the link, or write what it leads to.");
}

/// Where the project's files are: a word in backticks that begins so is a path.
const ROOTS: &[&str] = &["core/", "edge/", "services/", "bench/", "load-tests/", "fuzz/", "docs/", "deploy/"];

#[test]
fn paths_in_documents_are_there() {
    let mut found = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs"] {
        match root().join(document) {
            folder if folder.is_dir() => documents(&folder, &mut found),
            document => found.push(document),
        }
    }
    let mut offenders = Vec::new();
    for document in found {
        let text = fs::read_to_string(&document).expect("documents are UTF-8");
        for word in text.split('`').skip(1).step_by(2) {
            let is_path = ROOTS.iter().any(|root| word.starts_with(root))
                && word.chars().all(|one| one.is_ascii_alphanumeric() || "/_.-".contains(one));
            if is_path && !root().join(word).exists() {
                offenders.push(format!("{}: {word}", document.display()));
            }
        }
    }
    none(offenders, "Name the file as it is called now.");
}
