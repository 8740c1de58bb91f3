//! Who is told of findings, and where.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::reader::Fields;
use super::section::{Item, section};
use super::types::NotAllowed;
use crate::time::Span;

section! {
    /// Notifications of findings. They always go to the log; other ways are listed below.
    Notify in "notify" {
        /// How this siphound is named in notifications; empty is the name of the host.
        instance: String = String::new();
        /// From which severity on somebody is told: info, warning, error or critical.
        min_severity: MinSeverity = MinSeverity::Warning;
        /// Of what somebody is told: site, trunk, server, capture, and phone, call or source. Phones that are not listed here are told of
        /// when they are watched or when a call to one was lost; scanners come as a digest, and at once when one got in.
        scopes: Vec<NotifyScope> = NotifyScope::DEFAULT.to_vec();
        /// Phones of which somebody is told in any case: "1001", or "1001@pbx.example.com".
        watch: Vec<String> = Vec::new();
        /// How long a notification waits for others about the same site, trunk or PBX.
        group_wait: Span = Span::from_secs(5), within Span::ZERO..=Span::from_secs(600);
        /// How long a finding must be over before that is told; one that comes and goes sooner is told once.
        resolve_after: Span = Span::from_secs(120), within Span::ZERO..=Span::from_secs(86_400);
        /// After how long somebody is told again of what still holds.
        repeat: Span = Span::from_secs(4 * 3600), within Span::from_secs(60)..=Span::from_secs(30 * 86_400);
        /// Messages to each webhook and command in an hour; what is more comes together in one. Alertmanager has limits of its own.
        max_per_hour: u32 = 30, within 1..=3_600;
        /// How often scanners are told of.
        digest: Span = Span::from_secs(3600), within Span::from_secs(60)..=Span::from_secs(86_400);
        /// Where the runbook of a finding is, with {finding} for its id, such as `https://wiki.example.com/sip#{finding}`.
        runbook_url: String = String::new();
    }
}

/// From which severity on somebody is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MinSeverity {
    /// Everything.
    Info,
    /// What annoys somebody.
    Warning,
    /// What keeps somebody from working.
    Error,
    /// What keeps many from working.
    Critical,
}

impl MinSeverity {
    /// Every value.
    pub const ALL: [Self; 4] = [Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// What a finding is about, as far as that decides whether somebody is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotifyScope {
    /// Any phone.
    Phone,
    /// A public address behind which phones sit.
    Site,
    /// A single call.
    Call,
    /// A trunk.
    Trunk,
    /// A source address.
    Source,
    /// The PBX.
    Server,
    /// The capture.
    Capture,
}

impl NotifyScope {
    /// Every value.
    pub const ALL: [Self; 7] = [Self::Phone, Self::Site, Self::Call, Self::Trunk, Self::Source, Self::Server, Self::Capture];
    /// What many depend on.
    pub const DEFAULT: [Self; 4] = [Self::Site, Self::Trunk, Self::Server, Self::Capture];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Site => "site",
            Self::Call => "call",
            Self::Trunk => "trunk",
            Self::Source => "source",
            Self::Server => "server",
            Self::Capture => "capture",
        }
    }
}

/// The address of an HTTP service. What stands behind the host may be a secret, so only the [origin](Self::origin) is ever shown.
#[derive(Clone, Eq, PartialEq)]
pub struct HttpUrl(http::Uri);

impl HttpUrl {
    /// What an address may be.
    pub(super) const ALLOWED: &str = if cfg!(feature = "tls") {
        "a URL without user and password such as \"http://127.0.0.1:9093\" or \"https://hooks.example.com/siphound\""
    } else {
        "a URL without user and password such as \"http://127.0.0.1:9093\"; this siphound was built without TLS"
    };

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.0.scheme_str().unwrap_or_default(), self.0.authority().map_or("", |authority| authority.as_str()))
    }

    /// The whole address.
    pub fn uri(&self) -> &http::Uri {
        &self.0
    }
}

