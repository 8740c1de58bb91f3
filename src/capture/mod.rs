//! Where frames come from: live interfaces and capture files.
