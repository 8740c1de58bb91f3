//! A call as a ladder diagram.
