//! `siphound diagnose` without a capture: the running daemon is asked.

use axum::http::StatusCode;

use super::diagnose::Asked;
use super::exit::{Exit, Failure};
use super::options::{Color, Format};
use super::serving::token;
use super::stdout::print;
use crate::http::{Answer, Client, ClientError, ClientTls};
use crate::track::vocabulary::Severity;

/// Where the verdict is.
const DIAGNOSIS: &str = "/api/v1/diagnosis";
/// The header with the worst finding.
const WORST: &str = "siphound-worst";

impl Asked {
    /// Asks the daemon and prints its verdict; tells the worst finding.
    pub(super) fn execute(&self) -> Result<Option<Severity>, Failure> {
        let answer = self.ask(self.format, self.color)?;
        let worst = answer.headers.get(WORST).and_then(|worst| worst.to_str().ok());
        print(|out| out.write_all(&answer.body))?;
        Ok(worst.and_then(|worst| Severity::ALL.iter().copied().find(|severity| severity.as_str() == worst)))
    }

    /// The verdict in that form.
    pub(super) fn ask(&self, format: Format, color: Color) -> Result<Answer, Failure> {
        let token = self.token_file.as_deref().map(token).transpose()?;
        let tls = self.ca.as_deref().map(ClientTls::trusting).transpose()?;
        let client = Client::new(&self.daemon, token, tls)?;
        let since = self.since.map(|since| since.to_string());
        let until = self.until.map(|until| until.to_string());
        let mut query = vec![("user", self.user.as_str())];
        query.extend(self.problem.map(|problem| ("problem", problem.as_str())));
        query.extend(since.as_deref().map(|since| ("since", since)));
        query.extend(until.as_deref().map(|until| ("until", until)));
        query.push(("format", if format == Format::Json { "json" } else { "text" }));
        query.push(("color", if color == Color::On { "always" } else { "never" }));
        let answer = client.get(DIAGNOSIS, &query)?;
        if answer.status == StatusCode::OK { Ok(answer) } else { Err(refused(&client, &answer)) }
    }
}

/// What a daemon says that does not answer the question.
fn refused(client: &Client, answer: &Answer) -> Failure {
    let problem: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str()).unwrap_or("its answer is not that of siphound");
    let failure = Failure::new(Exit::Refused, format_args!("{} says {}: {detail}", client.url(), answer.status.as_u16()));
    match answer.status {
        StatusCode::UNAUTHORIZED => failure.with_remedy("give the file of its token: --token-file FILE (api.token_file of the daemon)"),
        StatusCode::FORBIDDEN => failure.with_remedy("run diagnose on the host of the daemon, or have it serve others: api.listen"),
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
            other => Self::new(exit, other),
        }
    }
}
