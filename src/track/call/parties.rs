//! The calls in progress by who calls and who is called.

use std::collections::BTreeSet;

use crate::table::Handle;
use crate::track::call::{Call, Calls};
use crate::track::world::World;

/// The calls in progress by their parties, each under both.
#[derive(Debug, Default)]
pub(super) struct Parties {
    by_party: BTreeSet<(u64, Handle)>,
}

/// The two parties of a call, as keys.
pub(super) type Keys = [u64; 2];

/// The keys of the parties of a call.
pub(super) fn keys(world: &World, from: &str, to: &str) -> Keys {
    [from, to].map(|party| world.digester.bytes(party.as_bytes()).low64())
}

impl Parties {
    fn add(&mut self, keys: Keys, call: Handle) {
        self.by_party.extend(keys.map(|key| (key, call)));
    }

    /// Forgets a call that was added, if it was.
    pub(super) fn remove(&mut self, keys: Keys, call: Option<Handle>) {
        for entry in call.into_iter().flat_map(|call| keys.map(|key| (key, call))) {
            self.by_party.remove(&entry);
        }
    }

    /// The calls that have a party with one of `keys`; those that have both come twice.
    fn of(&self, keys: Keys) -> impl Iterator<Item = Handle> {
        let [one, other] = keys;
        let second = (one != other).then_some(other);
        std::iter::once(one)
            .chain(second)
            .flat_map(|key| self.by_party.range((key, Handle::MIN)..=(key, Handle::MAX)))
            .map(|&(_, call)| call)
    }
}

impl Calls {
    /// The calls in progress that have a party in common with this one, itself among them.
    pub(in crate::track) fn of_parties(&self, call: &Call) -> impl Iterator<Item = (Handle, &Call)> {
        self.parties.of(call.parties).filter_map(|handle| Some((handle, self.table.get(handle)?)))
    }

    /// Takes note of the devices that the INVITE of a transaction names; of several hops the outermost one names each.
    pub(in crate::track) fn name_phones(&mut self, handle: Handle, invite: Handle, caller: Option<Handle>, callee: Option<Handle>) {
        self.name_phone_of_branch(handle, invite, callee);
        if let Some(call) = self.table.get_mut(handle) {
            let [known, _] = call.phones;
            call.phones = [known.or(caller), callee];
        }
    }

    /// Lets a call that has begun be found by its parties.
    pub(super) fn index_parties(&mut self, handle: Handle) {
        if let Some(call) = self.table.get_mut(handle) {
            call.place = Some(handle);
            self.parties.add(call.parties, handle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Digester, ExpiringTable, Rank};
    use crate::time::PacketTime;

    #[test]
    fn the_calls_of_a_party_are_found_without_the_others() {
        let mut table = ExpiringTable::new(8);
        let mut call = |n: u64| table.insert(Digester::new(0).number(n.into()), n, PacketTime::MAX, Rank::Ordinary).0;
        let calls: Vec<_> = (0..5).map(&mut call).collect();
        let mut parties = Parties::default();
        // 1 calls 2, 2 calls 3, 4 calls 5, 1 calls itself.
        for (keys, call) in [[1, 2], [2, 3], [4, 5], [1, 1]].into_iter().zip(&calls) {
            parties.add(keys, *call);
        }
        let of = |parties: &Parties, keys| parties.of(keys).collect::<Vec<_>>();
        assert_eq!(of(&parties, [2, 9]), [calls[0], calls[1]]);
        assert_eq!(of(&parties, [1, 1]), [calls[0], calls[3]]);
        parties.remove([1, 2], Some(calls[0]));
        parties.remove([1, 1], None);
        assert_eq!(of(&parties, [1, 2]), [calls[3], calls[1]]);
        for (keys, call) in [[2, 3], [4, 5], [1, 1]].into_iter().zip(&calls[1..]) {
            parties.remove(keys, Some(*call));
        }
        assert!(parties.by_party.is_empty());
    }
}
