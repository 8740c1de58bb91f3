//! Transfers: which dialogs are taken over by others (RFC 3515, RFC 3891), and whom the PBX joins then (DETECTION §6.3).

use std::collections::VecDeque;

use crate::sip::headers::{Address, HeaderName};
use crate::sip::uri::unescape;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::call::session::Side;
use crate::track::call::{Call, Calls, parties};
use crate::track::vocabulary::Direction;
use crate::track::world::{Seen, World, user_text};

/// Transfers that are remembered until they are seen to be done.
const REMEMBERED: usize = 64;
/// How soon after it was asked to the PBX calls whom a call is transferred to.
const WINDOW: Span = Span::from_secs(10);

/// What the PBX was asked to do.
#[derive(Clone, Copy, Debug)]
enum Transfer {
    /// To join the partners of two legs; these two end then.
    Join([Handle; 2]),
    /// To put a leg in the place of another.
    Replace { by: Handle, of: Handle },
    /// To call somebody else in the name of a leg.
    Call { leg: Handle, parties: parties::Keys, asked: PacketTime },
}

/// How long whoever asked for a transfer stays on the line: until whoever is called has answered or is given up (RFC 3261 §16.6).
const DONE_WITHIN: Span = Span::from_secs(180);

/// Why a leg ended whose `by` had transferred its partner away.
pub(super) fn transferred(by: Side) -> &'static str {
    match by {
        Side::Caller => "transferred by the caller",
        Side::Callee => "transferred by the called side",
    }
}

/// Who had transferred its partner away, by that reason of an end.
pub fn transferor(reason: &str) -> Option<Side> {
    [Side::Caller, Side::Callee].into_iter().find(|side| transferred(*side) == reason)
}

/// A leg that one end means to leave, as its REFER was accepted.
#[derive(Clone, Copy, Debug)]
struct Leaving {
    leg: Handle,
    by: Side,
    accepted: PacketTime,
}

/// The transfers that may still be done.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    recent: VecDeque<Transfer>,
    leaving: VecDeque<Leaving>,
}

impl Calls {
    /// An INVITE with Replaces takes over the dialog that it names, which is returned.
    pub(super) fn note_replaces(&mut self, world: &World, seen: &Seen<'_>) -> Option<Handle> {
        self.mark_replaced(world, seen.message.header(HeaderName::Replaces)?)
    }

    /// Takes note of the call of that INVITE.
    pub(super) fn note_replacement(&mut self, by: Handle, of: Handle) {
        self.note_transfer(Transfer::Replace { by, of });
    }

    /// A REFER whose target names a dialog lets the PBX join that one with this, without a word on the wire. Any other has it call the target.
    pub(super) fn note_refer(&mut self, world: &World, handle: Handle, seen: &Seen<'_>) {
        let Some(target) = seen.message.header(HeaderName::ReferTo).map(|target| Address::parse(target).uri) else { return };
        let replaces = target.headers.split(|&byte| byte == b'&').find_map(|header| {
            let (name, value) = header.split_at_checked(b"Replaces=".len())?;
            name.eq_ignore_ascii_case(b"Replaces=").then_some(value)
        });
        if let Some(value) = replaces {
            if let Some(named) = self.mark_replaced(world, &unescape(value, |_| true)) {
                self.note_transfer(Transfer::Join([handle, named]));
            }
        } else if let Some(leg) = self.partner_up(handle)
            && let Some(call) = self.table.get(leg)
        {
            let is_caller = call.record.direction(&world.peers) == Direction::In;
            let name = if is_caller { &call.record.from } else { &call.record.to };
            let parties = parties::keys(world, name, &user_text(target.user));
            self.note_transfer(Transfer::Call { leg, parties, asked: seen.at.time });
        }
    }

    /// Takes note that a REFER of a leg was accepted: its sender leaves that leg, and the one that it had joined with that.
    pub(super) fn refer_accepted(&mut self, world: &World, leg: Handle, seen: &Seen<'_>) {
        let Some(call) = self.table.get(leg) else { return };
        let joined = self.joined_with(leg).and_then(|other| Some((other, self.table.get(other)?)));
        let joined = joined.and_then(|(other, call)| match call.record.direction(&world.peers) {
            Direction::In => Some((other, Side::Caller)),
            Direction::Out => Some((other, Side::Callee)),
            Direction::Through => None,
        });
        let legs = [Some((leg, call.sender(world, &seen.message))), joined];
        for (leg, by) in legs.into_iter().flatten() {
            if self.transfers.leaving.len() >= REMEMBERED {
                self.transfers.leaving.pop_front();
            }
            self.transfers.leaving.push_back(Leaving { leg, by, accepted: seen.at.time });
        }
    }

