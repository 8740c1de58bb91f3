//! What session descriptions say of the sound that will not be heard (DETECTION §4.6).

use crate::decode::flow::is_private;
use crate::sip::sdp::Sdp;
use crate::table::Handle;
use crate::track::call::Calls;
use crate::track::event::Event;
use crate::track::vocabulary::Direction;
use crate::track::world::{Seen, World};

impl Calls {
    /// Looks at the session description that the PBX sends to a peer, if it does.
    pub fn media(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>) {
        let peer = seen.flow.destination.ip();
        let unknown = self.table.get(handle).is_some_and(|call| !call.private_media);
        if !unknown || is_private(peer) || world.peers.direction(seen.flow) != Direction::Out {
            return;
        }
        let Some(sdp) = seen.read.sdp().filter(|sdp| !sdp.has_ice_candidates) else { return };
        let mut addresses = sdp.media().filter(|media| media.port > 0).filter_map(|media| media.connection_ip());
        let Some(address) = addresses.find(|address| is_private(*address)) else { return };
        if let Some(call) = self.table.get_mut(handle) {
            call.private_media = true;
            let relayed = call.further.is_some();
            world.tell(Event::PrivateMedia { call: handle, flow: seen.flow, address, relayed, at: seen.at });
        }
    }
}

/// Whether a session description refuses all media.
pub(super) fn refuses_all(sdp: &Sdp<'_>) -> bool {
    sdp.first_media.is_some_and(|first| first.port == 0) && sdp.media().all(|media| media.port == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_is_refused_where_each_port_is_0() {
        let refused = |lines: &[u8]| refuses_all(&Sdp::parse(lines));
        assert!(refused(b"v=0\r\nm=audio 0 RTP/AVP 8\r\nm=video 0 RTP/AVP 31\r\n"));
        assert!(!refused(b"v=0\r\nm=audio 4000 RTP/AVP 8\r\nm=video 0 RTP/AVP 31\r\n"));
        assert!(!refused(b"v=0\r\n"), "nothing was offered or refused");
    }
}
