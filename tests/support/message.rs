//! SIP messages as text: a start line, headers in order, a body.

use std::net::{IpAddr, SocketAddr};

/// A message that is about to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    start: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Message {
    /// A request without headers.
    pub(crate) fn request(method: &str, uri: &str) -> Self {
        Self { start: format!("{method} {uri} SIP/2.0"), headers: Vec::new(), body: String::new() }
    }

    /// The response to this request as its receiver makes it (RFC 3261 §8.2.6): Via, From, To, Call-ID and CSeq are copied, the top
    /// Via tells where the request came from, and `tag` marks the To unless it has one.
    pub(crate) fn response(&self, status: u16, source: SocketAddr, tag: &str) -> Self {
        let mut response = Self { start: format!("SIP/2.0 {status} {}", reason(status)), headers: Vec::new(), body: String::new() };
        for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
            for value in self.all(name) {
                response.headers.push((name.to_owned(), value.to_owned()));
            }
        }
        let via = stamped(self.get("Via"), source);
        response.set("Via", &via);
        if status != 100 && !self.get("To").contains(";tag=") {
            let to = format!("{};tag={tag}", self.get("To"));
            response.set("To", &to);
        }
        response
    }

    /// Sets the status and the words of a response.
    pub(crate) fn saying(self, line: &str) -> Self {
        Self { start: format!("SIP/2.0 {line}"), ..self }
    }

    /// Appends a header.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Appends several headers.
    pub(crate) fn with_all(self, headers: &[(&str, &str)]) -> Self {
        headers.iter().fold(self, |message, (name, value)| message.with(name, *value))
    }

    /// Puts a header before all others, as a proxy does with Via and Record-Route.
    pub(crate) fn push_top(&mut self, name: &str, value: String) {
        self.headers.insert(0, (name.to_owned(), value));
    }

    /// Takes the topmost header of that name away, as a proxy does with its Via in a response.
    pub(crate) fn pop_top(&mut self, name: &str) {
        if let Some(at) = self.headers.iter().position(|(header, _)| header == name) {
            self.headers.remove(at);
        }
    }

    /// Replaces the first header of that name, or appends one.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        match self.headers.iter_mut().find(|(header, _)| header == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.headers.push((name.to_owned(), value.to_owned())),
        }
    }

    /// The message with a body of that type.
    pub(crate) fn with_body(self, kind: &str, body: String) -> Self {
        let mut message = self.with("Content-Type", kind);
        message.body = body;
        message
    }

    /// Exchanges the body for another one of the same type.
    pub(crate) fn set_body(&mut self, body: String) {
        self.body = body;
    }

    /// The first header of that name, empty if there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.headers.iter().find(|(header, _)| header == name).map_or("", |(_, value)| value)
    }

    /// Every header of that name from the top.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The method of the transaction, from CSeq.
    pub(crate) fn method(&self) -> &str {
        self.get("CSeq").split(' ').nth(1).unwrap_or("")
    }

    /// The Request-URI.
    pub(crate) fn uri(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or("")
    }

    /// Sends the request to another target.
    pub(crate) fn set_uri(&mut self, uri: &str) {
        let method = self.start.split(' ').next().unwrap_or("");
        self.start = format!("{method} {uri} SIP/2.0");
    }

    /// The To tag, empty if there is none.
    pub(crate) fn to_tag(&self) -> &str {
        self.get("To").split_once(";tag=").map_or("", |(_, tag)| tag)
    }

    /// The bytes on the wire. A Content-Length that was set by hand is left as it is.
    pub(crate) fn to_bytes(&self, spelling: Spelling) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            text.push_str(&format!("{}: {value}\r\n", spelling.of(name)));
        }
        if self.get("Content-Length").is_empty() {
            text.push_str(&format!("{}: {}\r\n", spelling.of("Content-Length"), self.body.len()));
        }
        text.push_str("\r\n");
        text.push_str(&self.body);
        text.into_bytes()
    }
}

/// How a sender writes the names of headers.
#[derive(Clone, Copy)]
pub(crate) enum Spelling {
    /// As the RFCs do.
    Full,
    /// With the one-letter forms of RFC 3261 §7.3.3.
    Compact,
}

impl Spelling {
    fn of(self, name: &str) -> &str {
        match (self, name) {
            (Self::Full, _) => name,
            (Self::Compact, "Via") => "v",
            (Self::Compact, "From") => "f",
            (Self::Compact, "To") => "t",
            (Self::Compact, "Call-ID") => "i",
            (Self::Compact, "Contact") => "m",
            (Self::Compact, "Supported") => "k",
            (Self::Compact, "Content-Type") => "c",
            (Self::Compact, "Content-Length") => "l",
            (Self::Compact, _) => name,
        }
    }
}

/// The Via with `received` (RFC 3261 §18.2.1) and `rport` (RFC 3581 §4) as the receiver of a packet from `source` fills them in.
fn stamped(via: &str, source: SocketAddr) -> String {
    let port = via.replace(";rport", &format!(";rport={}", source.port()));
    let sent_by = via.split(' ').nth(1).unwrap_or("").split(';').next().unwrap_or("");
    let same_host = match source.ip() {
        IpAddr::V4(v4) => sent_by.split(':').next() == Some(v4.to_string().as_str()),
        IpAddr::V6(v6) => sent_by.starts_with(&format!("[{v6}]")),
    };
    if same_host { port } else { format!("{port};received={}", source.ip()) }
}

/// The reason phrase that goes with a status.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call is Being Forwarded",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Unknown",
    }
}
