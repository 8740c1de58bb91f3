//! SIP messages, read tolerantly and without copies.
