//! The connections: how many, for how long, and how they end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::EngineSource;
use super::access::{Access, Peer};
use super::lease::Lease;
use super::routes::router;
use super::tls::ServerTls;
use crate::report::mask::Mask;

/// Bounds on what clients can take.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Connections at a time. For a further one, that which has asked nothing for longest makes room, once it had its `courtesy`.
    connections: usize,
    /// Time that a connection may ask nothing while others wait.
    courtesy: Duration,
    /// Time from accepting, or from the last answer, to the end of the next request's headers.
    headers: Duration,
    /// Bytes of a request's headers.
    header_bytes: usize,
    /// Time for a snapshot; less than the 10 s after which Prometheus gives up.
    snapshot: Duration,
    /// Time a connection may live before it is asked to end.
    life: Duration,
    /// Time that open requests get once a connection or the server is to end.
    grace: Duration,
}

const BOUNDS: Bounds = Bounds {
    connections: 64,
    courtesy: Duration::from_millis(250),
    headers: Duration::from_secs(10),
    header_bytes: 16 * 1024,
    snapshot: Duration::from_secs(5),
    life: Duration::from_secs(60),
    grace: Duration::from_millis(800),
};

/// Pause after a failed accept, which is mostly for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The threads of the server could not be started.
    #[error("cannot start the threads of the HTTP server: {0}")]
    Runtime(#[source] io::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}; another address can be given with --listen, metrics.listen or api.listen")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
}

/// What is served where.
#[derive(Clone, Debug)]
pub struct Serving {
    /// The address to listen on.
    pub address: SocketAddr,
    /// Who may read the API there; nobody without.
    pub api: Option<Access>,
    /// TLS, if any.
    pub tls: Option<ServerTls>,
}

/// A running server; it ends when it is stopped or dropped.
#[derive(Debug)]
pub struct Server {
    runtime: Runtime,
    stop: watch::Sender<Stop>,
    address: SocketAddr,
    connections: Arc<Semaphore>,
    bounds: Bounds,
}

/// Whether the server is to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stop {
    NotYet,
    Now,
}

impl Server {
    /// Serves what `source` says, through `mask` where it names people, until [`stop`](Self::stop).
    pub fn start<S: EngineSource>(serving: Serving, mask: Mask, source: S) -> Result<Self, HttpError> {
        Self::start_within(serving, mask, source, BOUNDS)
    }

    fn start_within<S: EngineSource>(serving: Serving, mask: Mask, source: S, bounds: Bounds) -> Result<Self, HttpError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .thread_name("http")
            .enable_all()
            .build()
            .map_err(HttpError::Runtime)?;
        let address = serving.address;
        let bind_error = |cause| HttpError::Bind { address, cause };
        let listener = runtime.block_on(TcpListener::bind(address)).map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        let (stop, stopped) = watch::channel(Stop::NotYet);
        let connections = Arc::new(Semaphore::new(bounds.connections));
        let router = router(source, bounds.snapshot, serving.api, mask);
        let tls = serving.tls.map(|tls| TlsAcceptor::from(tls.0));
        let accept = Accept { router, tls, stopped, connections: Arc::clone(&connections), bounds };
        runtime.spawn(accept.run(listener));
        Ok(Self { runtime, stop, address, connections, bounds })
    }

    /// The address that is listened on, with the port that the system chose where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the server: no new connections, and less than a second for the open requests. Not to be called on a thread of a runtime.
    pub fn stop(self) {
        let _ = self.stop.send(Stop::Now);
        let all = self.bounds.connections as u32;
        let closed = async { timeout(self.bounds.grace, self.connections.acquire_many(all)).await.is_ok() };
        if !self.runtime.block_on(closed) {
            tracing::debug!("HTTP connections were still open at the end");
        }
        self.runtime.shutdown_background();
    }
}

/// Accepts connections.
struct Accept {
    router: Router,
    tls: Option<TlsAcceptor>,
    stopped: watch::Receiver<Stop>,
    connections: Arc<Semaphore>,
    bounds: Bounds,
}

