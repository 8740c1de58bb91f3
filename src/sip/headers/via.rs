//! Via: where a message went by, and where its answer goes.

use crate::sip::text::{self, Params, split_at, split_word, trim, trim_start};
use crate::sip::uri::split_host;
use std::net::IpAddr;

/// The `rport` parameter, RFC 3581.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Rport {
    /// Not there.
    #[default]
    Absent,
    /// There without a value: the sender asks for the answer at the port it sent from.
    Empty,
    /// The port the message came from, as the next hop saw it.
    Port(u16),
}

/// The `keep` parameter, RFC 6223.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Keep {
    /// The sender is willing to send keep-alives.
    Offered,
    /// The receiver asks for one at least every so many seconds; 0 leaves the choice to the sender.
    Seconds(u32),
}

/// One Via value.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Via<'a> {
    /// The transport as written, such as `UDP`.
    pub transport: &'a [u8],
    /// The host of sent-by; an IPv6 address without its square brackets.
    pub host: &'a [u8],
    /// The port of sent-by.
    pub port: Option<u16>,
    /// The branch.
    pub branch: Option<&'a [u8]>,
    /// The address the message came from, as the next hop saw it; square brackets kept.
    pub received: Option<&'a [u8]>,
    /// The port the message came from, as the next hop saw it.
    pub rport: Rport,
    /// Keep-alives offered or asked for.
    pub keep: Option<Keep>,
    /// The protocol name and version as written, white space included.
    pub(in crate::sip) protocol: (&'a [u8], &'a [u8]),
    /// Host and port as written.
    pub(in crate::sip) sent_by: &'a [u8],
    pub(in crate::sip) params: Option<&'a [u8]>,
}

impl<'a> Via<'a> {
    /// Reads one element of a Via list. Nothing fails; what is not there is empty.
    pub fn parse(element: &'a [u8]) -> Self {
        let mut via = Self::without_params(element);
        Params::new(via.params.unwrap_or_default()).for_each(|param| via.take(param));
        via
    }

    /// Reads an element as far as its parameters.
    pub(in crate::sip) fn without_params(element: &'a [u8]) -> Self {
        let (head, params) = split_at(element, b';');
        let (name, rest) = split_at(head, b'/');
        let (version, rest) = split_at(rest.unwrap_or_default(), b'/');
        let (transport, sent_by) = match rest {
            Some(rest) => split_word(trim_start(rest)),
            None => (&[][..], split_word(trim(head)).1),
        };
        let (host, port) = split_host(sent_by);
        Self { transport, host, port: port.and_then(text::port), protocol: (trim(name), trim(version)), sent_by, params, ..Self::default() }
    }

    fn take(&mut self, param: text::Param<'a>) {
        if param.is("branch") {
            self.branch = param.value;
        } else if param.is("received") {
            self.received = param.value;
        } else if param.is("rport") {
            self.rport = param.value.and_then(text::port).map_or(Rport::Empty, Rport::Port);
        } else if param.is("keep") {
            self.keep = Some(param.value.and_then(text::seconds).map_or(Keep::Offered, Keep::Seconds));
        }
    }

    /// The host of sent-by as an address, if it is one.
    pub fn host_ip(&self) -> Option<IpAddr> {
        text::ip(self.host)
    }

    /// `received` as an address; with or without square brackets (RFC 5118 §4.5).
    pub fn received_ip(&self) -> Option<IpAddr> {
        self.received.and_then(text::ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parameters_are_read() {
        let via = Via::parse(b"SIP/2.0/TCP 10.0.0.1:5062;Branch=z9hG4bK1;RPORT=40000;received=192.0.2.9;keep=30;alias");
        assert_eq!((via.transport, via.host, via.port), (&b"TCP"[..], &b"10.0.0.1"[..], Some(5062)));
        assert_eq!((via.branch, via.rport, via.keep), (Some(&b"z9hG4bK1"[..]), Rport::Port(40000), Some(Keep::Seconds(30))));
        assert_eq!((via.host_ip(), via.received_ip()), ("10.0.0.1".parse().ok(), "192.0.2.9".parse().ok()));
    }

    #[test]
    fn an_offer_is_not_an_answer() {
        let via = Via::parse(b"SIP/2.0/UDP host ;rport;keep");
        assert_eq!((via.host, via.port, via.rport, via.keep), (&b"host"[..], None, Rport::Empty, Some(Keep::Offered)));
        assert_eq!(Via::parse(b"SIP/2.0/UDP host").rport, Rport::Absent);
    }

    #[test]
    fn what_is_missing_is_empty() {
        let via = Via::parse(b"SIP/2.0/UDP");
        assert_eq!((via.transport, via.host), (&b"UDP"[..], &b""[..]));
        assert_eq!(Via::parse(b"UDP 192.0.2.1;branch=x").host, b"192.0.2.1");
        assert_eq!(Via::parse(b"").host, b"");
    }
}
