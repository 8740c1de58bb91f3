//! Captures made from a script in packet time, and the expectations they are held against.
//!
//! [`Scene`] is the stage: agents ([`Agent`]) exchange [`Message`]s at seconds counted from the start of the capture, as a sniffer beside
//! the PBX sees them. [`expect`] compares a replay report with the `case.toml` of a case.
#![allow(dead_code, unused_imports, reason = "each test crate uses its own part of the support code")]

pub(crate) mod agent;
pub(crate) mod archive;
pub(crate) mod call;
pub(crate) mod capture;
pub(crate) mod day;
pub(crate) mod expect;
pub(crate) mod formats;
pub(crate) mod lab;
pub(crate) mod message;
pub(crate) mod opinion;
pub(crate) mod pcaps;
pub(crate) mod plausible;
pub(crate) mod proxy;
pub(crate) mod random;
pub(crate) mod reading;
pub(crate) mod register;
pub(crate) mod relabel;
pub(crate) mod replay;
pub(crate) mod scene;
pub(crate) mod stream;
pub(crate) mod upkeep;
pub(crate) mod variants;
pub(crate) mod verdicts;
pub(crate) mod wire;

pub(crate) use agent::{Agent, Brand};
pub(crate) use call::{Leg, Side};
pub(crate) use message::Message;
pub(crate) use scene::Scene;
