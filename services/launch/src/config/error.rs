//! Why a configuration is refused.

use std::path::PathBuf;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The named file can't be read.
    #[error("the configuration file {} can't be read: {cause}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Not TOML.
    #[error("the configuration file {} is not TOML: {cause}", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where and why.
        cause: toml::de::Error,
    },
    /// A key that nobody knows.
    #[error("unknown key `{key}`{}", hint(nearest))]
    UnknownKey {
        /// The key.
        key: String,
        /// What it was probably meant to be.
        nearest: Option<&'static str>,
    },
    /// A variable that nobody knows.
    #[error("unknown variable `{name}`{}", nearest.as_ref().map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?")))]
    UnknownVariable {
        /// The variable.
        name: String,
        /// What it was probably meant to be.
        nearest: Option<String>,
    },
    /// A value that does not fit its key.
    #[error("{from}: {cause}")]
    Value {
        /// Where it stands.
        from: String,
        /// What is wrong.
        cause: String,
    },
}

fn hint(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(
        || "; `ringside config show` lists all keys".into(),
        |key| format!("; did you mean `{key}`?"),
    )
}
