//! SIP over SCTP (RFC 4168): user messages out of DATA chunks.
//!
//! A user message is one SIP message. Pieces of one follow each other in the numbering; a piece out of order gives the message up, since
//! associations that carry SIP at a capture point are rare and short of loss.

use crate::decode::copies::Marks;
use crate::decode::dissect::{DataChunk, Hop, data_chunks};
use crate::decode::ends::flow_key;
use crate::decode::flow::Flow;
use crate::decode::framer::{Framer, Opening};
use crate::decode::outcome::Skip;
use crate::decode::outlet::{Current, Outlet};
use crate::table::{Digester, ExpiringTable, Rank};
use crate::time::{PacketTime, Span};

/// Directions of associations with an incomplete message at once.
const MAX_PARTIAL: usize = 1_024;
/// The longest user message that is put together.
const MAX_MESSAGE: usize = 64 << 10;
/// How long the rest of a message is waited for.
const TIMEOUT: Span = Span::from_secs(30);

/// Messages whose last piece has not come.
#[derive(Debug)]
pub(super) struct Chunks {
    table: ExpiringTable<Partial>,
    digester: Digester,
}

#[derive(Debug)]
struct Partial {
    next: u32,
    bytes: Vec<u8>,
    frames: u64,
}

impl Chunks {
    /// No message yet.
    pub(super) fn new(digester: Digester) -> Self {
        Self { table: ExpiringTable::new(MAX_PARTIAL), digester }
    }

    /// Handles the chunks of a packet.
    pub(super) fn packet<F: Framer>(
        &mut self,
        chunks: &[u8],
        hop: &Hop,
        flow: Flow,
        framer: &F,
        mut current: Current,
        outlet: &mut Outlet,
    ) {
        for chunk in data_chunks(chunks) {
            match (chunk.first, chunk.last) {
                (true, true) => pass(chunk.data, hop, flow, framer, &mut current, outlet),
                (true, false) => self.begin(&chunk, flow, framer, &mut current, outlet),
                (false, _) => self.go_on(&chunk, hop, flow, framer, &mut current, outlet),
            }
        }
        outlet.skip(Skip::NotSip, current.frames);
    }

    /// Gives up what has waited in vain until `now`.
    pub(super) fn expire(&mut self, now: PacketTime, outlet: &mut Outlet) {
        while let Some((handle, _)) = self.table.pop_due(now) {
            give_up(self.table.remove(handle), Skip::IncompleteStream, outlet);
        }
    }

    /// Messages in reassembly.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Messages dropped for lack of room.
    pub(super) fn evicted(&self) -> u64 {
        self.table.evicted()
    }

    fn begin<F: Framer>(&mut self, chunk: &DataChunk<'_>, flow: Flow, framer: &F, current: &mut Current, outlet: &mut Outlet) {
        if framer.opening(chunk.data) == Opening::Other {
            return;
        }
        let key = self.digester.bytes(&flow_key(&flow));
        let old = self.table.find(key).and_then(|handle| self.table.remove(handle));
        give_up(old, Skip::IncompleteStream, outlet);
        let partial = Partial { next: chunk.tsn.wrapping_add(1), bytes: chunk.data.to_vec(), frames: std::mem::take(&mut current.frames) };
        let (_, evicted) = self.table.insert(key, partial, current.time + TIMEOUT, Rank::Ordinary);
        give_up(evicted, Skip::Evicted, outlet);
    }

    fn go_on<F: Framer>(&mut self, chunk: &DataChunk<'_>, hop: &Hop, flow: Flow, framer: &F, current: &mut Current, outlet: &mut Outlet) {
        let Some(handle) = self.table.find(self.digester.bytes(&flow_key(&flow))) else { return };
        let Some(partial) = self.table.get_mut(handle) else { return };
        if partial.next != chunk.tsn || partial.bytes.len() + chunk.data.len() > MAX_MESSAGE {
            return give_up(self.table.remove(handle), Skip::IncompleteStream, outlet);
        }
        partial.next = chunk.tsn.wrapping_add(1);
        partial.bytes.extend_from_slice(chunk.data);
        partial.frames += std::mem::take(&mut current.frames);
        if chunk.last
            && let Some(whole) = self.table.remove(handle)
        {
            current.frames += whole.frames;
            pass(&whole.bytes, hop, flow, framer, current, outlet);
        }
    }
}

/// Passes a message on, and with it the frames that brought it.
fn pass<F: Framer>(message: &[u8], hop: &Hop, flow: Flow, framer: &F, current: &mut Current, outlet: &mut Outlet) {
    if framer.opening(message) == Opening::Start {
        outlet.payload(*current, flow, Marks::from(hop), message);
        current.frames = 0;
    }
}

fn give_up(partial: Option<Partial>, reason: Skip, outlet: &mut Outlet) {
    outlet.skip(reason, partial.map_or(0, |partial| partial.frames));
}
