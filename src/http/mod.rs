//! What the daemon serves: metrics, health and the JSON API.
//!
//! The server runs on a small runtime of its own and asks for numbers through a [`SnapshotSource`], so that a slow reader never slows the
//! engine and a dead engine is told, not waited for.

mod access;
mod api;
mod assist;
mod client;
mod events;
mod lease;
mod routes;
mod server;
mod tls;
mod view;

use std::future::Future;

pub use self::access::{Access, Peers, Token};
pub use self::api::document;
pub use self::assist::{AssistListener, Assistants};
pub use self::client::{Answer, Client, ClientError, Stream};
pub use self::events::{EventListener, Events};
pub use self::lease::Lease;
pub use self::routes::router;
pub use self::server::{HttpError, Server, Serving, introduce};
pub use self::tls::{ClientTls, ServerTls, TlsError};
pub use self::view::{EngineSource, View};
use crate::metrics::Snapshot;

/// Where the numbers come from.
pub trait SnapshotSource: Send + Sync + 'static {
    /// Takes all numbers at one moment. The server gives up waiting after a few seconds.
    fn snapshot(&self) -> impl Future<Output = Result<Snapshot, Unavailable>> + Send;

    /// Whether traffic is being followed: the capture is open and the engine alive. Must not wait.
    fn readiness(&self) -> Result<(), Unavailable>;
}

/// Why there are no numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unavailable {
    /// The capture is not open yet.
    #[error("starting: the capture is not open yet")]
    Starting,
    /// The capture ended or failed.
    #[error("the capture is closed; the log says why")]
    CaptureClosed,
    /// The engine is no more.
    #[error("the engine has stopped; the log says why")]
    EngineStopped,
    /// The engine is there but has not answered in time.
    #[error("the engine did not answer in time")]
    Busy,
}
