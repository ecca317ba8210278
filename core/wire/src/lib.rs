//! The client protocol and the internal records: bytes to values and back
