//! POST of JSON, within a time, without following anybody elsewhere.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use ureq::Agent;

use super::{Refusal, Retry};
use crate::report::escape;

/// Bytes of an answer that are read.
const READ: u64 = 4_096;
/// Columns of it that are shown.
const SHOWN: usize = 200;

/// An answer that was no refusal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::alert) struct Answer {
    /// The status and the beginning of the body, in one line that is safe to show.
    pub(in crate::alert) line: String,
}

/// Speaks to one service.
#[derive(Debug)]
pub(in crate::alert) struct Client {
    agent: Agent,
    token: Option<String>,
}

/// A file with a secret cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{key}: cannot use the secret in {path}: {why}")]
pub struct BadSecret {
    key: &'static str,
    path: String,
    why: String,
}

impl Client {
    /// A client whose requests take at most `timeout`.
    pub(in crate::alert) fn new(timeout: Duration, token: Option<String>) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .user_agent(concat!("siphound/", env!("CARGO_PKG_VERSION")));
        #[cfg(feature = "tls")]
        let config = config.tls_config(ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::PlatformVerifier).build());
        Self { agent: config.build().new_agent(), token }
    }

    /// Posts `body` with `headers` to `url`.
    pub(in crate::alert) fn post(&self, url: &http::Uri, headers: &[(&str, String)], body: &[u8]) -> Result<Answer, Refusal> {
        let mut request = self.agent.post(url).header("Content-Type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = request.send(body).map_err(|error| refusal(&error))?;
        let status = response.status();
        let mut beginning = Vec::new();
        // What was said is told as far as it came; the status is what counts.
        let _ = response.body_mut().as_reader().take(READ).read_to_end(&mut beginning);
        let line = line(status, &beginning);
        match status.as_u16() {
            200..=299 => Ok(Answer { line }),
            300..=399 => Err(Refusal { retry: Retry::Never, what: format!("{line} (redirects are not followed)") }),
            408 | 425 | 429 | 500.. => Err(Refusal { retry: Retry::Later, what: line }),
            _ => Err(Refusal { retry: Retry::Never, what: line }),
        }
    }
}

/// Reads a secret, without the line end that editors add.
pub(in crate::alert) fn secret(key: &'static str, path: &Path) -> Result<String, BadSecret> {
    let bad = |why: String| BadSecret { key, path: path.display().to_string(), why };
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() || secret.contains(|c: char| c.is_control()) {
        return Err(bad("it must be one line".to_owned()));
    }
    Ok(secret.to_owned())
}

/// `HTTP 503 Service Unavailable: try later`
fn line(status: http::StatusCode, body: &[u8]) -> String {
    let mut line = format!("HTTP {status}");
    let body = String::from_utf8_lossy(body);
    if !body.trim().is_empty() {
        let _ = write!(line, ": {}", escape::fit(body.trim(), SHOWN));
    }
    line
}

/// What went wrong on the way; the URL, which may hold a secret, is no part of it.
fn refusal(error: &ureq::Error) -> Refusal {
    let what = match error {
        ureq::Error::Timeout(step) => format!("no answer in time ({step})"),
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::HostNotFound => "the host has no address".to_owned(),
        ureq::Error::BadUri(_) => "the URL cannot be used".to_owned(),
        ureq::Error::Protocol(error) => format!("the answer is not HTTP: {error}"),
        other => other.to_string(),
    };
    Refusal { retry: Retry::Later, what: escape::text(&what).to_string() }
}
