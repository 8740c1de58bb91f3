//! The log: on standard error, as text or JSON, with the numbers of people hidden where they are to be.

use std::fmt::{self, Debug};
use std::io::{self, IsTerminal as _, Write};

use serde_json::Value;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FormatFields, MakeWriter};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::exit::{Exit, Failure};
use crate::config::{Log, LogFormat, LogLevel};
use crate::report::mask::Mask;

/// The environment variable that overrules the level of the configuration, in the language of `tracing`: `debug` or
/// `info,siphound::capture=trace`.
const VARIABLE: &str = "SIPHOUND_LOG";

/// Starts logging as `log` says, through `mask`. A log that is there already, as in tests, stays.
pub(super) fn start(log: &Log, mask: Mask) -> Result<(), Failure> {
    let filter =
        EnvFilter::builder().with_default_directive(level(log.level).into()).with_env_var(VARIABLE).from_env().map_err(|error| {
            Failure::new(Exit::Usage, format_args!("the environment variable {VARIABLE} is not valid: {error}"))
                .with_remedy("use a level such as \"debug\", or targets such as \"info,siphound::capture=trace\"")
        })?;
    let _ = subscriber(log.format, mask, filter, io::stderr).try_init();
    Ok(())
}

/// Numbers that are no text, such as counts, are never hidden.
fn subscriber<W>(format: LogFormat, mask: Mask, filter: EnvFilter, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Clone + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    let ansi = io::stderr().is_terminal();
    match (format, mask.is_on()) {
        (LogFormat::Text, false) => Box::new(builder.with_writer(writer).with_ansi(ansi).finish()),
        (LogFormat::Text, true) => Box::new(builder.with_writer(writer).with_ansi(ansi).fmt_fields(MaskedText(mask)).finish()),
        (LogFormat::Json, false) => Box::new(builder.with_writer(writer).json().flatten_event(true).finish()),
        (LogFormat::Json, true) => Box::new(builder.with_writer(MaskedJson { mask, inner: writer }).json().flatten_event(true).finish()),
    }
}

/// Writes the fields of an event as text, those that are text through the mask.
struct MaskedText(Mask);

impl<'w> FormatFields<'w> for MaskedText {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line { mask: self.0, writer, separator: "", result: Ok(()) };
        fields.record(&mut line);
        line.result
    }
}

struct Line<'w> {
    mask: Mask,
    writer: Writer<'w>,
    separator: &'static str,
    result: fmt::Result,
}

impl Line<'_> {
    fn write(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if self.result.is_ok() {
            let name = field.name();
            self.result = match name {
                "message" => write!(self.writer, "{}{value}", self.separator),
                _ => write!(self.writer, "{}{name}={value}", self.separator),
            };
            self.separator = " ";
        }
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = format!("{value:?}");
        self.mask.text(&mut text, &[]);
        self.write(field, format_args!("{text}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field, format_args!("{value}"));
    }
}

/// Hands on lines of JSON, the strings in them through the mask.
#[derive(Clone)]
struct MaskedJson<W> {
    mask: Mask,
    inner: W,
}

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for MaskedJson<W> {
    type Writer = JsonLine<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        JsonLine { mask: self.mask, out: self.inner.make_writer() }
    }
}

/// A line of JSON on its way; each write is one line.
struct JsonLine<O> {
    mask: Mask,
    out: O,
}

impl<O: Write> Write for JsonLine<O> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let masked = match serde_json::from_slice::<Value>(line) {
            Ok(mut object) => {
                hide(self.mask, &mut object);
                object.to_string()
            }
            Err(_) => {
                let mut text = String::from_utf8_lossy(line).trim_end().to_owned();
                self.mask.text(&mut text, &[]);
                text
            }
        };
        writeln!(self.out, "{masked}")?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn hide(mask: Mask, value: &mut Value) {
    match value {
        Value::String(text) => mask.text(text, &[]),
        Value::Array(items) => items.iter_mut().for_each(|item| hide(mask, item)),
        Value::Object(fields) => fields.values_mut().for_each(|field| hide(mask, field)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What a test logged.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer failed").write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged of a user, an answer of somebody else's server, and a count.
    fn logged(format: LogFormat, mask: Mask) -> String {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = subscriber(format, mask, EnvFilter::new("info"), move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            let error = io::Error::other("500: no such user 1001");
            tracing::warn!(user = "+491701234567", %error, frames = 12_345_678_u64, share = 0.25, ok = true, "call of 1001 to 491701234567");
        });
        let bytes = page.0.lock().expect("no writer failed").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn numbers_of_people_are_hidden_in_every_part_of_a_line_and_counts_are_not() {
        for format in LogFormat::ALL {
            let (plain, masked) = (logged(format, Mask::none()), logged(format, Mask::keyed(7)));
            for number in ["491701234567", "1001"] {
                assert!(plain.contains(number), "{plain}");
                assert!(!masked.contains(number), "{masked}");
            }
            assert!(masked.contains("12345678") && masked.contains("0.25") && masked.contains("true"), "{masked}");
            assert_eq!(masked.lines().count(), 1, "{masked}");
        }
    }

    #[test]
    fn a_masked_line_is_made_as_a_plain_one_is() {
        let text = logged(LogFormat::Text, Mask::keyed(7));
        assert!(text.contains("siphound::commands::logging") && text.contains(" frames=12345678 share=0.25"), "{text}");
        let json: Value = serde_json::from_str(&logged(LogFormat::Json, Mask::keyed(7))).expect("a line of JSON");
        assert_eq!((&json["level"], &json["frames"]), (&"WARN".into(), &12_345_678.into()));
        assert!(json["timestamp"].as_str().is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok()), "{json}");
    }
}
