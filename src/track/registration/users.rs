//! Whom a call is meant for, where it names the user in another way than the registration does (DETECTION §0.2).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::table::{Handle, Rank, append};
use crate::time::PacketTime;
use crate::track::registration::{Aor, REMEMBERED, Registrations};
use crate::track::world::{Seen, World, aor_text, user_text};

/// AoRs with the same user part that are kept for one another: so many tenants share an extension before it is found by no host but its own.
const SAME_USER: usize = 64;

/// The AoRs by user part, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Users {
    by_user: BTreeMap<u64, Vec<Handle>>,
}

impl Users {
    pub(super) fn add(&mut self, user: u64, aor: Handle) {
        let same = self.by_user.entry(user).or_default();
        if same.len() <= SAME_USER {
            append(same, aor);
        }
    }

    /// Lets go of the AoRs of that user that are `gone`.
    pub(super) fn prune(&mut self, user: u64, gone: impl Fn(Handle) -> bool) {
        if let Some(same) = self.by_user.get_mut(&user) {
            same.retain(|&aor| !gone(aor));
            if same.is_empty() {
                self.by_user.remove(&user);
            }
        }
    }

    /// The AoRs of that user; none where there are too many to tell.
    fn of(&self, user: u64) -> &[Handle] {
        self.by_user.get(&user).map(Vec::as_slice).filter(|same| same.len() <= SAME_USER).unwrap_or_default()
    }
}

impl Registrations {
    /// Whether the registrar accepted a device of the attempt's user from `source` before.
    pub(in crate::track) fn was_accepted_from(&self, attempt: Handle, source: IpAddr) -> bool {
        let aor = self.attempts.get(attempt).and_then(|attempt| self.aors.get(attempt.aor));
        let mut devices = aor.into_iter().flat_map(|aor| &aor.devices).filter_map(|&device| self.devices.get(device));
        devices.any(|device| device.accepted_from == Some(source))
    }

    /// The AoR that a call along the PBX at `pbx` to `name` (`user@host`) is meant for: the one of that name; or the one whose phone bound
    /// that very address; or, where the host is the PBX itself, the only one with that user that registers there. A host name that is not
    /// known proves nothing: it may be another tenant's.
    pub fn find_callee(&self, world: &World, name: &str, pbx: Option<SocketAddr>) -> Option<Handle> {
        if let Some(aor) = self.find_aor(world, name) {
            return Some(aor);
        }
        let (user, host) = name.rsplit_once('@')?;
        let host: IpAddr = host.parse().ok()?;
        let same = || self.users.of(user_key(world, user)).iter().copied();
        let mut bound = same().filter(|&aor| self.is_bound_at(aor, host));
        let mut served = same().filter(|&aor| pbx.is_some_and(|pbx| pbx.ip() == host && self.registers_at(aor, pbx.ip())));
        only(&mut bound).or_else(|| only(&mut served))
    }

    /// The AoR that a REGISTER is for.
    pub(super) fn aor_of(&mut self, world: &World, seen: &Seen<'_>, rank: Rank) -> Handle {
        let to = seen.read.to();
        let user_len = if to.user.is_empty() { 0 } else { user_text(to.user).len() };
        self.aor_named(world, aor_text(to.user, to.host), user_len, seen.at.time, rank)
    }

    /// The AoR of that name, the first `user_len` bytes of which are the user part.
    pub(super) fn aor_named(&mut self, world: &World, name: Box<str>, user_len: usize, now: PacketTime, rank: Rank) -> Handle {
        let key = world.digester.bytes(name.as_bytes());
        let forget = now + REMEMBERED;
        if let Some(handle) = self.aors.find(key) {
            self.aors.touch(handle);
            self.aors.set_deadline(handle, forget);
            return handle;
        }
        let aor = Aor {
            user_len: u16::try_from(user_len).unwrap_or(u16::MAX),
            name,
            first_seen: now,
            attempts: 0,
            accepted: 0,
            rejected: 0,
            last_status: None,
            refusal: None,
            keeps_unlisted: false,
            devices: Vec::new(),
        };
        let (handle, evicted) = self.aors.insert(key, aor, forget, rank);
        if let Some(gone) = evicted {
            self.unindex_user(world, &gone);
        }
        self.index_user(world, handle);
        handle
    }

    /// The AoRs with that user part.
    pub(super) fn aors_of(&self, world: &World, user: &str) -> impl Iterator<Item = Handle> {
        self.users.of(user_key(world, user)).iter().copied()
    }

    pub(super) fn index_user(&mut self, world: &World, aor: Handle) {
        if let Some(user) = self.aors.get(aor).map(|aor| user_key(world, aor.user())) {
            self.users.add(user, aor);
        }
    }

    /// Forgets an AoR that left the table.
    pub(super) fn unindex_user(&mut self, world: &World, gone: &Aor) {
        let Self { users, aors, .. } = self;
        users.prune(user_key(world, gone.user()), |aor| aors.get(aor).is_none());
    }

    fn is_bound_at(&self, aor: Handle, host: IpAddr) -> bool {
        self.devices_of(aor)
            .any(|device| device.contact_address.is_some_and(|contact| contact.ip() == host) || device.source().ip() == host)
    }

    fn registers_at(&self, aor: Handle, pbx: IpAddr) -> bool {
        self.devices_of(aor).any(|device| device.flow.destination.ip() == pbx)
    }

    fn devices_of(&self, aor: Handle) -> impl Iterator<Item = &super::Device> {
        let devices = self.aors.get(aor).map_or(&[][..], |aor| &aor.devices);
        devices.iter().filter_map(|&device| self.devices.get(device))
    }
}

fn user_key(world: &World, user: &str) -> u64 {
    world.digester.bytes(user.as_bytes()).low64()
}

/// The only one, if there is exactly one.
pub(super) fn only(aors: &mut impl Iterator<Item = Handle>) -> Option<Handle> {
    let first = aors.next()?;
    aors.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Digester, ExpiringTable, Rank};
    use crate::time::PacketTime;

    /// That many handles.
    fn handles(count: usize) -> Vec<Handle> {
        let mut table = ExpiringTable::new(count);
        let digester = Digester::new(1);
        (0..count).map(|number| table.insert(digester.bytes(&number.to_be_bytes()), (), PacketTime::MAX, Rank::Ordinary).0).collect()
    }

    #[test]
    fn a_user_of_too_many_tenants_is_nobodys() {
        let mut users = Users::default();
        for handle in handles(SAME_USER + 5) {
            users.add(7, handle);
        }
        assert!(users.of(7).is_empty());
    }

    #[test]
    fn those_who_left_are_let_go_of() {
        let mut users = Users::default();
        let [first, second] = handles(2).try_into().unwrap_or_else(|_| panic!("there are two"));
        users.add(7, first);
        users.add(7, second);
        users.prune(7, |aor| aor == first);
        assert_eq!(users.of(7), [second]);
        users.prune(7, |_| true);
        assert!(users.by_user.is_empty());
    }
}
