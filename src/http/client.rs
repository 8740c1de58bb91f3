//! Asks a running daemon.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, Request, StatusCode, Uri};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::access::Token;
use super::server::Io;
use super::tls::ClientTls;

/// Time for a whole exchange.
const PATIENCE: Duration = Duration::from_secs(30);
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
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It took too long.
    #[error("{url} did not answer within {seconds} s", seconds = PATIENCE.as_secs())]
    Late {
        /// Where.
        url: String,
    },
}

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
        let connect = |cause| ClientError::Connect { url: self.url.clone(), cause };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(connect)?;
        let late = |_| ClientError::Late { url: self.url.clone() };
        runtime.block_on(async { timeout(PATIENCE, self.exchange(path, query)).await.map_err(late)? })
    }

    async fn exchange(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, ClientError> {
        let connect = |cause| ClientError::Connect { url: self.url.clone(), cause };
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(connect)?;
        let io: Box<dyn Io> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone()).map_err(|_| ClientError::Url(self.url.clone()))?;
                Box::new(TlsConnector::from(tls.0.clone()).connect(name, stream).await.map_err(connect)?)
            }
        };
        self.ask(io, path, query).await.map_err(|cause| ClientError::Exchange { url: self.url.clone(), cause })
    }

    async fn ask(&self, io: Box<dyn Io>, path: &str, query: &[(&str, &str)]) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let (mut sender, connection) = handshake(TokioIo::new(io)).await?;
        let connection = tokio::spawn(connection);
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let mark = if query.is_empty() { "" } else { "?" };
        let mut request = Request::get(format!("{path}{mark}{query}")).header(HOST, &self.authority);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.header());
        }
        let (head, body) = sender.send_request(request.body(Body::empty())?).await?.into_parts();
        let body = to_bytes(Body::new(body), LONGEST).await?;
        connection.abort();
        Ok(Answer { status: head.status, headers: head.headers, body })
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
