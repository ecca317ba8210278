//! Seeded time, faults and crashes against the pipeline
