//! The Directory on SQLite
