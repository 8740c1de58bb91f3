//! How a PBX names itself to its peers.

use crate::sip::message::Message;

/// The last Via and Contact of a PBX that named no private address. It writes the same into most requests, so that few need be read.
#[derive(Debug, Default)]
pub(super) struct PublicNames {
    via: Vec<u8>,
    contact: Vec<u8>,
}

impl PublicNames {
    /// Whether a message has these very names.
    pub(super) fn are_of(&self, message: &Message<'_>) -> bool {
        names(message).is_some_and(|(via, contact)| self.via == via && self.contact == contact)
    }

    /// Takes note of the names of a message, none of which is private.
    pub(super) fn note(&mut self, message: &Message<'_>) {
        if let Some((via, contact)) = names(message) {
            self.via.clear();
            self.via.extend_from_slice(via);
            self.contact.clear();
            self.contact.extend_from_slice(contact);
        }
    }
}

/// The Via of the last hop without parameters, and the Contact; `None` where there is more to look at than these.
fn names<'a>(message: &Message<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let is_plain = message.via_count() == 1;
    let via = message.top_via_head().filter(|via| is_plain && !via.is_empty())?;
    Some((via, message.only_contact()?))
}