impl Accept {
    /// Runs until the server is stopped.
    async fn run(self, listener: TcpListener) {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = self.accept_all(&listener) => {}
            _ = stopped.wait_for(|stop| *stop == Stop::Now) => {}
        }
    }

    /// Accepts one after the other. It has no end of its own: nobody closes the semaphore.
    async fn accept_all(&self, listener: &TcpListener) {
        let mut open = Vec::new();
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let Ok(permit) = self.room(&mut open).await else { return };
                    let lease = Lease::default();
                    lease.rest();
                    open.push(lease.clone());
                    tokio::spawn(self.connection(stream, peer, lease, permit));
                }
                Err(error) => {
                    tracing::warn!(%error, "Cannot accept an HTTP connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Waits for room. Clients that never finish their headers cannot keep others out: the one that is silent for longest has to go.
    async fn room(&self, open: &mut Vec<Lease>) -> Result<OwnedSemaphorePermit, AcquireError> {
        if let Ok(permit) = Arc::clone(&self.connections).try_acquire_owned() {
            open.retain(|lease| !lease.is_over());
            return Ok(permit);
        }
        let ended = Arc::clone(&self.connections).acquire_owned();
        let mut ended = std::pin::pin!(ended);
        while let Some((since, lease)) = open.iter().filter_map(|lease| Some((lease.idle_since()?, lease))).min_by_key(|(since, _)| *since)
        {
            tokio::select! {
                permit = ended.as_mut() => return permit,
                () = sleep_until(since + self.bounds.courtesy) => {}
            }
            // It may have asked meanwhile.
            if lease.idle_since() == Some(since) {
                lease.cut();
                break;
            }
        }
        ended.await
    }

    /// Serves one connection until it ends, its life is over, or the server is stopped.
    fn connection(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        lease: Lease,
        permit: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + Send + 'static {
        let routes = TowerToHyperService::new(self.router.clone());
        let of_requests = lease.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            of_requests.work();
            introduce(&mut request, peer, &of_requests);
            let (answer, lease) = (routes.call(request), of_requests.clone());
            async move {
                let answer = answer.await;
                lease.rest();
                answer
            }
        });
        let mut stopped = self.stopped.clone();
        let bounds = self.bounds;
        let tls = self.tls.clone();
        async move {
            let stream = tokio::select! {
                stream = secured(stream, tls, bounds.headers) => stream,
                () = lease.until_cut() => None,
            };
            let Some(stream) = stream else { return drop(permit) };
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(bounds.headers).max_buf_size(bounds.header_bytes);
            let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
            let ended = tokio::select! {
                ended = connection.as_mut() => Some(ended),
                () = life(&lease, bounds.life) => None,
                () = lease.until_cut() => return drop(permit),
                _ = stopped.wait_for(|stop| *stop == Stop::Now) => None,
            };
            let ended = match ended {
                Some(ended) => ended,
                None => {
                    connection.as_mut().graceful_shutdown();
                    timeout(bounds.grace, connection).await.unwrap_or(Ok(()))
                }
            };
            if let Err(error) = ended {
                tracing::trace!(%error, "An HTTP connection ended early");
            }
            drop(permit);
        }
    }
}

/// Tells the pages who sent a request, and over which connection.
pub fn introduce<B>(request: &mut Request<B>, peer: SocketAddr, lease: &Lease) {
    request.extensions_mut().insert(lease.clone());
    request.extensions_mut().insert(Peer(peer));
}

/// What bytes go over.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The stream under TLS, where there is any; `None` where the other side does not come to terms in time.
async fn secured(stream: TcpStream, tls: Option<TlsAcceptor>, patience: Duration) -> Option<Box<dyn Io>> {
    let Some(tls) = tls else { return Some(Box::new(stream)) };
    match timeout(patience, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(Box::new(stream)),
        Ok(Err(error)) => {
            tracing::trace!(%error, "A TLS connection was not agreed on");
            None
        }
        Err(_) => None,
    }
}

