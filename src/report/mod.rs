//! One model of the report, several writers.