    /// Takes note of a NOTIFY, which may say that a transfer failed (RFC 3515 §2.4.5): who asked for it stays on the line.
    pub(super) fn note_notify(&mut self, leg: Handle, seen: &Seen<'_>) {
        let status = seen.message.body().strip_prefix(b"SIP/2.0 ").and_then(|rest| rest.first());
        if !self.transfers.leaving.is_empty() && status.is_some_and(|class| matches!(class, b'3'..=b'6')) {
            let joined = self.joined_with(leg);
            self.transfers.leaving.retain(|leaving| leaving.leg != leg && Some(leaving.leg) != joined);
        }
    }

    /// Who has left a leg that ends at `end` by transferring its partner away, if somebody has.
    pub(super) fn transferred_by(&self, leg: Handle, end: PacketTime) -> Option<Side> {
        let is_it = |leaving: &&Leaving| leaving.leg == leg && end.since(leaving.accepted) <= DONE_WITHIN;
        self.transfers.leaving.iter().rev().find(is_it).map(|leaving| leaving.by)
    }

    /// The leg that is to be joined with `leg`, where a REFER names it.
    fn joined_with(&self, leg: Handle) -> Option<Handle> {
        self.transfers.recent.iter().rev().find_map(|transfer| match *transfer {
            Transfer::Join([one, other]) if one == leg => Some(other),
            Transfer::Join([one, other]) if other == leg => Some(one),
            _ => None,
        })
    }

    /// Joins with the leg that was answered just now whom it is for, where a transfer says so.
    pub(super) fn join_answered(&mut self, world: &World, answered: Handle) {
        let Some(call) = self.table.get(answered).filter(|_| !self.transfers.recent.is_empty()) else { return };
        let is_called = call.record.direction(&world.peers) == Direction::Out && call.record.linked.is_empty();
        let is_for = |names: parties::Keys, asked| {
            let in_time = call.first.time >= asked && call.first.time.since(asked) <= WINDOW;
            is_called && in_time && names == call.parties
        };
        let joined = self.transfers.recent.iter().find_map(|transfer| match *transfer {
            Transfer::Replace { by, of } if by == answered => self.partners(of).map(|(partner, _)| partner).next(),
            Transfer::Call { leg, parties, asked } if is_for(parties, asked) => self.table.get(leg).filter(|leg| leg.is_up()).map(|_| leg),
            _ => None,
        });
        if let Some(leg) = joined {
            self.join(leg, answered);
        }
    }

    /// Joins those whom a transfer left behind, once the legs of whoever asked for it have both ended.
    pub(super) fn join_left(&mut self, ended: Handle) {
        let is_over = |leg: Handle| self.table.get(leg).is_none_or(|call| call.is_over);
        let is_done =
            |transfer: &Transfer| matches!(*transfer, Transfer::Join(legs) if legs.contains(&ended) && legs.into_iter().all(is_over));
        let Some(at) = self.transfers.recent.iter().position(is_done) else { return };
        if let Some(Transfer::Join(legs)) = self.transfers.recent.remove(at)
            && let [Some(one), Some(other)] = legs.map(|leg| self.partner_up(leg))
        {
            self.join(one, other);
        }
    }

    /// Links two legs that are one call by now, if they are not linked yet.
    pub(super) fn join(&mut self, one: Handle, other: Handle) {
        if one != other && !self.partners(one).any(|(partner, _)| partner == other) {
            self.link(one, other);
        }
    }

    /// The other leg of a call, if exactly one is up.
    fn partner_up(&self, leg: Handle) -> Option<Handle> {
        let mut up = self.partners(leg).filter(|(_, partner)| partner.is_up());
        let (partner, _) = up.next()?;
        up.next().is_none().then_some(partner)
    }

    fn note_transfer(&mut self, transfer: Transfer) {
        let Self { transfers: Transfers { recent, .. }, table, .. } = self;
        let is_open = |leg: Handle| table.get(leg).is_some_and(|call: &Call| !call.is_over);
        recent.retain(|transfer| match *transfer {
            Transfer::Join([one, other]) => is_open(one) || is_open(other),
            Transfer::Replace { by, .. } => is_open(by),
            Transfer::Call { leg, .. } => is_open(leg),
        });
        if recent.len() >= REMEMBERED {
            recent.pop_front();
        }
        recent.push_back(transfer);
    }

    /// Marks the call of a Replaces value, `call-id;to-tag=x;from-tag=y`, and returns it.
    fn mark_replaced(&mut self, world: &World, value: &[u8]) -> Option<Handle> {
        let mut parts = value.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let call_id = parts.next()?;
        let mut named = None;
        for part in parts {
            let tag = part.strip_prefix(b"from-tag=").or_else(|| part.strip_prefix(b"to-tag="));
            let key = tag.map(|tag| world.digester.parts(&[call_id, tag]));
            if let Some(handle) = key.and_then(|key| self.table.find(key))
                && let Some(call) = self.table.get_mut(handle)
            {
                call.is_referred = true;
                named = Some(handle);
            }
        }
        named
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
