//! Whom the PBX probes without their being known as phones: that they answer says that something is there, and no more.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::table::Digester;
use crate::track::event::Sighting;

/// Users remembered, each at one place.
const REMEMBERED: usize = 1024;

/// A user for whom something answers the OPTIONS of the PBX.
#[derive(Clone, Debug)]
pub struct Probed {
    /// The user part of the To.
    pub user: Box<str>,
    /// Where it was asked.
    pub place: SocketAddr,
    /// OPTIONS that were answered.
    pub answers: u32,
    /// The status of the last answer.
    pub status: u16,
    /// The last answer.
    pub last: Sighting,
}

/// Those users.
#[derive(Debug, Default)]
pub struct ProbedUsers {
    /// By place and digest of the user.
    users: BTreeMap<(SocketAddr, u64), Probed>,
}

impl ProbedUsers {
    /// Takes note of an answer of `place` for `user`.
    pub(super) fn note(&mut self, digester: Digester, place: SocketAddr, user: &str, status: u16, at: Sighting) {
        let key = (place, digester.bytes(user.as_bytes()).low64());
        if !self.users.contains_key(&key) && self.users.len() >= REMEMBERED {
            self.users.pop_first();
        }
        let new = || Probed { user: user.into(), place, answers: 0, status, last: at };
        let probed = self.users.entry(key).or_insert_with(new);
        (probed.answers, probed.status, probed.last) = (probed.answers.saturating_add(1), status, at);
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Probed> {
        self.users.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answer_counts_and_there_is_an_end_of_users() {
        let mut probed = ProbedUsers::default();
        let place = |port| SocketAddr::from(([198, 51, 100, 7], port));
        let mut note = |port, user: &str, status| probed.note(Digester::new(0), place(port), user, status, Sighting::default());
        note(5060, "1001", 404);
        note(5060, "1001", 480);
        note(5060, "1002", 404);
        let told: Vec<_> = probed.iter().map(|probed| (&*probed.user, probed.answers, probed.status)).collect();
        assert!(told.contains(&("1001", 2, 480)) && told.contains(&("1002", 1, 404)) && told.len() == 2, "{told:?}");
        for port in 10_000..12_000 {
            probed.note(Digester::new(0), place(port), "1001", 404, Sighting::default());
        }
        assert_eq!(probed.iter().count(), REMEMBERED);
    }
}
