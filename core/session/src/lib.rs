//! One connection's life as a machine without I/O
