//! The catalogue of metrics, their labels, and the fold from events.