/// Lasts as long as a connection may live: one that streams may live on.
async fn life(lease: &Lease, life: Duration) {
    sleep(life).await;
    while lease.is_prolonged() {
        sleep(life).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::io::{Read, Write};
    use std::net::Ipv4Addr;
    use std::sync::OnceLock;

    use super::*;
    use crate::http::{Assistants, Events, Peers, SnapshotSource, Token, Unavailable, View};
    use crate::metrics::Snapshot;

    /// An engine that answers in one fixed way.
    #[derive(Clone, Copy)]
    enum Engine {
        Well,
        /// Its metrics name sites.
        Naming,
        Silent,
        Down(Unavailable),
    }

    impl SnapshotSource for Engine {
        async fn snapshot(&self) -> Result<Snapshot, Unavailable> {
            match self {
                Self::Well => Ok(Snapshot::default()),
                Self::Naming => {
                    let mut snapshot = Snapshot::default();
                    snapshot.names_somebody = true;
                    Ok(snapshot)
                }
                Self::Silent => pending().await,
                Self::Down(reason) => Err(*reason),
            }
        }

        fn readiness(&self) -> Result<(), Unavailable> {
            match self {
                Self::Down(reason) => Err(*reason),
                _ => Ok(()),
            }
        }
    }

    impl EngineSource for Engine {
        fn events(&self) -> &Arc<Events> {
            static EVENTS: OnceLock<Arc<Events>> = OnceLock::new();
            EVENTS.get_or_init(Arc::default)
        }

        fn assistants(&self) -> &Arc<Assistants> {
            static ASSISTANTS: OnceLock<Arc<Assistants>> = OnceLock::new();
            ASSISTANTS.get_or_init(Arc::default)
        }

        async fn look<T, F>(&self, _: F) -> Result<T, Unavailable>
        where
            T: Send + 'static,
            F: FnOnce(&View<'_>) -> T + Send + 'static,
        {
            match self {
                Self::Down(reason) => Err(*reason),
                _ => pending().await,
            }
        }
    }

    fn server(engine: Engine, bounds: Bounds) -> Server {
        Server::start_within(
            Serving { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), api: None, tls: None },
            Mask::none(),
            engine,
            bounds,
        )
        .expect("a free port")
    }

    fn connect(server: &Server) -> std::net::TcpStream {
        std::net::TcpStream::connect(server.address()).expect("connect")
    }

    /// Sends a request and reads until the server closes the connection.
    fn exchange(server: &Server, request: &str) -> String {
        let mut stream = connect(server);
        stream.write_all(request.as_bytes()).expect("send");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    fn ask(server: &Server, method: &str, path: &str) -> String {
        exchange(server, &format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    }

    #[test]
    fn metrics_are_served_in_the_exposition_format() {
        let server = server(Engine::Well, BOUNDS);
        let answer = ask(&server, "GET", "/metrics");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
        assert!(answer.contains("\nsiphound_build_info{"), "{answer}");
        let (_, body) =
            ask(&server, "HEAD", "/metrics").split_once("\r\n\r\n").map(|(head, body)| (head.to_owned(), body.to_owned())).expect("head");
        assert_eq!(body, "");
        server.stop();
    }

    /// What phones wrote is in the pages: a browser makes no document of them and shows them in no frame.
    #[test]
    fn pages_are_taken_for_what_they_are() {
        let server = server(Engine::Well, BOUNDS);
        for path in ["/", "/metrics", "/healthz", "/nothing", "/api/v1/nothing"] {
            let answer = ask(&server, "GET", path);
            assert!(answer.contains("x-content-type-options: nosniff\r\n"), "{answer}");
            assert!(answer.contains("content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"), "{answer}");
        }
    }

    #[test]
    fn metrics_that_name_somebody_are_for_those_who_may_read_the_api() {
        let own = server(Engine::Naming, BOUNDS);
        assert!(ask(&own, "GET", "/metrics").starts_with("HTTP/1.1 200 "), "this host may");
        let page = exchange(&own, "GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
        assert!(page.starts_with("HTTP/1.1 403 "), "a page of a browser may not: {page}");
        let api = Some(Access { peers: Peers::Anyone, token: Token::new("correct-horse-battery") });
        let serving = Serving { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), api, tls: None };
        let guarded = Server::start(serving.clone(), Mask::none(), Engine::Naming).expect("a free port");
        assert!(ask(&guarded, "GET", "/metrics").starts_with("HTTP/1.1 401 "));
        assert!(ask(&guarded, "GET", "/healthz").starts_with("HTTP/1.1 200 "));
        let token = "GET /metrics HTTP/1.1\r\nHost: pbx\r\nAuthorization: Bearer correct-horse-battery\r\nConnection: close\r\n\r\n";
        assert!(exchange(&guarded, token).starts_with("HTTP/1.1 200 "));
        let plain = Server::start(serving, Mask::none(), Engine::Well).expect("a free port");
        assert!(ask(&plain, "GET", "/metrics").starts_with("HTTP/1.1 200 "), "numbers alone are for all");
    }

    #[test]
    fn the_index_names_each_page_and_each_page_is_there() {
        let server = server(Engine::Well, BOUNDS);
        let index = ask(&server, "GET", "/");
        for path in ["/metrics", "/healthz", "/readyz"] {
            assert!(index.contains(path));
            assert!(ask(&server, "GET", path).starts_with("HTTP/1.1 200 "), "{path}");
        }
    }

    #[test]
    fn other_pages_and_other_methods_are_refused_in_plain_text() {
        let server = server(Engine::Well, BOUNDS);
        let missing = ask(&server, "GET", "/metrics/");
        assert!(missing.starts_with("HTTP/1.1 404 ") && missing.contains("content-type: text/plain"), "{missing}");
        let refused = ask(&server, "DELETE", "/metrics");
        assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("content-type: text/plain"), "{refused}");
        assert!(refused.contains("allow: GET,HEAD"), "{refused}");
    }

    #[test]
    fn a_dead_engine_is_told_with_its_reason() {
        let server = server(Engine::Down(Unavailable::EngineStopped), BOUNDS);
        for path in ["/metrics", "/healthz", "/readyz"] {
            let answer = ask(&server, "GET", path);
            assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("engine has stopped"), "{path}: {answer}");
        }
    }

    #[test]
    fn before_the_capture_is_open_siphound_is_well_but_not_ready() {
        let server = server(Engine::Down(Unavailable::Starting), BOUNDS);
        assert!(ask(&server, "GET", "/healthz").starts_with("HTTP/1.1 200 "));
        assert!(ask(&server, "GET", "/readyz").starts_with("HTTP/1.1 503 "));
    }

    #[test]
    fn a_silent_engine_is_not_waited_for() {
        let server = server(Engine::Silent, Bounds { snapshot: Duration::from_millis(5), ..BOUNDS });
        let answer = ask(&server, "GET", "/metrics");
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("did not answer in time"), "{answer}");
    }

    #[test]
    fn a_client_that_never_ends_its_headers_is_cut_off() {
        let server = server(Engine::Well, Bounds { headers: Duration::from_millis(5), ..BOUNDS });
        let answer = exchange(&server, "GET /metrics HTTP/1.1\r\nHost:");
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    #[test]
    fn a_connection_beyond_the_limit_waits_for_one_to_end() {
        let server = server(Engine::Well, Bounds { connections: 1, ..BOUNDS });
        let idle = connect(&server);
        let mut second = connect(&server);
        second.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("send");
        drop(idle);
        let mut answer = String::new();
        second.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    #[test]
    fn who_asks_nothing_makes_room_for_who_asks() {
        // Nothing but room ends the idle ones within the time of a test.
        let server = server(Engine::Well, Bounds { connections: 2, courtesy: Duration::from_millis(1), ..BOUNDS });
        let idle = [connect(&server), connect(&server)].map(|mut stream| {
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").expect("send");
            stream
        });
        assert!(ask(&server, "GET", "/healthz").starts_with("HTTP/1.1 200 "), "the first of them was cut");
        assert!(ask(&server, "GET", "/healthz").starts_with("HTTP/1.1 200 "));
        drop(idle);
    }

    #[test]
    fn who_waits_for_an_answer_is_not_cut_for_others() {
        let bounds = Bounds { connections: 1, courtesy: Duration::from_secs(5), snapshot: Duration::from_millis(100), ..BOUNDS };
        let server = server(Engine::Silent, bounds);
        let mut first = connect(&server);
        first.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("send");
        let second = std::thread::scope(|scope| {
            let second = scope.spawn(|| ask(&server, "GET", "/healthz"));
            let mut answer = String::new();
            first.read_to_string(&mut answer).expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
            second.join().expect("no panic")
        });
        assert!(second.starts_with("HTTP/1.1 200 "), "{second}");
    }

    #[test]
    fn stopping_ends_idle_connections_and_frees_the_port() {
        let server = server(Engine::Silent, Bounds { grace: Duration::from_millis(50), ..BOUNDS });
        let address = server.address();
        let mut idle = connect(&server);
        let mut waiting = connect(&server);
        waiting.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("send");
        server.stop();
        for stream in [&mut idle, &mut waiting] {
            assert!(!matches!(stream.read(&mut [0; 1]), Ok(1..)), "no answer comes after the end");
        }
        assert!(std::net::TcpStream::connect(address).is_err());
    }

    #[test]
    fn an_address_in_use_is_named() {
        let first = server(Engine::Well, BOUNDS);
        let error =
            Server::start(Serving { address: first.address(), api: None, tls: None }, Mask::none(), Engine::Well).expect_err("in use");
        assert!(error.to_string().contains(&first.address().to_string()), "{error}");
    }
}
