//! Commands without a capture: the running daemon is asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use clap::Args;
use serde_json::Value;

use super::bundle::Bundle;
use super::diagnose::Asked;
use super::exit::{Exit, Failure};
use super::options::{Color, Format};
use super::serving::token;
use super::settings::load_or_default;
use super::stdout::print;
use super::trace::packets;
use crate::config::{Config, Metrics};
use crate::http::{Answer, Client, ClientError, ClientTls};
use crate::track::vocabulary::Severity;

/// Where the verdict is.
const DIAGNOSIS: &str = "/api/v1/diagnosis";
/// The header with the worst finding.
const WORST: &str = "siphound-worst";

/// Where it says how it is.
const SUMMARY: &str = "/api/v1/summary";
/// Where its calls are.
const CALLS: &str = "/api/v1/calls";
/// Where its registrations are.
const REGISTRATIONS: &str = "/api/v1/registrations";
/// Calls that a bundle draws, the latest.
const LADDERS: usize = 20;

/// Which daemon is asked.
#[derive(Args, Clone, Debug)]
pub(super) struct DaemonArgs {
    /// The daemon that is asked where there is no capture [default: http://127.0.0.1:15060]
    #[arg(long, value_name = "URL", conflicts_with = "pcap")]
    daemon: Option<String>,

    /// The file of the daemon's token, where it has one
    #[arg(long, value_name = "FILE", conflicts_with = "pcap")]
    token_file: Option<PathBuf>,

    /// The certificates in PEM that a daemon at https:// is trusted by
    #[arg(long, value_name = "FILE", conflicts_with = "pcap")]
    ca: Option<PathBuf>,
}

impl DaemonArgs {
    /// The daemon of a configuration, as this host reaches it.
    pub(super) fn of(config: &Config) -> Self {
        let api = &config.api;
        let path = |text: &String| Some(PathBuf::from(text)).filter(|path| !path.as_os_str().is_empty());
        let mut address = api.listen.unwrap_or(config.metrics.listen);
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        let ca = path(&api.tls_certificate).filter(|_| api.listen.is_some());
        let scheme = if ca.is_some() { "https" } else { "http" };
        let daemon = Some(format!("{scheme}://{address}")).filter(|_| address != Metrics::default().listen);
        Self { daemon, token_file: path(&api.token_file), ca }
    }

    /// The words that name it on a command line; none for the one that is asked anyway.
    pub(super) fn words(&self) -> Vec<String> {
        let file = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let options = [("--daemon", self.daemon.clone()), ("--token-file", file(&self.token_file)), ("--ca", file(&self.ca))];
        options.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).flatten().collect()
    }

    /// Whether it answers, and would answer a question.
    pub(super) fn answers(&self) -> bool {
        let summary = self.client().ok().and_then(|client| client.get(SUMMARY, &[]).ok());
        summary.is_some_and(|answer| answer.status == StatusCode::OK)
    }

    /// Its address.
    pub(super) fn url(&self) -> String {
        self.daemon.clone().unwrap_or_else(|| format!("http://{}", Metrics::default().listen))
    }

    /// What asks it.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let token = self.token_file.as_deref().map(token).transpose()?;
        let tls = self.ca.as_deref().map(ClientTls::trusting).transpose()?;
        Ok(Client::new(&self.url(), token, tls)?)
    }
}

impl Asked {
    /// Asks the daemon, prints its verdict and writes the bundle; tells the worst finding.
    pub(super) fn execute(&self, bundle: Option<&Path>) -> Result<Option<Severity>, Failure> {
        let client = self.daemon.client()?;
        let answer = self.verdict(&client, self.format, self.color)?;
        let worst = answer.headers.get(WORST).and_then(|worst| worst.to_str().ok());
        print(|out| out.write_all(&answer.body))?;
        if let Some(path) = bundle {
            self.bundle(&client)?.write(path)?;
        }
        Ok(worst.and_then(|worst| Severity::ALL.iter().copied().find(|severity| severity.as_str() == worst)))
    }

    /// The verdict in that form.
    fn verdict(&self, client: &Client, format: Format, color: Color) -> Result<Answer, Failure> {
        let since = self.since.map(|since| since.to_string());
        let until = self.until.map(|until| until.to_string());
        let mut query = vec![("user", self.user.as_str())];
        query.extend(self.problem.map(|problem| ("problem", problem.as_str())));
        query.extend(since.as_deref().map(|since| ("since", since)));
        query.extend(until.as_deref().map(|until| ("until", until)));
        query.push(("format", if format == Format::Json { "json" } else { "text" }));
        query.push(("color", if color == Color::On { "always" } else { "never" }));
        ask(client, DIAGNOSIS, &query)
    }

