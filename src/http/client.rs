//! Asks a running daemon.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::access::Token;
use super::server::Io;
use super::tls::ClientTls;

/// Time for a whole exchange, or for an answer that goes on to begin.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing may come of an answer that goes on before the kernel asks whether the other side is still there.
const SILENCE: Duration = Duration::from_secs(15);
/// How often it asks, and how many times in vain.
const PROBE: (Duration, u32) = (Duration::from_secs(5), 3);
/// Bytes of an answer at most.
const LONGEST: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// That is no address of a daemon.
    #[error("{0:?} is no address of a daemon; wanted: http://HOST:PORT, or https://HOST:PORT with the certificate to trust")]
    Url(String),
    /// Nobody listens there.
    #[error("no daemon answers at {url}: {cause}")]
    Connect {
        /// Where.
        url: String,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// Somebody listens there, but not in HTTP.
    #[error("{url} does not answer as siphound does: {cause}")]
    Exchange {
        /// Where.
        url: String,
        /// What was wrong.
        #[source]
        cause: Broken,
    },
    /// It took too long.
    #[error("{url} did not answer within {seconds} s", seconds = PATIENCE.as_secs())]
    Late {
        /// Where.
        url: String,
    },
    /// An answer that goes on broke off.
    #[error("{url} broke off before it was done: {cause}")]
    Lost {
        /// Where.
        url: String,
        /// What was wrong.
        #[source]
        cause: hyper::Error,
    },
}

/// Anything that goes wrong while HTTP is spoken.
type Broken = Box<dyn std::error::Error + Send + Sync>;

/// What the daemon says.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A daemon that can be asked.
#[derive(Clone, Debug)]
pub struct Client {
    url: String,
    host: String,
    port: u16,
    authority: String,
    tls: Option<ClientTls>,
    token: Option<Token>,
}

impl Client {
    /// Whether the daemon is asked on this host.
    pub fn is_here(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// The daemon at `url`: `http://127.0.0.1:15060`. An `https` one needs `tls`.
    pub fn new(url: &str, token: Option<Token>, tls: Option<ClientTls>) -> Result<Self, ClientError> {
        let refused = || ClientError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| refused())?;
        let (authority, secure) = match (uri.authority(), uri.scheme_str()) {
            (Some(authority), Some("http")) => (authority, false),
            (Some(authority), Some("https")) if tls.is_some() => (authority, true),
            _ => return Err(refused()),
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || authority.as_str().contains('@') {
            return Err(refused());
        }
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            authority: authority.to_string(),
            tls: tls.filter(|_| secure),
            token,
        })
    }

    /// Where it asks.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks for `path` with a query of these names and values. Not to be called on a thread of a runtime.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, ClientError> {
        self.exchange(Method::GET, path, query)
    }

    /// Tells the daemon to do what `path` names. Not to be called on a thread of a runtime.
    pub fn post(&self, path: &str) -> Result<Answer, ClientError> {
        self.exchange(Method::POST, path, &[])
    }

    /// Asks for `path`, whose answer goes on. Not to be called on a thread of a runtime.
    pub fn follow(&self, path: &str, query: &[(&str, &str)]) -> Result<Stream, ClientError> {
        let runtime = self.runtime()?;
        let (head, body) = self.within(&runtime, self.begin(Method::GET, path, query))?.into_parts();
        Ok(Stream { status: head.status, headers: head.headers, body, url: self.url.clone(), runtime })
    }

    fn exchange(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Result<Answer, ClientError> {
        self.within(&self.runtime()?, async {
            let (head, body) = self.begin(method, path, query).await?.into_parts();
            let body = to_bytes(Body::new(body), LONGEST).await.map_err(|cause| self.broken(cause.into()))?;
            Ok(Answer { status: head.status, headers: head.headers, body })
        })
    }

    /// The connection lives on the runtime, and goes with it.
    fn runtime(&self) -> Result<Runtime, ClientError> {
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|cause| self.unreached(cause))
    }

    fn within<T>(&self, runtime: &Runtime, work: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        let late = |_| ClientError::Late { url: self.url.clone() };
        runtime.block_on(async { timeout(PATIENCE, work).await.map_err(late)? })
    }

    fn unreached(&self, cause: io::Error) -> ClientError {
        ClientError::Connect { url: self.url.clone(), cause }
    }

    fn broken(&self, cause: Broken) -> ClientError {
        ClientError::Exchange { url: self.url.clone(), cause }
    }

    /// Connects, asks, and waits for the answer to begin.
    async fn begin(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Result<Response<Incoming>, ClientError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|cause| self.unreached(cause))?;
        keep_alive(&stream).map_err(|cause| self.unreached(cause))?;
        let io: Box<dyn Io> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone()).map_err(|_| ClientError::Url(self.url.clone()))?;
                Box::new(TlsConnector::from(tls.0.clone()).connect(name, stream).await.map_err(|cause| self.unreached(cause))?)
            }
        };
        self.ask(io, method, path, query).await.map_err(|cause| self.broken(cause))
    }

    async fn ask(&self, io: Box<dyn Io>, method: Method, path: &str, query: &[(&str, &str)]) -> Result<Response<Incoming>, Broken> {
        let (mut sender, connection) = handshake(TokioIo::new(io)).await?;
        tokio::spawn(connection);
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let mark = if query.is_empty() { "" } else { "?" };
        let mut request = Request::builder().method(method).uri(format!("{path}{mark}{query}")).header(HOST, &self.authority);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.header());
        }
        Ok(sender.send_request(request.body(Body::empty())?).await?)
    }
}

