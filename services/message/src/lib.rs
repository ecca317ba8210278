//! Sequence, store, route: the processor of a partition
