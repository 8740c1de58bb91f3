//! The part of the support code of the tests that the bodies need.
#![allow(dead_code, reason = "the bodies use a part of it")]

#[path = "../../support/opinion.rs"]
pub(crate) mod opinion;
#[path = "../../support/random.rs"]
pub(crate) mod random;
#[path = "../../support/reading.rs"]
pub(crate) mod reading;
#[path = "../../support/wire.rs"]
pub(crate) mod wire;
