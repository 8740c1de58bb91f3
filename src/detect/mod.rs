//! From what was tracked to findings.
//!
//! The [`catalog`] says what there is to find, a [`finding`] is one thing that was found, and the [`store`] gives findings their life:
//! raised, updated, cleared, replaced by a better explanation. The [`detectors`] turn what tracking tells into findings.

mod answers;
mod call;
mod capture;
pub mod catalog;
pub mod detectors;
mod devices;
pub mod finding;
mod flapping;
mod grants;
mod ignored;
mod intruders;
mod legs;
mod load;
mod moves;
mod nat;
mod probes;
mod reachability;
mod registration;
mod restart;
mod rewriting;
mod server;
mod sketch;
mod slowness;
pub mod store;
mod strangers;
mod undelivered;
