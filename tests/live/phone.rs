//! A phone over UDP: it registers, asks and calls when it is told to, and answers by itself.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::SERVER;
use super::lab::{Host, Lab};

/// How soon it notices that it is switched off.
const LOOK: Duration = Duration::from_millis(50);

/// A phone; it is off when it is dropped.
pub(crate) struct Phone {
    user: &'static str,
    address: String,
    socket: UdpSocket,
    is_off: Arc<AtomicBool>,
    requests: AtomicU32,
}

impl Phone {
    /// A phone on `host` at port 5060 of `ip`.
    pub(crate) fn new(lab: &Lab, host: Host, ip: &str, user: &'static str) -> Self {
        let address = format!("{ip}:5060");
        let socket = lab.on(host, || UdpSocket::bind(&address)).expect("a socket");
        socket.set_read_timeout(Some(LOOK)).expect("a socket");
        let is_off = Arc::new(AtomicBool::new(false));
        let answering =
            Answering { socket: socket.try_clone().expect("a socket"), contact: contact(user, &address), is_off: Arc::clone(&is_off) };
        thread::spawn(move || answering.run());
        Self { user, address, socket, is_off, requests: AtomicU32::new(0) }
    }

    /// Registers, or registers anew.
    pub(crate) fn register(&self) {
        let number = self.next();
        let contact = contact(self.user, &self.address);
        let headers = format!("Contact: {contact}\r\nExpires: 3600\r\nUser-Agent: Yealink SIP-T46S 66.86.0.15\r\n");
        self.request("REGISTER", "sip:192.0.2.1", self.user, "register", number, &headers);
    }

    /// Sends what keeps a NAT open.
    pub(crate) fn keep_alive(&self) {
        self.socket.send_to(b"\r\n\r\n", SERVER).expect("a datagram");
    }

    /// Asks whether another phone is there.
    pub(crate) fn options(&self, user: &str) {
        let number = self.next();
        self.request("OPTIONS", &format!("sip:{user}@192.0.2.1"), user, &format!("options{number}"), number, "");
    }

    /// Calls another phone.
    pub(crate) fn call(&self, user: &str) {
        let number = self.next();
        let contact = format!("Contact: {}\r\n", contact(self.user, &self.address));
        self.request("INVITE", &format!("sip:{user}@192.0.2.1"), user, &format!("call{number}"), number, &contact);
    }

    fn next(&self) -> u32 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn request(&self, method: &str, uri: &str, to: &str, call: &str, number: u32, headers: &str) {
        let Self { user, address, .. } = self;
        let message = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};rport;branch=z9hG4bK{user}x{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@192.0.2.1>;tag={user}{call}\r\nTo: <sip:{to}@192.0.2.1>\r\nCall-ID: {call}@{user}\r\n\
             CSeq: {number} {method}\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        self.socket.send_to(message.as_bytes(), SERVER).expect("a datagram");
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.is_off.store(true, Ordering::Relaxed);
    }
}

fn contact(user: &str, address: &str) -> String {
    format!("<sip:{user}@{address}>")
}

/// What answers.
struct Answering {
    socket: UdpSocket,
    contact: String,
    is_off: Arc<AtomicBool>,
}

impl Answering {
    fn run(&self) {
        let mut bytes = [0; 4_096];
        while !self.is_off.load(Ordering::Relaxed) {
            let Ok((length, from)) = self.socket.recv_from(&mut bytes) else { continue };
            let message = String::from_utf8_lossy(&bytes[..length]);
            if let Some(answer) = self.answer(&message) {
                // A network that is being taken down takes nothing.
                let _ = self.socket.send_to(answer.as_bytes(), from);
            }
        }
    }

    /// An OPTIONS is answered, and a call rings.
    fn answer(&self, message: &str) -> Option<String> {
        let status = match message.split(' ').next()? {
            "OPTIONS" => "200 OK",
            "INVITE" => "180 Ringing",
            _ => return None,
        };
        let mut answer = format!("SIP/2.0 {status}\r\n");
        for line in message.lines().skip(1).take_while(|line| !line.is_empty()) {
            match line.split(':').next()? {
                "To" => answer += &format!("{line};tag=here\r\n"),
                "Via" | "From" | "Call-ID" | "CSeq" | "Record-Route" => answer += &format!("{line}\r\n"),
                _ => {}
            }
        }
        Some(answer + &format!("Contact: {}\r\nContent-Length: 0\r\n\r\n", self.contact))
    }
}
