//! The Directory.
