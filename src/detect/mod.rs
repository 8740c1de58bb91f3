//! From what was tracked to findings.
//!
//! The [`catalog`] says what there is to find, a [`finding`] is one thing that was found, and the [`store`] gives findings their life:
//! raised, updated, cleared, replaced by a better explanation. The [`detectors`] turn what tracking tells into findings.

mod call;
mod capture;
pub mod catalog;
pub mod detectors;
pub mod finding;
mod legs;
mod moves;
mod nat;
mod probes;
mod reachability;
mod registration;
mod rewriting;
mod server;
pub mod store;
