//! What the user wrote, turned into what is valid.
//!
//! [`Config::parse`] reads a whole file and tells everything that is wrong with it at once: each problem with its line, its key, the value
//! and what is allowed, each unknown key with the nearest known one. A [`Config`] in hand is valid. The sections are declared once, with
//! documentation, default and bounds of each key; the annotated file `config/siphound.toml` is made from the same declarations.

mod api;
mod capture;
mod difference;
mod labels;
mod limits;
mod moment;
mod notify;
mod problem;
mod reader;
mod section;
mod systems;
mod template;
mod thresholds;
mod tunnels;
mod types;
mod value;

use std::collections::BTreeMap;
use std::path::Path;

pub use self::api::{Api, Privacy};
pub use self::capture::{Capture, History, Log, Metrics, Pbx, Traces};
pub use self::labels::{Label, LabelChoice};
pub use self::limits::Limits;
pub use self::moment::parse_moment;
pub use self::notify::{Alertmanager, HttpUrl, MinSeverity, Notify, NotifyCommand, NotifyScope, Webhook};
pub use self::problem::{ConfigError, Fault, Problem, Problems};
pub use self::systems::{PhoneSystem, Systems};
pub use self::thresholds::Thresholds;
pub use self::tunnels::{Tunnel, Tunnels};
pub use self::types::{Bytes, Interfaces, LogFormat, LogLevel, NotAllowed, PbxAddress, PortRange, Ports, Rate, Ratio};
pub(crate) use self::value::parse_span;

use self::reader::Reader;

/// A valid configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Live capture.
    pub capture: Capture,
    /// The PBX, where there is one.
    pub pbx: Pbx,
    /// The phone systems, where there are several.
    pub systems: Vec<PhoneSystem>,
    /// The addresses of each trunk, by the name that the user gave it.
    pub trunks: BTreeMap<String, Vec<PbxAddress>>,
    /// Users with series of their own, `1001` or `1001@pbx.example.com`, by the name that the user gave them.
    pub watch: BTreeMap<String, Vec<String>>,
    /// The HTTP server for Prometheus.
    pub metrics: Metrics,
    /// The history.
    pub history: History,
    /// The traces.
    pub traces: Traces,
    /// The JSON API.
    pub api: Api,
    /// What is hidden.
    pub privacy: Privacy,
    /// The log.
    pub log: Log,
    /// What somebody is told, and when.
    pub notify: Notify,
    /// The Alertmanagers that are told.
    pub alertmanagers: Vec<Alertmanager>,
    /// The webhooks that are told.
    pub webhooks: Vec<Webhook>,
    /// The commands that are run.
    pub commands: Vec<NotifyCommand>,
    /// Capacities.
    pub limits: Limits,
    /// Thresholds of the findings.
    pub thresholds: Thresholds,
}

impl Config {
    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |cause| ConfigError::Unreadable { path: path.to_owned(), cause };
        let invalid = |problems| ConfigError::Invalid { path: path.to_owned(), problems };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text).map_err(invalid)
    }

    /// Reads a configuration, or tells all that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let mut reader = Reader::new(text);
        let config = Self {
            capture: reader.section(),
            systems: reader.several(),
            pbx: reader.section(),
            trunks: reader.named("trunks"),
            watch: reader.named("watch"),
            metrics: reader.section(),
            history: reader.section(),
            traces: reader.section(),
            api: reader.section(),
            privacy: reader.section(),
            log: reader.section(),
            alertmanagers: reader.items(),
            webhooks: reader.items(),
            commands: reader.items(),
            notify: reader.section(),
            limits: reader.section(),
            thresholds: reader.section(),
        };
        config.thresholds.check(&mut reader);
        config.check_systems(&mut reader);
        if config.metrics.is_exposed() {
            reader.object("metrics.listen", Metrics::LISTEN_ALLOWED);
        }
        for (key, allowed) in config.api.objections(&config.metrics) {
            reader.object(key, allowed);
        }
        reader.finish().map(|()| config)
    }

    /// The configuration as a file with each key and its documentation.
    pub fn annotated(&self) -> String {
        template::annotated(self)
    }
}

impl Metrics {
    /// What `listen` may be.
    pub const LISTEN_ALLOWED: &str = "an address of this host alone, such as 127.0.0.1:15060, unless metrics.allow_remote = true";

    /// What labels may be where `listen` is not for this host alone.
    pub const LABELS_ALLOWED: &str = "\"off\", unless metrics.listen is an address of this host alone; others read such metrics at \
                                      api.listen, with the token";

    /// Whether the metrics name sites or users.
    pub fn names_somebody(&self) -> bool {
        self.site_labels.is_on() || self.aor_labels.is_on()
    }