/// Lets the kernel find out that the other side is gone, where it went without a word.
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let (interval, times) = PROBE;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, SILENCE)?;
    sockopt::set_tcp_keepintvl(stream, interval)?;
    Ok(sockopt::set_tcp_keepcnt(stream, times)?)
}

/// An answer that goes on. The connection ends when it is dropped.
#[derive(Debug)]
pub struct Stream {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
    url: String,
    runtime: Runtime,
}

impl Stream {
    /// Waits for the next piece; `None` at the end.
    pub fn piece(&mut self) -> Result<Option<Bytes>, ClientError> {
        let Self { body, url, runtime, .. } = self;
        loop {
            match runtime.block_on(poll_fn(|context| Pin::new(&mut *body).poll_frame(context))) {
                None => return Ok(None),
                Some(Err(cause)) => return Err(ClientError::Lost { url: url.clone(), cause }),
                // Trailers say nothing here.
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }

    /// Waits for the end, for an answer that is a whole after all.
    pub fn whole(self) -> Result<Answer, ClientError> {
        let Self { status, headers, body, url, runtime } = self;
        let late = |_| ClientError::Late { url: url.clone() };
        let broken = |cause: axum::Error| ClientError::Exchange { url: url.clone(), cause: cause.into() };
        let body = runtime.block_on(async { timeout(PATIENCE, to_bytes(Body::new(body), LONGEST)).await });
        Ok(Answer { status, headers, body: body.map_err(late)?.map_err(broken)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_and_an_authority() {
        for url in ["http://127.0.0.1:15060", "http://[::1]:15060/", "http://pbx.example"] {
            assert!(Client::new(url, None, None).is_ok(), "{url}");
        }
        for url in ["", "127.0.0.1:15060", "ftp://127.0.0.1", "http://", "http://a/b", "http://a?b", "http://user@a", "https://pbx.example"]
        {
            assert!(Client::new(url, None, None).is_err(), "{url:?}");
        }
    }

    #[test]
    fn where_nobody_listens_the_address_is_told() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket").local_addr().expect("an address");
        let error = Client::new(&format!("http://{free}"), None, None).expect("a client").get("/healthz", &[]).expect_err("nobody");
        assert!(matches!(&error, ClientError::Connect { .. }), "{error}");
        assert!(error.to_string().contains(&free.to_string()), "{error}");
    }
}
