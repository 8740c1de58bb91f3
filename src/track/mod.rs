//! State: transactions, calls, registrations, reachability, NAT.

pub mod vocabulary;
