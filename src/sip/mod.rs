//! SIP messages, read tolerantly and without copies.
//!
//! Any bytes that begin with a SIP start line give a message; what is doubtful about it is data, an [`anomaly`]. [`scan`] finds where
//! things are and allocates nothing, [`message`] reads them where they lie, [`framing`] cuts streams into messages.
#![warn(clippy::unwrap_used, clippy::indexing_slicing)]

pub mod adapter;
pub mod anomaly;
mod check;
pub mod delivery;
pub mod framing;
pub mod headers;
mod lines;
pub mod message;
pub mod method;
mod multipart;
mod plain;
pub mod scan;
pub mod sdp;
mod start_line;
pub mod text;
pub mod uri;
