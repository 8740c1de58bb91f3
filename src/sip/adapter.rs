//! Everything of the `rsip` crate: its vocabulary, and its reading of single values off the hot path.
