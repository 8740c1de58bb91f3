//! `/assist`: a session of live assistance, as lines of JSON while it goes on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Body as HttpBody, Frame};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, interval};

use super::Problem;
use super::diagnosis::{Colors, Form, answer};
use super::query;
use crate::assist::{Command, OnFailure, Plan, Session};
use crate::diagnose::{Moment, Question};
use crate::http::assist::Watched;
use crate::http::lease::Lease;
use crate::http::{EngineSource, View, routes::Shared};
use crate::report::filter::user_of;
use crate::report::mask::Mask;
use crate::report::model::{self, AssistLine, AssistStep};
use crate::report::style::Style;
use crate::report::{json, text};
use crate::time::Span;

/// How often it is looked whether the session has something to say: no person notices the difference.
const LOOK: Duration = Duration::from_millis(100);
/// How often a silent stream shows that it is alive, which also tells a client that has gone.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Pieces that wait for the client.
const QUEUE: usize = 64;
/// How long a step may wait, in seconds.
const LONGEST: u32 = 86_400;
/// The header with the number of the session, by which it is told to skip or repeat a step.
const SESSION: HeaderName = HeaderName::from_static("siphound-session");

/// Whom to follow, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// An extension, an address-of-record, an address, or a Contact.
    #[schemars(length(min = 1))]
    user: String,
    /// The number of the echo service; otherwise any call is the test call.
    echo: Option<String>,
    /// Steps, separated by commas: reconnection, test-call, hold, inbound-call, idle-test; otherwise the first four.
    steps: Option<String>,
    /// How many seconds a step waits; otherwise 180.
    step_timeout: Option<u32>,
    /// What follows a step that failed; otherwise wait: it may be repeated for as long as a step waits.
    on_failure: Option<AfterFailure>,
    /// How the lines are written; otherwise json, one object a line.
    format: Option<Form>,
    /// Whether the text has colours for a terminal; otherwise never.
    color: Option<Colors>,
}

/// What follows a step that failed.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum AfterFailure {
    /// The verdict.
    Conclude,
    /// A command, or, when none comes, the verdict.
    Wait,
}

/// How lines are written.
#[derive(Clone, Copy, Debug)]
enum Writer {
    Json,
    Text(Style),
}

impl Writer {
    fn write(self, line: &AssistLine, out: &mut Vec<u8>) {
        match self {
            Self::Text(style) => out.extend_from_slice(text::render_assist(line, style).as_bytes()),
            Self::Json => {
                // Memory takes everything.
                let _ = json::write_line(line, out);
            }
        }
    }

    /// What shows that the stream is alive, where that does not disturb its reader.
    fn sign_of_life(self) -> &'static [u8] {
        match self {
            Self::Json => b"\n",
            Self::Text(_) => b"",
        }
    }
}

impl Asked {
    fn writer(&self) -> Writer {
        match (self.format, self.color) {
            (Some(Form::Text), Some(Colors::Always)) => Writer::Text(Style::Colour),
            (Some(Form::Text), _) => Writer::Text(Style::Plain),
            (Some(Form::Json) | None, _) => Writer::Json,
        }
    }

    fn plan(self) -> Result<Plan, Problem> {
        if self.user.is_empty() {
            return Err(Problem::BadRequest("user: it is empty".to_owned()));
        }
        let steps = self.steps.as_deref().map(steps).transpose()?.unwrap_or_else(|| Plan::STEPS.to_vec());
        let timeout = match self.step_timeout {
            Some(seconds) if (1..=LONGEST).contains(&seconds) => Span::from_secs(i64::from(seconds)),
            Some(_) => return Err(Problem::BadRequest(format!("step_timeout: seconds from 1 to {LONGEST} are wanted"))),
            None => Plan::TIMEOUT,
        };
        let on_failure = match self.on_failure {
            Some(AfterFailure::Conclude) => OnFailure::Conclude,
            Some(AfterFailure::Wait) | None => OnFailure::Wait,
        };
        Ok(Plan { echo: self.echo, steps, timeout, on_failure, ..Plan::new(self.user) })
    }
}

fn steps(names: &str) -> Result<Vec<AssistStep>, Problem> {
    let known = |name: &str| AssistStep::ALL.iter().copied().find(|step| step.as_str() == name);
    let unknown = |name: &str| {
        let known: Vec<_> = AssistStep::ALL.iter().map(|step| step.as_str()).collect();
        Problem::BadRequest(format!("steps: there is no step {name:?}; there are {}", known.join(", ")))
    };
    names.split(',').map(|name| known(name).ok_or_else(|| unknown(name))).collect()
}

