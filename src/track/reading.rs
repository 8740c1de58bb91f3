//! What more than one tracker asks of a message: read when first asked for, and once.

use std::cell::OnceCell;
use std::net::IpAddr;

use crate::sip::headers::{Contact, Credentials};
use crate::sip::message::Message;
use crate::sip::sdp::Sdp;
use crate::sip::uri::Uri;
use crate::table::{Digest, Digester};

/// Host, where it is written as an address, and port.
pub type Written = (Option<IpAddr>, Option<u16>);

/// A message as far as it was read.
#[derive(Debug)]
pub struct Reading<'a> {
    message: Message<'a>,
    /// The digest of the Call-ID, on which those of transactions, calls and attempts build.
    call_id: Digest,
    from: OnceCell<Uri<'a>>,
    to: OnceCell<Uri<'a>>,
    sent_by: OnceCell<Option<Written>>,
    contacts: OnceCell<Contacts<'a>>,
    sdp: OnceCell<Option<Sdp<'a>>>,
    credentials: OnceCell<Option<Credentials<'a>>>,
}

/// The first contact, and whether others follow; most messages have one.
#[derive(Clone, Copy, Debug)]
struct Contacts<'a> {
    first: Option<Contact<'a>>,
    address: Option<IpAddr>,
    has_more: bool,
}

impl<'a> Reading<'a> {
    /// Nothing but the Call-ID is read yet.
    pub fn new(message: Message<'a>, digester: Digester) -> Self {
        Self {
            message,
            call_id: digester.parts(&[message.call_id()]),
            from: OnceCell::new(),
            to: OnceCell::new(),
            sent_by: OnceCell::new(),
            contacts: OnceCell::new(),
            sdp: OnceCell::new(),
            credentials: OnceCell::new(),
        }
    }

    /// The message.
    pub fn message(&self) -> Message<'a> {
        self.message
    }

    /// What [`Digester::parts`] makes of the Call-ID, to be [continued](Digester::further).
    pub fn call_id(&self) -> Digest {
        self.call_id
    }

    /// The URI of who asks.
    pub fn from(&self) -> &Uri<'a> {
        self.from.get_or_init(|| self.message.from_uri())
    }

    /// The URI of who is asked for.
    pub fn to(&self) -> &Uri<'a> {
        self.to.get_or_init(|| self.message.to_uri())
    }

    /// Where the Via of the last hop says that the message comes from; `None` without Via.
    pub fn sent_by(&self) -> Option<Written> {
        *self.sent_by.get_or_init(|| self.message.top_sent_by())
    }

    /// Where the first contact is reached; `None` without contact.
    pub fn contact(&self) -> Option<Written> {
        let contacts = self.read_contacts();
        contacts.first.map(|first| (contacts.address, first.uri.port))
    }

    /// The contacts. A list element without a URI is left out.
    pub fn contacts(&self) -> impl Iterator<Item = Contact<'a>> {
        let contacts = self.read_contacts();
        let others = contacts.has_more.then(|| self.message.contacts().skip(1));
        contacts.first.into_iter().chain(others.into_iter().flatten())
    }

    /// The session description, also from within a multipart body.
    pub fn sdp(&self) -> Option<&Sdp<'a>> {
        self.sdp.get_or_init(|| self.message.sdp()).as_ref()
    }

    /// The first Authorization, else the first Proxy-Authorization.
    pub fn credentials(&self) -> Option<&Credentials<'a>> {
        self.credentials.get_or_init(|| self.message.credentials()).as_ref()
    }

    fn read_contacts(&self) -> &Contacts<'a> {
        self.contacts.get_or_init(|| {
            let mut contacts = self.message.contacts();
            let first = contacts.next();
            let has_more = first.is_some() && contacts.next().is_some();
            Contacts { first, address: first.and_then(|first| first.uri.host_ip()), has_more }
        })
    }
}
