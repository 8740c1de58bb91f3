//! `siphound assist` without a capture: the running daemon follows the user.

use std::io::{IsTerminal as _, Write as _};
use std::thread;

use axum::http::StatusCode;

use super::asking::{DaemonArgs, refused};
use super::assist::{KEYS, commands};
use super::exit::{Exit, Failure};
use super::options::{Color, Format};
use super::stdout::{Reader, tell};
use crate::assist::{Command, OnFailure, Plan};
use crate::http::Client;

/// Where sessions are.
const ASSIST: &str = "/api/v1/assist";
/// The header with the number of the session.
const SESSION: &str = "siphound-session";

/// A session at a daemon.
#[derive(Debug)]
pub(super) struct Following {
    /// Which daemon.
    pub(super) daemon: DaemonArgs,
    /// Whom it follows, and how.
    pub(super) plan: Plan,
    /// How the lines are written.
    pub(super) format: Format,
    /// Whether they have colours.
    pub(super) color: Color,
}

impl Following {
    /// Prints what the session says, and hands on what the agent types. The session ends with this process.
    pub(super) fn execute(&self) -> Result<Exit, Failure> {
        let client = self.daemon.client()?;
        let query = self.query();
        let query: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut session = client.follow(ASSIST, &query)?;
        if session.status != StatusCode::OK {
            return Err(refused(&client, &session.whole()?));
        }
        if let Some(number) = session.headers.get(SESSION).and_then(|number| number.to_str().ok()) {
            listen(client, number.to_owned());
        }
        while let Some(piece) = session.piece()? {
            if tell(&piece)? == Reader::Gone {
                break;
            }
        }
        Ok(Exit::Done)
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let plan = &self.plan;
        let steps: Vec<_> = plan.steps.iter().map(|step| step.as_str()).collect();
        let on_failure = if plan.on_failure == OnFailure::Wait { "wait" } else { "conclude" };
        let format = if self.format == Format::Json { "json" } else { "text" };
        let color = if self.color == Color::On { "always" } else { "never" };
        let asked = [
            ("user", plan.user.clone()),
            ("steps", steps.join(",")),
            ("step_timeout", plan.timeout.as_secs().to_string()),
            ("on_failure", on_failure.to_owned()),
            ("format", format.to_owned()),
            ("color", color.to_owned()),
        ];
        asked.into_iter().chain(plan.echo.clone().map(|echo| ("echo", echo))).collect()
    }
}

/// Hands on what the agent types, on a thread of its own that ends with the process.
fn listen(client: Client, session: String) {
    let mut said = std::io::stderr();
    if std::io::stdin().is_terminal() {
        let _ = writeln!(said, "{KEYS}; Ctrl-C ends the session");
    }
    thread::spawn(move || {
        for command in commands() {
            let word = match command {
                Command::Skip => "skip",
                Command::Repeat => "repeat",
                Command::Finish => "finish",
            };
            let failure = match client.post(&format!("{ASSIST}/{session}/{word}")) {
                Ok(answer) if answer.status == StatusCode::NO_CONTENT => continue,
                Ok(answer) => refused(&client, &answer),
                Err(error) => error.into(),
            };
            let _ = write!(said, "{failure}");
        }
    });
}
