//! Headers by name, and the typed values of those that tracking reads.

mod address;
mod auth;
mod contact;
mod name;
mod reason;
mod value;
mod via;

pub use address::Address;
pub(super) use address::{Form, NameAddr};
pub use auth::{Challenge, Credentials};
pub use contact::{Contact, ContactKind};
pub use name::{HeaderName, Name};
pub(in crate::sip) use name::{HeaderSet, Spelling};
pub use reason::Reason;
pub use value::{CSeq, Refresher, SessionExpires, Warning};
pub use via::{Keep, Rport, Via};
