//! A command: run without a shell, the message on its standard input, killed with all it started when it takes too long.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command as Process};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::{Deliver, Receipt, Refusal, Retry};
use crate::alert::message::Message;
use crate::config::NotifyCommand;
use crate::report::escape;

/// Bytes of what a command says that are kept; the rest is read and dropped.
const KEPT: usize = 512;
/// Columns of it that are shown.
const SHOWN: usize = 200;
/// How long its output is awaited once it has ended; what it started may hold the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Runs one command for each message, one at a time.
pub(in crate::alert) struct Command {
    argv: Vec<String>,
    limit: Duration,
    runtime: Runtime,
}

impl Command {
    pub(in crate::alert) fn new(config: &NotifyCommand) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { argv: config.argv.clone(), limit: crate::alert::duration(config.timeout), runtime })
    }

    fn prepare(&self, message: &Message) -> Process {
        let (program, arguments) = self.argv.split_first().map_or(("", &[][..]), |(program, rest)| (program.as_str(), rest));
        let mut process = Process::new(program);
        let escaped = |text: &str| escape::text(text).to_string();
        let finding = message.findings.first().map_or("", |listed| listed.finding.id);
        let (scope, subject) = message.group.as_ref().map_or(("", ""), |group| (group.scope.as_str(), group.subject.as_str()));
        process
            .args(arguments)
            .env("SIPHOUND_STATUS", message.status.as_str())
            .env("SIPHOUND_SEVERITY", message.severity.as_str())
            .env("SIPHOUND_SCOPE", scope)
            .env("SIPHOUND_SUBJECT", escaped(subject))
            .env("SIPHOUND_FINDING", finding)
            .env("SIPHOUND_TEXT", &message.text)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        process
    }
}

impl Deliver for Command {
    fn deliver(&mut self, message: &Message) -> Result<Receipt, Refusal> {
        let later = |what: String| Refusal { retry: Retry::Later, what };
        let body = serde_json::to_vec(message).map_err(|error| Refusal { retry: Retry::Never, what: error.to_string() })?;
        let (mut process, limit) = (self.prepare(message), self.limit);
        self.runtime.block_on(async {
            let mut child = process.spawn().map_err(|error| later(format!("cannot start: {error}")))?;
            let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
            let mut said = Said::default();
            let ended = timeout(limit, run(&mut child, &body, &mut said)).await;
            let said = said.line();
            match ended {
                Ok(Ok(status)) if status.success() => Ok(format!("{status}{said}")),
                Ok(Ok(status)) => Err(later(format!("{status}{said}"))),
                Ok(Err(error)) => Err(later(format!("cannot be waited for: {error}"))),
                Err(_) => {
                    // The group may have ended just now.
                    let _ = group.map(|group| kill_process_group(group, Signal::KILL));
                    let _ = child.wait().await;
                    Err(later(format!("killed after {} s{said}", limit.as_secs_f64())))
                }
            }
        })
    }
}

/// What a command said, as far as it is kept.
#[derive(Default)]
struct Said {
    output: Vec<u8>,
    errors: Vec<u8>,
}

impl Said {
    /// `: ` and what it complained of, else what it said.
    fn line(&self) -> String {
        let said = if self.errors.is_empty() { &self.output } else { &self.errors };
        let said = String::from_utf8_lossy(said);
        if said.trim().is_empty() { String::new() } else { format!(": {}", escape::fit(said.trim(), SHOWN)) }
    }
}

/// Feeds a process, hears it, and waits for its end.
async fn run(child: &mut Child, input: &[u8], said: &mut Said) -> io::Result<std::process::ExitStatus> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A command need not read what it is told.
            let _ = stdin.write_all(input).await;
        }
    };
    let talk = async { tokio::join!(feed, hear(stdout, &mut said.output), hear(stderr, &mut said.errors)) };
    let mut talk = std::pin::pin!(talk);
    let status = tokio::select! {
        _ = &mut talk => return child.wait().await,
        status = child.wait() => status,
    };
    let _ = timeout(LAST_WORDS, talk).await;
    status
}

/// Reads to the end, so that the command never waits for its reader, and keeps the beginning.
async fn hear(source: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut source) = source else { return };
    let mut chunk = [0; 4_096];
    while let Ok(read @ 1..) = source.read(&mut chunk).await {
        let room = KEPT.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(&chunk[..room]);
    }
}
