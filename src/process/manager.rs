//! What systemd hears: sd_notify(3). Without a service manager nobody hears anything.

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;

/// What the service manager is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told<'a> {
    /// All that was asked for is there; with a line for people.
    Ready(&'a str),
    /// The configuration is being read again; [`Told::Ready`] follows.
    Reloading,
    /// The end has begun; with its reason for people.
    Stopping(&'a str),
    /// A line for people.
    Status(&'a str),
    /// All threads get on.
    Alive,
}

/// Tells the service manager, where there is one.
///
/// # Errors
///
/// What its socket says.
pub fn tell(told: Told<'_>) -> io::Result<()> {
    match told {
        Told::Ready(status) => sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(status)]),
        Told::Reloading => sd_notify::notify(&[NotifyState::Reloading, NotifyState::monotonic_usec_now()?]),
        Told::Stopping(status) => sd_notify::notify(&[NotifyState::Stopping, NotifyState::Status(status)]),
        Told::Status(status) => sd_notify::notify(&[NotifyState::Status(status)]),
        Told::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
    }
}

/// After how long without [`Told::Alive`] the service manager ends this process; `None` where it does not watch.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}
