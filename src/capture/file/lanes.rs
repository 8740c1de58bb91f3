//! Interface numbers over several files.
//!
//! Files that overlap in time were captured at several places, so each gets a lane and with it interface numbers of its own. A file
//! that begins after another has ended takes over its lane: rotated files of one capture keep their interface numbers.

use std::collections::BTreeMap;

/// Which lanes are taken and which number each interface of each lane has.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    taken: Vec<bool>,
    numbers: BTreeMap<(Lane, u32), u16>,
}

/// A place among the files that are read at the same time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Lane(usize);

impl Lanes {
    /// Takes the first free lane.
    pub(super) fn take(&mut self) -> Lane {
        let lane = self.taken.iter().position(|taken| !taken).unwrap_or(self.taken.len());
        match self.taken.get_mut(lane) {
            Some(taken) => *taken = true,
            None => self.taken.push(true),
        }
        Lane(lane)
    }

    /// Gives a lane back.
    pub(super) fn release(&mut self, lane: Lane) {
        if let Some(taken) = self.taken.get_mut(lane.0) {
            *taken = false;
        }
    }

    /// The number of an interface of the file in `lane`, given on first sight. The last number is shared by all that find no other.
    pub(super) fn number(&mut self, lane: Lane, interface: u32) -> u16 {
        let next = u16::try_from(self.numbers.len()).unwrap_or(u16::MAX);
        match self.numbers.get(&(lane, interface)) {
            Some(number) => *number,
            None if next == u16::MAX => next,
            None => {
                self.numbers.insert((lane, interface), next);
                next
            }
        }
    }
}
