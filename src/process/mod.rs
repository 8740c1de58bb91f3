//! What the process may still do once its capture is open, and what the service manager hears of it.
//!
//! The kernel gives each thread what the thread had that started it. So everything here is given up while there is one thread, and
//! [`privileges::verify`] looks at all of them once they run.

pub mod calls;
pub mod manager;
pub mod privileges;
pub mod reach;
