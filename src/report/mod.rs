//! One model of the report, several writers.
//!
//! [`model`] is the contract of version 1; [`filter`] narrows it to what was asked for; [`json`] and [`text`] lay it out, and [`ladder`]
//! draws a single call. What comes from the wire passes through [`escape`] before it is shown.

pub mod about;
pub mod build;
pub mod escape;
pub mod filter;
pub mod json;
pub mod ladder;
mod legs;
pub mod mask;
pub mod model;
pub mod nat;
pub mod page;
mod performance;
pub mod recent;
pub mod sentence;
pub mod style;
pub mod text;
pub mod whole;

#[cfg(test)]
mod sample;
