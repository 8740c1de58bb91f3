//! Threads, channels, overflow and shutdown: the shell around the pure stages.

pub mod ingest;
