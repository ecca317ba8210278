//! io_uring: ring, buffers, descriptors, tokens
