//! `docs/configuration.md` says what the code says. Keys and defaults come from `ringside config show`, flags from the command
//! line, descriptions from the documentation of the fields. `RINGSIDE_REGENERATE=1` writes the page anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use ringside_launch::cli::Cli;
use ringside_launch::config::{Config, refuse_unknown_variables, shown};

const PAGE: &str = "docs/configuration.md";

/// Each table of `ringside.toml` (the first has no name), and the struct whose fields are its keys.
const TABLES: [(&str, &str, &str, &str); 8] = [
    ("", "Config", "services/launch/src/config.rs", ""),
    ("audit", "AuditConfig", "services/launch/src/config.rs", "How much of the audit log is kept."),
    (
        "limits",
        "Limits",
        "core/types/src/limits.rs",
        "0 switches a limit off. [Limits](limits.md) says what happens beyond one.",
    ),
    (
        "engines",
        "EnginesConfig",
        ENGINES,
        "Where everything is kept. Engines other than `embedded` need a binary that is built with `--features cluster`.",
    ),
    ("kafka", "KafkaConfig", ENGINES, "The log in Kafka, with `engines.log = \"kafka\"`."),
    ("cassandra", "CassandraConfig", ENGINES, "Messages in Cassandra, with `engines.store = \"cassandra\"`."),
    (
        "postgres",
        "PostgresConfig",
        ENGINES,
        "Accounts and channels in PostgreSQL, with `engines.directory = \"postgres\"`.",
    ),
    ("redis", "RedisConfig", ENGINES, "Presence and limits in Redis, with `engines.presence = \"redis\"`."),
];
const ENGINES: &str = "services/launch/src/config/engines.rs";

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from the code. `RINGSIDE_REGENERATE=1 cargo test -p ringside-launch --test configuration` writes it anew. -->

Ringside starts without any configuration: every setting has a default. To change one, use any of these; the later in this list
wins:

1. a key in `ringside.toml` in the working directory, or in the file that `--config` or `RINGSIDE_CONFIG` names;
2. an environment variable;
3. a flag, for the most common settings.

A list is an array in the file (`[\"127.0.0.1\", \"::1\"]`), and separated by commas in a variable. Unknown keys and unknown variables
that begin with `RINGSIDE_` are refused at start, with the nearest known name.

`ringside config show` prints the settings that are in force, in the form of a configuration file. `ringside config check` says
whether they are valid.

`RINGSIDE_LOG` is not a key of the file. It filters the log, for example `info,sqlx=warn`.
";

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documentation of each field of a struct, in one line.
fn field_docs(source: &str, name: &str) -> BTreeMap<String, String> {
    let body = source.split_once(&format!("pub struct {name} {{\n")).expect("the struct is there").1;
    let mut docs = BTreeMap::new();
    let mut doc: Vec<&str> = Vec::new();
    for line in body.lines().map(str::trim).take_while(|line| *line != "}") {
        if let Some(words) = line.strip_prefix("/// ") {
            doc.push(words);
        } else if let Some((field, _)) = line.strip_prefix("pub ").and_then(|line| line.split_once(':')) {
            docs.insert(field.to_owned(), std::mem::take(&mut doc).join(" "));
        }
    }
    docs
}

/// Table, key and default of every setting, in the order of `ringside config show`.
fn settings() -> Vec<(String, String, String)> {
    let mut table = String::new();
    let mut settings = Vec::new();
    for line in shown(&Config::default()).lines() {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']').to_owned();
        } else if let Some(unset) = line.strip_prefix("# ") {
            let key = unset.split_once(" = ").expect("a key").0;
            settings.push((table.clone(), key.to_owned(), "not set".to_owned()));
        } else if let Some((key, value)) = line.split_once(" = ") {
            settings.push((table.clone(), key.to_owned(), format!("`{value}`")));
        }
    }
    settings
}

fn flags() -> Vec<String> {
    Cli::command().get_arguments().filter_map(|flag| flag.get_long().map(str::to_owned)).collect()
}

fn page() -> String {
    let (settings, flags) = (settings(), flags());
    let mut page = INTRODUCTION.to_owned();
    for (table, name, source, about) in TABLES {
        let docs = field_docs(&read(source), name);
        page += &match table {
            "" => "\n## Settings\n".to_owned(),
            _ => format!("\n## `[{table}]`\n\n{about}\n"),
        };
        page += "\n| key | variable | flag | default | what it does |\n|---|---|---|---|---|\n";
        for (_, key, default) in settings.iter().filter(|(of, ..)| of == table) {
            let path = if table.is_empty() { key.clone() } else { format!("{table}.{key}") };
            let variable = format!("RINGSIDE_{}", path.replace('.', "_").to_uppercase());
            refuse_unknown_variables([variable.clone()].into_iter()).expect("every key has a variable");
            let flag = path.replace('_', "-");
            let flag = if flags.contains(&flag) { format!("`--{flag}`") } else { String::new() };
            let doc = docs.get(key).unwrap_or_else(|| panic!("{name}.{key} has no documentation"));
            page += &format!("| `{path}` | `{variable}` | {flag} | {default} | {doc} |\n");
        }
    }
    page
}

#[test]
fn the_page_says_what_the_code_says() {
    let page = page();
    if std::env::var_os("RINGSIDE_REGENERATE").is_some() {
        fs::write(root().join(PAGE), &page).expect("writes");
    }
    assert!(
        fs::read_to_string(root().join(PAGE)).is_ok_and(|written| written == page),
        "{PAGE} is not what the code says: run this test with RINGSIDE_REGENERATE=1, and read the difference"
    );
}

#[test]
fn every_setting_is_in_a_table_of_the_page() {
    let page = page();
    let settings = settings();
    assert!(settings.len() > 30, "the settings are found: {settings:?}");
    for (table, key, _) in settings {
        let path = if table.is_empty() { key } else { format!("{table}.{key}") };
        assert!(page.contains(&format!("\n| `{path}` | ")), "{path}: give its table a place in TABLES");
    }
    for flag in flags().iter().filter(|flag| !["config", "help", "version"].contains(&flag.as_str())) {
        assert!(page.contains(&format!("| `--{flag}` |")), "--{flag} is no key of the file");
    }
}

#[test]
fn the_help_of_flags_has_the_same_defaults() {
    let settings = settings();
    for flag in Cli::command().get_arguments() {
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        let key = flag.get_id().as_str();
        let Some((_, _, default)) = settings.iter().find(|(table, name, _)| table.is_empty() && name == key)
        else {
            continue;
        };
        if let Some(said) = help.split("[default: ").nth(1).and_then(|rest| rest.strip_suffix(']')) {
            // 0 has a meaning, which the help says in words.
            let is_same = default.trim_matches(['`', '"']) == said || default == "`0`";
            assert!(is_same, "--{key}: the help says {said}, the code {default}");
        }
    }
}
