//! The annotated default file, made from the declarations of the sections.

use std::fmt::Write as _;

use super::Config;
use super::section::Section;

/// What stands above the sections.
const HEAD: &str = "\
# The configuration of siphound. Every key has its default here; leave out what you do not change.
# Times are written as \"40ms\", \"30s\", \"15min\" or \"24h\". Check a file with: siphound check --config FILE
";

/// What stands in place of several phone systems, of which there is one by default.
const SYSTEMS: &str = "
# Several phone systems on one host: in place of [pbx] one [[pbx]] for each. The addresses tell which is which; one without a port has
# all ports that no other one has. Ports and interfaces are those of [capture] where a phone system has none of its own.
# [[pbx]]
# name = \"berlin\"
# addresses = [\"203.0.113.10\", \"203.0.113.11:5080\"]
# ports = [5060, 5080]
# interfaces = [\"eth0\"]
";

/// What stands in place of trunks, of which there are none by default.
const TRUNKS: &str = "
# Trunks: a name of your choice and its addresses, each with or without a port. Without this section, an address
# that the PBX calls or registers at, and that never registers itself, is taken for a trunk. Each has series of its own in the metrics, by its name.
[trunks]
# carrier = [\"192.0.2.1\", \"192.0.2.2:5060\"]

# Users that have series of their own in the metrics: a name of your choice and its users, \"1001\" or \"1001@pbx.example.com\".
[watch]
# reception = [\"1001\", \"1002\"]
";

/// What stands in place of the ways to tell, of which there are none by default.
const SINKS: &str = "
# Alertmanager, API v2. Several that form a cluster stand in one list; each is told everything.
# [[notify.alertmanager]]
# urls = [\"http://127.0.0.1:9093\"]
# token_file = \"/etc/siphound/alertmanager.token\"
# timeout = \"10s\"
# resolve_timeout = \"5min\"

# A service that takes JSON by POST. With a secret, the header X-Siphound-Signature is sha256= and the HMAC-SHA256 of the header
# X-Siphound-Timestamp, a dot, and the body. Redirects are not followed.
# [[notify.webhook]]
# name = \"chat\"
# url = \"https://hooks.example.com/siphound\"
# secret_file = \"/etc/siphound/webhook.secret\"
# token_file = \"/etc/siphound/webhook.token\"
# min_severity = \"info\"
# timeout = \"10s\"
# give_up = \"1h\"

# A command, run without a shell, one at a time, with the message as JSON on its standard input and SIPHOUND_STATUS, SIPHOUND_SEVERITY,
# SIPHOUND_SCOPE, SIPHOUND_SUBJECT, SIPHOUND_FINDING and SIPHOUND_TEXT in its environment. What the phones wrote is in there: quote it.
# [[notify.command]]
# name = \"pager\"
# argv = [\"/usr/local/bin/page\", \"--team\", \"voice\"]
# min_severity = \"error\"
# timeout = \"10s\"
# give_up = \"1h\"
";

/// The configuration as an annotated file.
pub(super) fn annotated(config: &Config) -> String {
    let mut file = HEAD.to_owned();
    section(&mut file, &config.capture);
    section(&mut file, &config.pbx);
    file.push_str(SYSTEMS);
    file.push_str(TRUNKS);
    section(&mut file, &config.metrics);
    section(&mut file, &config.api);
    section(&mut file, &config.privacy);
    section(&mut file, &config.history);
    section(&mut file, &config.traces);
    section(&mut file, &config.log);
    section(&mut file, &config.notify);
    file.push_str(SINKS);
    section(&mut file, &config.limits);
    section(&mut file, &config.thresholds);
    file
}

fn section<S: Section>(file: &mut String, section: &S) {
    file.push('\n');
    comment(file, S::ABOUT);
    let _ = writeln!(file, "[{}]", S::NAME);
    for entry in section.entries() {
        comment(file, entry.about);
        let _ = writeln!(file, "{} = {}", entry.key, entry.value);
    }
}

fn comment(file: &mut String, lines: &[&str]) {
    for line in lines {
        let _ = writeln!(file, "#{line}");
    }
}
