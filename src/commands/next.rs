//! What to type after `siphound findings`: a command that looks into each finding.

use serde_json::Value as Json;

use super::asking::DaemonArgs;
use crate::config::Config;
use crate::report::escape;

/// Where a verdict comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum NextStep {
    /// From the running daemon, by these further words.
    AskDaemon(Vec<String>),
    /// From the traces in this directory: no daemon answers.
    ReadTraces(String),
}

impl NextStep {
    /// The daemon of this configuration where it answers, else its traces.
    pub(super) fn of(config: &Config) -> Self {
        let daemon = DaemonArgs::of(config);
        if daemon.answers() { Self::AskDaemon(daemon.words()) } else { Self::ReadTraces(config.traces.directory.clone()) }
    }

    /// A line for each subject that can be looked into, once.
    pub(super) fn commands(&self, entries: &[Json]) -> Vec<String> {
        let mut commands: Vec<String> = Vec::new();
        for command in entries.iter().filter_map(|entry| self.command(entry)) {
            if !commands.contains(&command) {
                commands.push(command);
            }
        }
        commands
    }

    /// The command that looks into a finding; none where its subject could not be typed, or `diagnose` knows of nobody in it.
    fn command(&self, entry: &Json) -> Option<String> {
        let text = |key: &str| entry.get(key).and_then(Json::as_str);
        let subject = quoted(text("subject")?)?;
        match text("scope")? {
            "phone" | "phone-or-site" | "site" | "source" => self.diagnose(&subject),
            "call" => Some(format!("siphound trace {subject}")),
            _ => None,
        }
    }

    fn diagnose(&self, subject: &str) -> Option<String> {
        let words: Option<Vec<String>> = match self {
            Self::AskDaemon(words) => {
                words.iter().map(|word| if word.starts_with("--") { Some(word.clone()) } else { quoted(word) }).collect()
            }
            Self::ReadTraces(directory) if directory.is_empty() => None,
            Self::ReadTraces(directory) => quoted(directory).map(|directory| vec!["--pcap".to_owned(), directory]),
        };
        Some([&["siphound".to_owned(), "diagnose".to_owned(), subject.to_owned()], words?.as_slice()].concat().join(" "))
    }
}

/// A word for a shell, which takes nothing in it for its own; `None` where it holds what a terminal would obey.
fn quoted(word: &str) -> Option<String> {
    if word.starts_with('-') || word.chars().any(escape::is_hidden) {
        return None;
    }
    let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"@._-:/[]+".contains(&byte));
    Some(if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn traces() -> NextStep {
        NextStep::ReadTraces("/var/lib/siphound/traces".to_owned())
    }

    fn of(step: &NextStep, scope: &str, subject: &str) -> Option<String> {
        step.command(&json!({"scope": scope, "subject": subject}))
    }

    #[test]
    fn a_command_can_be_pasted() {
        let finding = |scope: &str, subject: &str| of(&traces(), scope, subject);
        assert_eq!(
            finding("phone", "1001@pbx.example.com").as_deref(),
            Some("siphound diagnose 1001@pbx.example.com --pcap /var/lib/siphound/traces")
        );
        assert_eq!(
            finding("phone", "$(reboot)'@x").as_deref(),
            Some(r"siphound diagnose '$(reboot)'\''@x' --pcap /var/lib/siphound/traces")
        );
        assert_eq!(finding("call", "a b").as_deref(), Some("siphound trace 'a b'"));
        assert_eq!(finding("phone", "x\u{1b}[2J"), None);
        assert_eq!(finding("phone", "--config=/etc/shadow"), None);
        assert_eq!(finding("server", "203.0.113.10:5060"), None);
    }

    #[test]
    fn a_daemon_that_answers_is_asked() {
        let daemon = NextStep::AskDaemon(Vec::new());
        assert_eq!(of(&daemon, "site", "198.51.100.7").as_deref(), Some("siphound diagnose 198.51.100.7"));
        assert_eq!(of(&daemon, "call", "c1").as_deref(), Some("siphound trace c1"));
        let elsewhere = NextStep::AskDaemon(["--daemon", "http://127.0.0.1:9", "--token-file", "/a b"].map(str::to_owned).to_vec());
        assert_eq!(
            of(&elsewhere, "phone", "1001@x").as_deref(),
            Some("siphound diagnose 1001@x --daemon http://127.0.0.1:9 --token-file '/a b'")
        );
        assert_eq!(of(&NextStep::ReadTraces(String::new()), "phone", "1001@x"), None, "neither a daemon nor traces");
    }

    #[test]
    fn what_concerns_one_subject_is_one_line() {
        let entry = |subject: &str| json!({"scope": "phone", "subject": subject});
        assert_eq!(traces().commands(&[entry("1@x"), entry("2@x"), entry("1@x")]).len(), 2);
    }
}