pub(super) async fn assist<S: EngineSource>(
    State(shared): State<Arc<Shared<S>>>,
    Extension(lease): Extension<Lease>,
    uri: Uri,
) -> Result<Response, Problem> {
    let asked = query::read::<Asked>(&uri)?;
    let writer = asked.writer();
    let plan = asked.plan()?;
    let assistants = Arc::clone(shared.assistants());
    let begin = move |view: &View<'_>| assistants.watch(Session::begin(plan, view.tracker, view.findings, view.tracker.now()));
    let watched = shared.look(begin).await?.ok_or(Problem::TooMany)?;
    lease.prolong();
    let (lines, queue) = channel(QUEUE);
    let number = watched.number.to_string();
    tokio::spawn(async move { follow(shared, watched, lines, writer).await });
    let kind = match writer {
        Writer::Json => "application/x-ndjson",
        Writer::Text(_) => "text/plain; charset=utf-8",
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store"), (SESSION, &number)];
    Ok((headers, Body::new(Lines { queue, is_over: false })).into_response())
}

/// Tells a session what the agent wants.
pub(super) async fn command<S: EngineSource>(
    State(shared): State<Arc<Shared<S>>>,
    Path((number, command)): Path<(u64, String)>,
) -> Result<StatusCode, Problem> {
    let command = match command.as_str() {
        "skip" => Command::Skip,
        "repeat" => Command::Repeat,
        "finish" => Command::Finish,
        _ => return Err(Problem::NotFound(format!("there is no command {command:?}; there are skip, repeat and finish"))),
    };
    let session = shared.assistants().session(number);
    let session = session.ok_or_else(|| Problem::NotFound(format!("there is no session {number}, or it is over")))?;
    shared.look(move |view| session.session().command(command, view.tracker, view.tracker.now())).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Hands on what the session says until it is over or its client has gone.
async fn follow<S: EngineSource>(shared: Arc<Shared<S>>, watched: Watched, client: Sender<Piece>, writer: Writer) {
    let mut looks = interval(LOOK);
    let mut last = Instant::now();
    loop {
        looks.tick().await;
        let question = watched.shared.session().question();
        if let Some(problem) = question
            && !conclude(&shared, &watched, problem).await
        {
            return;
        }
        let (text, is_over) = said(&watched, writer, &shared.mask);
        let piece = if text.is_empty() && last.elapsed() >= HEARTBEAT { writer.sign_of_life().to_vec() } else { text };
        if !piece.is_empty() {
            last = Instant::now();
            if client.send(Piece { bytes: piece.into(), is_last: is_over }).await.is_err() {
                return;
            }
        }
        if is_over || client.is_closed() {
            return;
        }
    }
}

/// Asks the engine for the diagnosis; tells whether it was there to answer.
async fn conclude<S: EngineSource>(shared: &Shared<S>, watched: &Watched, problem: Option<model::Problem>) -> bool {
    let (session, mask) = (watched.shared.clone(), shared.mask);
    let user = session.session().user().to_owned();
    let question = Question { user, problem, since: None, until: None, moment: Moment::Any };
    let look = move |view: &View<'_>| {
        session.session().conclude(answer(view, &question, mask));
    };
    shared.look(look).await.is_ok()
}

/// What the session has to say, and whether that was all.
fn said(watched: &Watched, writer: Writer, mask: &Mask) -> (Vec<u8>, bool) {
    let mut session = watched.shared.session();
    let user = user_of(session.user()).to_owned();
    let mut text = Vec::new();
    while let Some(mut line) = session.next_line() {
        hide(mask, &user, &mut line);
        writer.write(&line, &mut text);
    }
    (text, session.is_over())
}

/// Hides the numbers of people where that is wanted.
fn hide(mask: &Mask, user: &str, line: &mut AssistLine) {
    let known = [user];
    match line {
        AssistLine::Began(began) => {
            mask.user(&mut began.user);
            began.aors.iter_mut().for_each(|aor| mask.user(aor));
        }
        AssistLine::Step(step) => {
            mask.text(&mut step.instruction, &known);
            mask.text(&mut step.waiting_for, &known);
        }
        AssistLine::Packet(packet) => {
            if let Some(detail) = &mut packet.detail {
                let called = detail.strip_prefix("to ").and_then(|rest| rest.split([' ', ',']).next()).unwrap_or_default().to_owned();
                mask.text(detail, &[user, &called]);
            }
        }
        AssistLine::Note(note) => mask.text(&mut note.text, &known),
        AssistLine::Result(ended) => {
            mask.text(&mut ended.because, &known);
            ended.evidence.iter_mut().for_each(|fact| mask.text(&mut fact.fact, &known));
            ended.next_step.iter_mut().for_each(|next| mask.text(next, &known));
        }
        // What the diagnosis says is hidden already; what the steps put right is not.
        AssistLine::Verdict(verdict) => mask.verdict(verdict, &known),
    }
}

/// Lines that go to the client together.
struct Piece {
    bytes: Bytes,
    /// Whether the verdict is among them.
    is_last: bool,
}

/// A body that goes on until the session is over. Where the session ends without a verdict, the body breaks off: no client takes that for
/// the end.
struct Lines {
    queue: Receiver<Piece>,
    is_over: bool,
}

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.queue.poll_recv(context).map(|piece| match piece {
            Some(piece) => {
                self.is_over = piece.is_last;
                Some(Ok(Frame::data(piece.bytes)))
            }
            None if self.is_over => None,
            None => Some(Err(io::Error::other("the session ended without a verdict"))),
        })
    }
}
