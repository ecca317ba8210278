//! In-process benches and the echo server