impl FromStr for HttpUrl {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        let uri: http::Uri = text.parse().map_err(|_| NotAllowed(Self::ALLOWED))?;
        let scheme_is_known = uri.scheme_str() == Some("http") || (cfg!(feature = "tls") && uri.scheme_str() == Some("https"));
        let names_a_host = uri.authority().is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
        (scheme_is_known && names_a_host).then_some(Self(uri)).ok_or(NotAllowed(Self::ALLOWED))
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())
    }
}

/// One or more Alertmanagers that belong together; each is told everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Alertmanager {
    /// Where each is, up to `/api`.
    pub urls: Vec<HttpUrl>,
    /// A file with a bearer token.
    pub token_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Span,
    /// After how long without word of siphound an alert counts as over.
    pub resolve_timeout: Span,
}

/// A service that takes JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Its name in logs and for `alert test`.
    pub name: String,
    /// Where it is.
    pub url: HttpUrl,
    /// A file with the secret that signs what is sent.
    pub secret_file: Option<PathBuf>,
    /// A file with a bearer token.
    pub token_file: Option<PathBuf>,
    /// From which severity on it is told.
    pub min_severity: MinSeverity,
    /// How long one request may take.
    pub timeout: Span,
    /// After how long a message that cannot be delivered is given up.
    pub give_up: Span,
}

/// A command that is run for each message.
#[derive(Clone, Debug, PartialEq)]
pub struct NotifyCommand {
    /// Its name in logs and for `alert test`.
    pub name: String,
    /// The program and its arguments; no shell reads them.
    pub argv: Vec<String>,
    /// From which severity on it is run.
    pub min_severity: MinSeverity,
    /// How long it may take before it is killed.
    pub timeout: Span,
    /// After how long a message that it refuses is given up.
    pub give_up: Span,
}

const TIMEOUT: Span = Span::from_secs(10);
const GIVE_UP: Span = Span::from_secs(3600);

fn timeout(fields: &mut Fields<'_, '_>) -> Span {
    fields.take_within("timeout", TIMEOUT, Span::from_millis(100)..=Span::from_secs(60))
}

fn give_up(fields: &mut Fields<'_, '_>) -> Span {
    fields.take_within("give_up", GIVE_UP, Span::ZERO..=Span::from_secs(7 * 86_400))
}

impl Item for Alertmanager {
    const NAME: &'static str = "notify.alertmanager";
    const KEYS: &'static [&'static str] = &["urls", "token_file", "timeout", "resolve_timeout"];

    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let urls = fields.need("urls", "a list of at least one URL such as [\"http://127.0.0.1:9093\"]");
        let token_file = fields.take_optional("token_file");
        let timeout = timeout(fields);
        let resolve_timeout = fields.take_within("resolve_timeout", Span::from_secs(300), Span::from_secs(10)..=Span::from_secs(86_400));
        Some(Self { urls: urls?, token_file, timeout, resolve_timeout })
    }
}

impl Item for Webhook {
    const NAME: &'static str = "notify.webhook";
    const KEYS: &'static [&'static str] = &["name", "url", "secret_file", "token_file", "min_severity", "timeout", "give_up"];

    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let name = fields.take("name", "webhook".to_owned());
        let url = fields.need("url", HttpUrl::ALLOWED);
        let secret_file = fields.take_optional("secret_file");
        let token_file = fields.take_optional("token_file");
        let min_severity = fields.take("min_severity", MinSeverity::Info);
        let timeout = timeout(fields);
        let give_up = give_up(fields);
        Some(Self { name, url: url?, secret_file, token_file, min_severity, timeout, give_up })
    }
}

impl Item for NotifyCommand {
    const NAME: &'static str = "notify.command";
    const KEYS: &'static [&'static str] = &["name", "argv", "min_severity", "timeout", "give_up"];

    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let name = fields.take("name", "command".to_owned());
        let argv = fields.need("argv", "a program and its arguments such as [\"/usr/local/bin/page\", \"--team\", \"voice\"]");
        let min_severity = fields.take("min_severity", MinSeverity::Info);
        let timeout = timeout(fields);
        let give_up = give_up(fields);
        Some(Self { name, argv: argv?, min_severity, timeout, give_up })
    }
}
