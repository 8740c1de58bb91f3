//! From what was tracked to findings.
//!
//! The [`catalog`] says what there is to find, a [`finding`] is one thing that was found, and the [`store`] gives findings their life:
//! raised, updated, cleared, replaced by a better explanation. The [`detectors`] turn what tracking tells into findings.

mod answers;
mod call;
mod capture;
pub mod catalog;
mod chance;
mod delivery;
pub mod detectors;
mod devices;
mod drops;
mod durations;
pub mod finding;
mod flapping;
mod grants;
mod ignored;
mod intruders;
mod lately;
mod latest;
mod legs;
pub mod listener;
mod load;
mod maintenance;
mod media;
mod moves;
mod nat;
mod parties;
mod probes;
mod reachability;
mod recent;
mod registration;
mod restart;
mod rewriting;
mod served;
mod server;
mod setup;
mod short;
mod sighted;
mod silence;
mod sketch;
mod sleep;
mod slowness;
pub mod store;
mod strangers;
mod undelivered;
mod unopened;
mod vanished;

pub use call::MOVED;
pub use reachability::OUTAGE_BEGINS;
