//! From what was tracked to findings.