    /// Whether other hosts could reach `listen` without leave.
    pub fn is_exposed(&self) -> bool {
        !self.allow_remote && !self.listen.ip().is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        Config::parse(text).expect_err("problems").0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_annotated_default_file_is_the_defaults() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/siphound.toml");
        let generated = Config::default().annotated();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, &generated).expect("write the default file");
        }
        let committed = std::fs::read_to_string(path).expect("read the default file");
        assert_eq!(committed, generated, "run the test with BLESS=1");
        assert_eq!(Config::parse(&committed), Ok(Config::default()));
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        assert_eq!(Config::parse(""), Ok(Config::default()));
    }

    #[test]
    fn every_key_that_is_written_is_read_back() {
        let text = r#"
            [capture]
            interfaces = ["eth0", "eth1"]
            ports = [5060, "5070-5080"]
            filter = "host 192.0.2.1"
            [pbx]
            addresses = ["203.0.113.10", "[2001:db8::1]:5060"]
            [trunks]
            carrier = ["192.0.2.1:5060"]
            [metrics]
            listen = "0.0.0.0:9100"
            allow_remote = true
            [api]
            listen = "192.0.2.1:15061"
            token_file = "/etc/siphound/token"
            tls_certificate = "/etc/siphound/cert.pem"
            tls_key = "/etc/siphound/key.pem"
            [privacy]
            mask_numbers = true
            [watch]
            reception = ["1001"]
            [log]
            level = "debug"
            format = "json"
            [limits]
            calls = 1_000
            [thresholds]
            flap = "4/20min"
            probe_loss = 0.1
            nat_confirm_guard = 1
            slow_factor = 2
        "#;
        let config = Config::parse(text).expect("valid");
        assert_eq!(config.capture.interfaces.names(), ["eth0", "eth1"]);
        assert_eq!(config.capture.ports.to_string(), "5060, 5070-5080");
        assert_eq!(config.trunks["carrier"], ["192.0.2.1:5060".parse().expect("address")]);
        assert_eq!((config.log.level, config.log.format), (LogLevel::Debug, LogFormat::Json));
        assert_eq!((config.limits.calls, config.thresholds.slow_factor), (1_000, 2));
        assert_eq!(config.thresholds.flap.to_string(), "4/20min");
        assert_eq!((config.thresholds.probe_loss.get(), config.thresholds.nat_confirm_guard.get()), (0.1, 1.0));
        assert_eq!(config.watch["reception"], ["1001"]);
        let without_names = Config { trunks: BTreeMap::new(), watch: BTreeMap::new(), ..config };
        assert_eq!(Config::parse(&without_names.annotated()), Ok(without_names));
    }

    #[test]
    fn all_problems_are_told_at_once_in_the_order_of_the_lines() {
        let text = r#"
[capture]
interfaces = []
ports = [5060, 70000, "sip"]
snaplen = 96

[metrics]
listen = "localhost"

[limits]
calls = "3"

[thresholds]
t1 = 500
flap = "3"
scan = "50/1min"
probe_loss = 1.5
lossy_share = "5%"
"#;
        assert_eq!(
            problems(text),
            [
                r#"line 3: capture.interfaces: [] is not allowed; wanted: a list of at least one interface name, such as ["any"]"#,
                r#"line 4: capture.ports: 70000 is not allowed; wanted: a port from 1 to 65535 or a range such as "5060-5080""#,
                r#"line 4: capture.ports: "sip" is not allowed; wanted: a port from 1 to 65535 or a range such as "5060-5080""#,
                "line 5: capture.snaplen: 96 is not allowed; wanted: from 1600 to 262144",
                r#"line 8: metrics.listen: "localhost" is not allowed; wanted: an IP address and a port such as "127.0.0.1:15060""#,
                "line 11: limits.calls: \"3\" is not allowed; wanted: a whole number, from 1 to 10000000",
                r#"line 14: thresholds.t1: 500 is not allowed; wanted: a time such as "40ms", "30s", "15min" or "24h", from "80ms" to "4s""#,
                r#"line 15: thresholds.flap: "3" is not allowed; wanted: a count and a window such as "3/15min", from "1/1s" to "100/24h""#,
                r#"line 16: thresholds.scan: "50/1min" is not allowed; wanted: from "1/1s" to "32/1h""#,
                "line 17: thresholds.probe_loss: 1.5 is not allowed; wanted: from 0.0 to 1.0",
                r#"line 18: thresholds.lossy_share: "5%" is not allowed; wanted: a number such as 0.25, from 0.01 to 1.0"#,
            ]
        );
    }

    #[test]
    fn limits_that_contradict_each_other_are_told_at_whichever_the_file_sets() {
        let text = "[thresholds]\nleg_suspect = \"1min\"\npdd_warn = \"9s\"\npdd_warn_single = \"8s\"\nlossy_share = 0.5\n";
        assert_eq!(
            problems(text),
            [
                r#"line 2: thresholds.leg_suspect: "1min" is not allowed; wanted: at most thresholds.leg_confirm"#,
                r#"line 3: thresholds.pdd_warn: "9s" is not allowed; wanted: at most thresholds.pdd_warn_single"#,
                r#"line 4: thresholds.pdd_warn_single: "8s" is not allowed; wanted: at least thresholds.pdd_warn"#,
            ]
        );
    }

    #[test]
    fn an_unknown_key_names_the_nearest_one() {
        let text = "ports = [5060]\nlimit = 1\n[capture]\nprots = [5060]\nlevel = \"info\"\nlisten_port = 5\n[colour]\n";
        assert_eq!(
            problems(text),
            [
                "line 1: ports: there is no such key; did you mean capture.ports?",
                "line 2: limit: there is no such key; did you mean limits?",
                "line 4: capture.prots: there is no such key; did you mean capture.ports?",
                "line 5: capture.level: there is no such key; did you mean log.level?",
                "line 6: capture.listen_port: there is no such key",
                "line 7: colour: there is no such key",
            ]
        );
    }

    #[test]
    fn an_error_of_syntax_names_its_line_and_hides_no_other_problem() {
        let found = problems("[capture]\nsnaplen = 96\nports = [5060\n[log]\nlevel = \"loud\"\n");
        assert!(found.iter().any(|line| line.starts_with("line 2: capture.snaplen")), "{found:?}");
        assert!(found.iter().any(|line| !line.contains("is not allowed") && line.starts_with("line ")), "{found:?}");
    }

    #[test]
    fn an_address_that_others_reach_needs_leave() {
        let refused = "line 2: metrics.listen: \"0.0.0.0:15060\" is not allowed; wanted: an address of this host alone";
        assert!(problems("[metrics]\nlisten = \"0.0.0.0:15060\"\n")[0].starts_with(refused));
        assert!(Config::parse("[metrics]\nlisten = \"0.0.0.0:15060\"\nallow_remote = true\n").is_ok());
        assert!(Config::parse("[metrics]\nlisten = \"[::1]:15060\"\n").is_ok());
    }

    #[test]
    fn metrics_that_name_somebody_are_not_read_by_others_without_a_token() {
        let open = "[metrics]\nlisten = \"0.0.0.0:15060\"\nallow_remote = true\n";
        for labels in ["site_labels = \"top\"", "aor_labels = [\"1001@pbx.example.com\"]"] {
            let refused = problems(&format!("{open}{labels}\n"));
            assert!(refused[0].starts_with("line 4: metrics.") && refused[0].contains("api.listen"), "{refused:?}");
            assert!(Config::parse(&format!("[metrics]\n{labels}\n")).is_ok(), "for this host alone");
        }
        assert!(Config::parse(&format!("{open}site_labels = \"off\"\n")).is_ok());
        assert!(problems("[metrics]\nsite_labels = \"all\"\n")[0].contains("\"off\", \"top\", or a list"));
    }

    #[test]
    fn names_of_trunks_and_users_are_fit_for_labels() {
        let refused = problems("[trunks]\nother = [\"192.0.2.1\"]\n[watch]\n\"\" = [\"1001\"]\n");
        assert_eq!(refused.len(), 2, "{refused:?}");
        assert!(refused.iter().all(|line| line.contains("a name of 1 to 64 characters")), "{refused:?}");
    }

    #[test]
    fn an_api_that_others_reach_needs_a_token() {
        let refused = problems("[api]\nlisten = \"192.0.2.1:15061\"\n");
        assert!(refused[0].starts_with("line 2: api.listen: \"192.0.2.1:15061\" is not allowed"), "{refused:?}");
        assert!(refused[0].contains("api.token_file") && refused[0].contains("api.tls_certificate"), "{refused:?}");
        let with_tls_alone = "[api]\nlisten = \"192.0.2.1:15061\"\ntls_certificate = \"a\"\ntls_key = \"b\"\n";
        assert!(problems(with_tls_alone)[0].contains("api.token_file"), "TLS hides, it does not ask who reads");
        assert!(Config::parse("[api]\nlisten = \"192.0.2.1:15061\"\ntoken_file = \"a\"\n").is_ok());
        assert!(Config::parse("[api]\nlisten = \"[::1]:15061\"\n").is_ok());
        assert!(Config::parse("[api]\nlisten = \"\"\n").is_ok());
    }

    #[test]
    fn certificate_and_key_come_together_and_with_an_address() {
        for (text, key) in [
            ("listen = \"127.0.0.1:1\"\ntls_certificate = \"a\"", "api.tls_certificate"),
            ("listen = \"127.0.0.1:1\"\ntls_key = \"a\"", "api.tls_key"),
            ("tls_certificate = \"a\"\ntls_key = \"b\"", "api.tls_certificate"),
            ("listen = \"127.0.0.1:15060\"", "api.listen"),
        ] {
            let refused = problems(&format!("[api]\n{text}\n"));
            assert!(refused[0].contains(key), "{refused:?}");
        }
    }

    #[test]
    fn values_are_repeated_in_one_short_line_without_control_characters() {
        let found = problems(&format!("[log]\nlevel = \"\"\"a\x1bb\n{}\"\"\"\n", "x".repeat(200)));
        assert!(found.iter().all(|line| !line.contains(['\n', '\x1b'])), "{found:?}");
        assert!(found.iter().all(|line| line.len() < 250), "{found:?}");
    }

    #[test]
    fn a_section_that_is_no_table_is_refused() {
        assert_eq!(problems("log = 1\n"), ["line 1: log: 1 is not allowed; wanted: a section [log]"]);
        assert_eq!(problems("[[log]]\n"), ["line 1: log: [[log]] is not allowed; wanted: a section [log]"]);
    }

    #[test]
    fn places_for_notifications_are_read_each() {
        let text = r#"
            [notify]
            watch = ["1001"]
            scopes = ["trunk", "phone"]
            [[notify.alertmanager]]
            urls = ["http://127.0.0.1:9093", "http://[2001:db8::1]:9093/am"]
            [[notify.webhook]]
            name = "chat"
            url = "http://127.0.0.1:8080/hook?key=x"
            secret_file = "/etc/siphound/secret"
            [[notify.webhook]]
            url = "http://127.0.0.1:8081"
            [[notify.command]]
            argv = ["/bin/page", ""]
            min_severity = "critical"
        "#;
        let config = Config::parse(text).expect("valid");
        assert_eq!(config.notify.scopes, [NotifyScope::Trunk, NotifyScope::Phone]);
        assert_eq!(config.alertmanagers[0].urls[1].to_string(), "http://[2001:db8::1]:9093/am");
        assert_eq!(config.webhooks.iter().map(|webhook| webhook.name.as_str()).collect::<Vec<_>>(), ["chat", "webhook"]);
        assert_eq!(format!("{:?}", config.webhooks[0].url), "http://127.0.0.1:8080", "the rest may be a secret");
        assert_eq!((config.commands[0].argv.len(), config.commands[0].min_severity), (2, MinSeverity::Critical));
    }

    #[test]
    fn all_that_is_wrong_with_the_notifications_is_told_and_no_password_repeated() {
        let text = r#"[notify]
scopes = ["site", "phones"]
group_wait = "1h"
[[notify.alertmanager]]
urls = []
[[notify.webhook]]
url = "http://admin:hunter2@example.com/"
secret_fil = "x"
[[notify.webhook]]
secret_file = "secret"
[[notify.command]]
argv = [""]
[notify.mail]
"#;
        let found = problems(text);
        let begins = [
            r#"line 2: notify.scopes: "phones" is not allowed; wanted: one of "phone", "site""#,
            r#"line 3: notify.group_wait: "1h" is not allowed; wanted: from "0s" to "10min""#,
            "line 5: notify.alertmanager.urls: [] is not allowed; wanted: a list of at least one URL",
            "line 7: notify.webhook.url:  is not allowed; wanted: a URL without user and password",
            "line 8: notify.webhook.secret_fil: there is no such key; did you mean notify.webhook.secret_file?",
            "line 9: notify.webhook.url: is missing; wanted: a URL",
            r#"line 10: notify.webhook.secret_file: "secret" is not allowed; wanted: the absolute path of a file"#,
            r#"line 12: notify.command.argv: [""] is not allowed; wanted: a program and its arguments"#,
            "line 13: notify.mail: there is no such key",
        ];
        for (found, begin) in found.iter().zip(begins) {
            assert!(found.starts_with(begin), "{found}\n{begin}");
        }
        assert_eq!(found.len(), begins.len(), "{found:?}");
        assert!(!found.iter().any(|line| line.contains("hunter2")));
    }

    #[test]
    fn one_table_where_several_may_be_is_refused() {
        let found = problems("[notify.webhook]\nurl = \"http://127.0.0.1\"\n[notify]\nalertmanager = [1]\n");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().any(|line| line.contains("wanted: sections [[notify.webhook]]")), "{found:?}");
        assert!(found.iter().any(|line| line.contains("wanted: a section [[notify.alertmanager]]")), "{found:?}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Config::load(Path::new("/nonexistent/siphound.toml")).expect_err("no file");
        assert!(error.to_string().contains("/nonexistent/siphound.toml"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_upsets_the_reader(text in "(\\[?\\[?[a-z]{0,6}\\]?\\]?( = )?[\"\\[{0-9a-z}\\],.-]{0,6}\n?){0,6}") {
            let _ = Config::parse(&text);
        }
    }
}
