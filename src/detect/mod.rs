//! From what was tracked to findings.
//!
//! The [`catalog`] says what there is to find, a [`finding`] is one thing that was found, and the [`store`] gives findings their life:
//! raised, updated, cleared, replaced by a better explanation.

pub mod catalog;
pub mod finding;
pub mod store;
