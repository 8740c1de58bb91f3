//! IPv4 and IPv6 headers.

use etherparse::err::ipv4::HeaderSliceError;
use etherparse::{IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice};

use super::{Completeness, Content, Fragment, Hop, MAX_DEPTH, Packet, Position, Tagging, Way, content, missing};
use crate::decode::outcome::Skip;
use crate::decode::read::u8_at;

/// Reads an IP packet of the version that its first four bits name.
pub(super) fn packet(bytes: &[u8], tagging: Tagging, way: Way) -> Result<Packet<'_>, Skip> {
    if way.depth > MAX_DEPTH {
        return Err(Skip::Malformed);
    }
    match u8_at(bytes, 0).ok_or(Skip::Truncated)? >> 4 {
        4 => v4(bytes, tagging, way),
        6 => v6(bytes, tagging, way),
        _ => Err(Skip::Malformed),
    }
}

fn v4(bytes: &[u8], tagging: Tagging, way: Way) -> Result<Packet<'_>, Skip> {
    let header = Ipv4HeaderSlice::from_slice(bytes).map_err(|error| match error {
        HeaderSliceError::Len(_) => Skip::Truncated,
        HeaderSliceError::Content(_) => Skip::Malformed,
    })?;
    let total = match header.total_len() {
        // Segmentation offload leaves the total length 0 in packets captured before the card filled it in.
        0 => bytes.len(),
        total => usize::from(total),
    };
    let (body, completeness) = body(bytes, header.slice().len(), total)?;
    let hop = Hop {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        ident: header.identification(),
        ttl: header.ttl(),
        tagging,
    };
    if !header.is_fragmenting_payload() {
        return content(hop, header.protocol(), body, completeness, way);
    }
    let fragment = Fragment {
        ident: header.identification().into(),
        protocol: header.protocol(),
        offset: header.fragments_offset().byte_offset().into(),
        position: position(header.more_fragments()),
        payload: body,
    };
    part(hop, completeness, fragment)
}

fn v6(bytes: &[u8], tagging: Tagging, way: Way) -> Result<Packet<'_>, Skip> {
    let header = Ipv6HeaderSlice::from_slice(bytes).map_err(|_| Skip::Truncated)?;
    let header_len = header.slice().len();
    let total = match header.payload_length() {
        // A jumbogram, or a packet before segmentation offload: all there is belongs to it.
        0 => bytes.len(),
        length => header_len + usize::from(length),
    };
    let (body, completeness) = body(bytes, header_len, total)?;
    let hop = Hop {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        ident: 0,
        ttl: header.hop_limit(),
        tagging,
    };
    extensions(hop, header.next_header(), body, completeness, way)
}

/// Walks the extension headers; their number is bounded by the bytes, since each has at least eight. The walk of `etherparse` itself goes
/// on behind a fragment header, where a fragment has a part of the payload and no headers to walk.
fn extensions(hop: Hop, mut next: IpNumber, mut body: &[u8], completeness: Completeness, way: Way) -> Result<Packet<'_>, Skip> {
    loop {
        let length = match next {
            IpNumber::IPV6_HEADER_HOP_BY_HOP | IpNumber::IPV6_ROUTE_HEADER | IpNumber::IPV6_DESTINATION_OPTIONS => {
                let header = Ipv6RawExtHeaderSlice::from_slice(body).map_err(|_| missing(completeness))?;
                next = header.next_header();
                header.slice().len()
            }
            IpNumber::AUTHENTICATION_HEADER => {
                let header = IpAuthHeaderSlice::from_slice(body).map_err(|_| missing(completeness))?;
                next = header.next_header();
                header.slice().len()
            }
            IpNumber::IPV6_FRAGMENTATION_HEADER => return v6_part(hop, body, completeness, way),
            _ => return content(hop, next, body, completeness, way),
        };
        body = body.get(length..).unwrap_or_default();
    }
}

fn v6_part(hop: Hop, body: &[u8], completeness: Completeness, way: Way) -> Result<Packet<'_>, Skip> {
    let header = Ipv6FragmentHeaderSlice::from_slice(body).map_err(|_| missing(completeness))?;
    let protocol = header.next_header();
    let payload = body.get(header.slice().len()..).unwrap_or_default();
    // An atomic fragment is a whole packet (RFC 6946).
    if !header.is_fragmenting_payload() {
        return content(hop, protocol, payload, completeness, way);
    }
    let fragment = Fragment {
        ident: header.identification(),
        protocol,
        offset: header.fragment_offset().byte_offset().into(),
        position: position(header.more_fragments()),
        payload,
    };
    part(hop, completeness, fragment)
}

/// What lies between the header and the end of the packet, or of the capture.
fn body(bytes: &[u8], header_len: usize, total: usize) -> Result<(&[u8], Completeness), Skip> {
    let body = bytes.get(header_len..total.min(bytes.len())).ok_or(Skip::Malformed)?;
    let completeness = match total.checked_sub(bytes.len()) {
        None | Some(0) => Completeness::Whole,
        Some(missing) => Completeness::Cut { missing },
    };
    Ok((body, completeness))
}

fn position(more_fragments: bool) -> Position {
    if more_fragments { Position::Inner } else { Position::Last }
}

/// A cut fragment can never make a whole packet; one that is not a multiple of eight bytes and not the last contradicts itself.
fn part(hop: Hop, completeness: Completeness, fragment: Fragment<'_>) -> Result<Packet<'_>, Skip> {
    if completeness != Completeness::Whole {
        return Err(Skip::Truncated);
    }
    if fragment.payload.is_empty() || (fragment.position == Position::Inner && !fragment.payload.len().is_multiple_of(8)) {
        return Err(Skip::Malformed);
    }
    Ok(Packet { hop, content: Content::Fragment(fragment) })
}