    fn bundle(&self, client: &Client) -> Result<Bundle, Failure> {
        let user = ("user", self.user.as_str());
        let mut bundle = Bundle::default();
        bundle.add("verdict.txt", self.verdict(client, Format::Text, Color::Off)?.body);
        bundle.add("verdict.json", self.verdict(client, Format::Json, Color::Off)?.body);
        bundle.add("registrations.json", ask(client, REGISTRATIONS, &[user])?.body);
        let calls = ask(client, CALLS, &[user, ("order", "newest")])?.body;
        let listed: Value = serde_json::from_slice(&calls).unwrap_or_default();
        bundle.add("calls.json", calls);
        let ids = listed["items"].as_array().into_iter().flatten().filter_map(|call| call["call_id"].as_str());
        for (number, call_id) in (1..).zip(ids.take(LADDERS)) {
            let page = format!("{CALLS}/{}", call_id.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>());
            bundle.add(format!("calls/{number:03}.json"), ask(client, &page, &[])?.body);
        }
        self.add_packets(client, &mut bundle);
        Ok(bundle)
    }

    /// Adds what the traces of a daemon on this host hold of the user, or says why there is nothing of it.
    fn add_packets(&self, client: &Client, bundle: &mut Bundle) {
        if !client.is_here() {
            bundle.note("There are no packets in here: the daemon runs on another host. A bundle that is made there has them.");
            return;
        }
        let config = match load_or_default(self.config.as_deref()) {
            Ok((config, _)) if config.privacy.mask_numbers => {
                bundle.note("There are no packets in here: they would show the numbers that privacy.mask_numbers hides.");
                return;
            }
            Ok((config, _)) => Ok(config),
            Err(error) => Err(Failure::from(error)),
        };
        match config.and_then(|config| packets(&self.user, config, (self.since, self.until))) {
            Ok((_, 0, _)) => bundle.note("There are no packets in here: the traces of the daemon have none of the user."),
            Ok((file, _, left_out)) => {
                bundle.add("packets.pcap", file);
                bundle
                    .note("The packets are those of the daemon's traces: as they were understood, with the responses of digests blanked.");
                if left_out > 0 {
                    bundle.note(format!("{left_out} messages of the user did not fit in here any more: use --since and --until."));
                }
            }
            Err(failure) => bundle.note(format!("There are no packets in here: {}", failure.what())),
        }
    }
}

/// Asks for a page, and takes nothing but the page for an answer.
fn ask(client: &Client, page: &str, query: &[(&str, &str)]) -> Result<Answer, Failure> {
    let answer = client.get(page, query)?;
    if answer.status == StatusCode::OK { Ok(answer) } else { Err(refused(client, &answer)) }
}

/// What a daemon says that does not answer the question.
pub(super) fn refused(client: &Client, answer: &Answer) -> Failure {
    let problem: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str()).unwrap_or("its answer is not that of siphound");
    let failure = Failure::new(Exit::Refused, format_args!("{} says {}: {detail}", client.url(), answer.status.as_u16()));
    match answer.status {
        StatusCode::UNAUTHORIZED => failure.with_remedy("give the file of its token: --token-file FILE (api.token_file of the daemon)"),
        StatusCode::FORBIDDEN => failure.with_remedy("run this on the host of the daemon, or have it serve others: api.listen"),
        _ => failure,
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = if matches!(error, ClientError::Url(_)) { Exit::Usage } else { Exit::Refused };
        let remedy = "start one with `siphound run`, say where it is with --daemon URL, or read a capture with --pcap FILE\n  \
                      (record one on the PBX, while the user tries: tcpdump -i any -w trouble.pcap port 5060)";
        match error {
            ClientError::Connect { .. } => Self::new(exit, error).with_remedy(remedy),
            ClientError::Lost { .. } => Self::new(exit, error).with_remedy("the log of the daemon says whether it stopped; begin again"),
            other => Self::new(exit, other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        DaemonArgs::of(&Config::parse(text).expect("valid")).words()
    }

    #[test]
    fn the_daemon_of_a_configuration_is_named_as_this_host_reaches_it() {
        assert_eq!(words(""), [] as [&str; 0]);
        assert_eq!(words("[metrics]\nlisten = \"127.0.0.1:15099\"\n"), ["--daemon", "http://127.0.0.1:15099"]);
        assert_eq!(words("[metrics]\nlisten = \"0.0.0.0:15060\"\nallow_remote = true\n"), [] as [&str; 0]);
        assert_eq!(words("[api]\ntoken_file = \"/etc/siphound/token\"\n"), ["--token-file", "/etc/siphound/token"]);
        assert_eq!(
            words("[api]\nlisten = \"[::1]:15061\"\ntls_certificate = \"/c.pem\"\ntls_key = \"/k.pem\"\n"),
            ["--daemon", "https://[::1]:15061", "--ca", "/c.pem"]
        );
    }
}
