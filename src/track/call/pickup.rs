//! Call pickup: somebody takes a call that rings elsewhere by calling a code of the PBX. No packet says whose call that is: the PBX answers
//! the code and takes the ringing leg back at the same moment.

use std::collections::VecDeque;

use crate::table::Handle;
use crate::time::Span;
use crate::track::call::{Call, Calls};

/// Answered calls of codes that are remembered.
const REMEMBERED: usize = 64;
/// How closely the PBX takes the ringing leg back when it answers who picks the call up.
const COUPLING: Span = Span::from_millis(300);
/// What codes of PBXs begin with.
const CODES: [char; 2] = ['*', '#'];

/// The latest calls of codes that the PBX answered.
#[derive(Debug, Default)]
pub(super) struct Pickups {
    recent: VecDeque<Handle>,
}

/// A call that took another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pickup {
    call: Handle,
    /// Whether the code names who was called, so that it is no other call of the same moment.
    is_directed: bool,
}

impl Calls {
    /// Takes note that the PBX answered a call towards it.
    pub(super) fn note_code(&mut self, handle: Handle) {
        let is_code = |call: &Call| call.record.to.starts_with(CODES);
        if self.table.get(handle).is_some_and(is_code) {
            if self.pickups.recent.len() >= REMEMBERED {
                self.pickups.recent.pop_front();
            }
            self.pickups.recent.push_back(handle);
        }
    }

    /// The call that picked up what rang at the leg `ringing`, which the PBX took back: it was made while that rang, and answered just then.
    pub(super) fn picked_up_by(&self, handle: Handle, ringing: &Call) -> Option<Pickup> {
        let ended = ringing.record.ring_ended.or_else(|| ringing.final_at.map(|end| end.time))?;
        let rang = ringing.record.rang?;
        let callers = || self.partners(handle);
        let fits = |call: Handle, code: &Call| {
            let answered = code.record.answered.filter(|answered| (*answered - ended).abs() <= COUPLING)?;
            let in_time = code.first.time >= rang
                && callers().all(|(_, caller)| caller.record.answered.is_none_or(|theirs| (theirs - answered).abs() <= COUPLING));
            let is_free = self.partners(call).all(|(partner, _)| callers().any(|(caller, _)| caller == partner));
            (in_time && is_free).then_some(())
        };
        let of_moment = || self.pickups.recent.iter().filter_map(|&call| Some((call, self.table.get(call)?)));
        let mut fitting = of_moment().filter(|(call, code)| fits(*call, code).is_some());
        let names = |code: &Call| !ringing.record.to.is_empty() && code.record.to.ends_with(&*ringing.record.to);
        let (first, code) = fitting.next()?;
        if names(code) {
            return Some(Pickup { call: first, is_directed: true });
        }
        let named = fitting.by_ref().find(|(_, code)| names(code));
        Some(named.map_or(Pickup { call: first, is_directed: false }, |(call, _)| Pickup { call, is_directed: true }))
    }

    /// Joins the caller of a leg with who picked the call up, where it is clear that both are one call.
    pub(super) fn join_pickup(&mut self, ringing: Handle, pickup: Pickup) {
        let callers: Vec<_> = self.partners(ringing).map(|(caller, _)| caller).collect();
        for caller in callers.into_iter().filter(|_| pickup.is_directed) {
            self.join(caller, pickup.call);
        }
    }
}
