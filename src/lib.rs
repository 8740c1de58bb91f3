//! siphound follows each registration and each call that crosses UDP/TCP 5060 and says why a phone cannot connect, cannot call, cannot
//! be called, drops calls or does not hang up.
//!
//! It never sends a packet towards a phone or a PBX, reads no clock below the pipeline, and gives the same bytes out for the same bytes
//! in. Live capture and replay run one engine: they differ in where frames come from and in what happens when a queue is full.
//!
//! A module imports only what stands to its left:
//!
//! ```text
//! time, table, config ◄ decode ◄ sip ◄ track ◄ detect ◄ report ◄ {alert, assist, diagnose, metrics, history} ◄ http ◄ pipeline ◄ commands ◄ main
//!                                                                            ▲           ▲
//!                                                                         capture     process
//! ```

pub mod alert;
pub mod assist;
pub mod capture;
pub mod commands;
pub mod config;
pub mod decode;
pub mod detect;
pub mod diagnose;
pub mod history;
pub mod http;
pub mod metrics;
pub mod pipeline;
pub mod process;
pub mod report;
pub mod sip;
pub mod table;
pub mod time;
pub mod track;
