//! The scripts of the cases, by family.

mod assist;
mod calls;
mod capture;
mod connections;
mod contacts;
mod doors;
mod drops;
mod endings;
mod forks;
mod hidden;
mod legs;
mod maintenance;
mod nat;
mod numbers;
mod radius;
mod refused;
mod registration;
mod shared;
mod surroundings;
mod trouble;
mod unseen;
mod whose;

use crate::support::Scene;

/// A case: its folder in `pcaps/`, and what happens in it.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    script: fn(&mut Scene),
}

impl Scenario {
    /// The capture file; the same bytes at each call.
    pub(crate) fn make(&self) -> Vec<u8> {
        let mut scene = Scene::new(self.name);
        (self.script)(&mut scene);
        scene.finish()
    }
}

/// Declares the scenarios of a family: the folder and its script.
macro_rules! scenarios {
    ($($name:literal => $script:ident,)+) => {
        pub(crate) const ALL: &[$crate::scenarios::Scenario] = &[$($crate::scenarios::Scenario { name: $name, script: $script },)+];
    };
}
use scenarios;

/// Every scenario.
pub(crate) fn all() -> impl Iterator<Item = &'static Scenario> {
    let registering = [registration::ALL, connections::ALL, contacts::ALL, nat::ALL, shared::ALL];
    let calling = [
        calls::ALL,
        legs::ALL,
        maintenance::ALL,
        drops::ALL,
        endings::ALL,
        forks::ALL,
        unseen::ALL,
        refused::ALL,
        numbers::ALL,
        hidden::ALL,
    ];
    let around = [radius::ALL, capture::ALL, trouble::ALL, surroundings::ALL, assist::ALL, whose::ALL, doors::ALL];
    registering.into_iter().chain(calling).chain(around).flatten()
}
