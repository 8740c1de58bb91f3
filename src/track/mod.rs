//! State: transactions, calls, registrations, reachability, NAT.

pub mod site;
pub mod vocabulary;
