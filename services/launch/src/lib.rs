//! Configuration, choice of engines and the binary
