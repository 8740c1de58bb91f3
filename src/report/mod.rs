//! One model of the report, several writers.
//!
//! [`model`] is the contract of version 1; the writers only lay it out.

pub mod escape;
pub mod json;
pub mod model;
