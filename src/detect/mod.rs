//! From what was tracked to findings.
//!
//! The [`catalog`] says what there is to find, a [`finding`] is one thing that was found, and the [`store`] gives findings their life:
//! raised, updated, cleared, replaced by a better explanation. The [`detectors`] turn what tracking tells into findings.

mod call;
mod capture;
pub mod catalog;
pub mod detectors;
mod drops;
mod durations;
pub mod finding;
mod legs;
mod maintenance;
mod media;
mod parties;
mod reachability;
mod registration;
mod server;
mod setup;
mod short;
pub mod store;
