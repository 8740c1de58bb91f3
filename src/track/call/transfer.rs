//! Transfers: which dialogs are taken over by others (RFC 3515, RFC 3891).

use crate::sip::headers::{Address, HeaderName};
use crate::sip::uri::unescape;
use crate::track::call::Calls;
use crate::track::world::{Seen, World};

impl Calls {
    /// An INVITE with Replaces takes over the dialog that it names.
    pub(super) fn note_replaces(&mut self, world: &World, seen: &Seen<'_>) {
        if let Some(value) = seen.message.header(HeaderName::Replaces) {
            self.mark_replaced(world, value);
        }
    }

    /// A REFER whose target names a dialog lets the PBX join that one with this, without a word on the wire.
    pub(super) fn note_refer(&mut self, world: &World, seen: &Seen<'_>) {
        let Some(target) = seen.message.header(HeaderName::ReferTo) else { return };
        let headers = Address::parse(target).uri.headers;
        let replaces = headers.split(|&byte| byte == b'&').find_map(|header| {
            let (name, value) = header.split_at_checked(b"Replaces=".len())?;
            name.eq_ignore_ascii_case(b"Replaces=").then_some(value)
        });
        if let Some(value) = replaces {
            self.mark_replaced(world, &unescape(value, |_| true));
        }
    }

    /// Marks the call of a Replaces value: `call-id;to-tag=x;from-tag=y`.
    fn mark_replaced(&mut self, world: &World, value: &[u8]) {
        let mut parts = value.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let Some(call_id) = parts.next() else { return };
        for part in parts {
            let tag = part.strip_prefix(b"from-tag=").or_else(|| part.strip_prefix(b"to-tag="));
            let key = tag.map(|tag| world.digester.parts(&[call_id, tag]));
            if let Some(call) = key.and_then(|key| self.table.find(key)).and_then(|handle| self.table.get_mut(handle)) {
                call.is_referred = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_what_is_none_stays() {
        for (text, expected) in
            [(&b"a%40b%3Bto-tag%3dx"[..], &b"a@b;to-tag=x"[..]), (b"100%", b"100%"), (b"%4", b"%4"), (b"%zz%41", b"%zzA"), (b"", b"")]
        {
            assert_eq!(unescape(text, |_| true), expected);
        }
    }
}
