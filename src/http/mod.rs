//! What the daemon serves: metrics and health.
