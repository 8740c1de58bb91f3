//! SIP messages by hand, for what no well-behaved phone does.

use std::net::UdpSocket;

use super::lab::{Host, Lab};

/// A UDP socket on a host.
pub(crate) struct Agent {
    socket: UdpSocket,
}

impl Agent {
    /// A socket on `host` at `address`.
    pub(crate) fn new(lab: &Lab, host: Host, address: &str) -> Self {
        Self { socket: lab.on(host, || UdpSocket::bind(address)).expect("a socket") }
    }

    /// Sends a message.
    pub(crate) fn send(&self, to: &str, message: &str) {
        self.socket.send_to(message.as_bytes(), to).expect("a datagram");
    }

    /// Sends whatever the kernel takes: a flood does not mind what is refused.
    pub(crate) fn flood(&self, to: &str, message: &str) {
        let _ = self.socket.send_to(message.as_bytes(), to);
    }
}

/// A request of the transaction `branch`; the Call-ID is the same as the branch.
pub(crate) fn request(method: &str, branch: &str) -> String {
    format!(
        "{method} sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5080;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:200@192.0.2.1>;tag=f{branch}\r\nTo: <sip:100@192.0.2.1>\r\nCall-ID: {branch}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:200@192.0.2.2:5080>\r\nContent-Length: 0\r\n\r\n"
    )
}

/// The response `status` to [`request`].
pub(crate) fn response(status: &str, method: &str, branch: &str) -> String {
    format!(
        "SIP/2.0 {status}\r\nVia: SIP/2.0/UDP 192.0.2.2:5080;branch=z9hG4bK{branch}\r\nFrom: <sip:200@192.0.2.1>;tag=f{branch}\r\n\
         To: <sip:100@192.0.2.1>;tag=t{branch}\r\nCall-ID: {branch}\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    )
}
