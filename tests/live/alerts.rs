//! Notifications to a real Alertmanager.

use std::time::Duration;

use super::daemon::{self, Daemon};
use super::lab::{Host, Lab, Process, SOON, until};
use super::sip::Agent;

const ALERTMANAGER: &str = "prometheus-alertmanager";
const ADDRESS: &str = "127.0.0.1:9093";
const SERVER: &str = "192.0.2.1:5060";
/// Longer than the longest pause between two attempts.
const BACK: Duration = Duration::from_secs(60);
const CONFIG: &str = "
[notify]
watch = [\"100\", \"200\"]
group_wait = \"0s\"
resolve_after = \"0s\"
[[notify.alertmanager]]
urls = [\"http://127.0.0.1:9093\"]
";

/// A REGISTER of a user and its answer.
fn register(user: &str, call: u32, status: &str) -> [String; 2] {
    let common = format!(
        "Via: SIP/2.0/UDP 192.0.2.2:5080;branch=z9hG4bK{user}{call}\r\nFrom: <sip:{user}@192.0.2.1>;tag=f{user}{call}\r\n\
         Call-ID: r{user}\r\nCSeq: {call} REGISTER\r\nContact: <sip:{user}@192.0.2.2:5080>;expires=3600\r\nContent-Length: 0\r\n"
    );
    [
        format!("REGISTER sip:192.0.2.1 SIP/2.0\r\nMax-Forwards: 70\r\nTo: <sip:{user}@192.0.2.1>\r\n{common}\r\n"),
        format!("SIP/2.0 {status}\r\nTo: <sip:{user}@192.0.2.1>;tag=t{user}{call}\r\n{common}\r\n"),
    ]
}

/// A phone and a PBX that registers it or does not.
struct Ends {
    phone: Agent,
    pbx: Agent,
}

impl Ends {
    fn register(&self, user: &str, call: u32, status: &str) {
        let [request, answer] = register(user, call, status);
        self.phone.send(SERVER, &request);
        self.pbx.send("192.0.2.2:5080", &answer);
    }
}

/// The example that is shipped.
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/alertmanager/alertmanager.yml");

fn start(lab: &Lab) -> Process {
    let config = lab.path("alertmanager.yml");
    std::fs::write(&config, "route:\n  receiver: none\nreceivers:\n  - name: none\n").expect("a file");
    start_with(lab, &config.display().to_string())
}

fn start_with(lab: &Lab, config: &str) -> Process {
    let (config, data) = (format!("--config.file={config}"), format!("--storage.path={}", lab.path("data").display()));
    lab.start(
        Host::Pbx,
        "alertmanager",
        &[ALERTMANAGER, &config, &data, "--web.listen-address=127.0.0.1:9093", "--cluster.listen-address="],
    )
}

/// The subjects of the active alerts, once they are as expected.
fn active(lab: &Lab, process: &Process, daemon: &Daemon<'_>, expected: &[&str]) {
    let asked = || {
        let (status, body) = daemon::get(lab, ADDRESS, "/api/v2/alerts?active=true&silenced=false&inhibited=false")?;
        let alerts: serde_json::Value = serde_json::from_str(&unchunked(&body)).ok()?;
        let mut subjects: Vec<_> = alerts.as_array()?.iter().map(|alert| alert["labels"]["subject"].to_string()).collect();
        subjects.sort();
        Some((status, subjects))
    };
    let expected: Vec<_> = expected.iter().map(|subject| format!("\"{subject}\"")).collect();
    let found = until(BACK, || (asked()? == (200, expected.clone())).then_some(()));
    assert!(found.is_some(), "{:?} instead of {expected:?}\n{}\n{}", asked(), process.log(), daemon.process.log());
}

/// A body without the lengths of its chunks, each on a line of its own.
fn unchunked(body: &str) -> String {
    body.lines().filter(|line| !line.chars().all(|c| c.is_ascii_hexdigit())).collect()
}

#[test]
fn nothing_is_lost_while_alertmanager_is_down() {
    let Some(lab) = Lab::build(&[ALERTMANAGER]) else { return };
    let config = lab.path("siphound.toml");
    std::fs::write(&config, CONFIG).expect("a file");
    let daemon = Daemon::start(&lab, &["--config", config.to_str().expect("a path in UTF-8")]);
    let ends = Ends { phone: Agent::new(&lab, Host::Phones, "192.0.2.2:5080"), pbx: Agent::new(&lab, Host::Pbx, SERVER) };

    // Found before there is an Alertmanager.
    for call in 1..=3 {
        ends.register("100", call, "403 Forbidden");
    }
    daemon.process.says("Alertmanager takes no alerts");
    let alertmanager = start(&lab);
    active(&lab, &alertmanager, &daemon, &["100@192.0.2.1"]);

    // Found, and over, while it is away.
    drop(alertmanager);
    for call in 1..=3 {
        ends.register("200", call, "403 Forbidden");
    }
    daemon.counts_within(SOON, 2, "findings_active", &["finding=registration-rejected"]);
    let alertmanager = start(&lab);
    active(&lab, &alertmanager, &daemon, &["100@192.0.2.1", "200@192.0.2.1"]);
    ends.register("100", 4, "200 OK");
    active(&lab, &alertmanager, &daemon, &["200@192.0.2.1"]);
    drop(alertmanager);
    ends.register("200", 4, "200 OK");
    daemon.counts_within(SOON, 0, "findings_active", &["finding=registration-rejected"]);
    let alertmanager = start(&lab);
    active(&lab, &alertmanager, &daemon, &[]);
    daemon.counts_within(BACK, 4, "notifications_total", &["sink=alertmanager", "result=sent"]);
    daemon.counts(0, "notifications_total", &["sink=alertmanager", "result=failed"]);
    daemon.counts(0, "notifications_total", &["sink=alertmanager", "result=dropped"]);
}

#[test]
fn a_test_arrives_and_an_alertmanager_that_is_down_is_told() {
    let Some(lab) = Lab::build(&[ALERTMANAGER]) else { return };
    let config = lab.path("siphound.toml");
    std::fs::write(&config, CONFIG).expect("a file");
    let try_out = || {
        let done = lab.run(Host::Pbx, &[env!("CARGO_BIN_EXE_siphound"), "alert", "test", "--config", config.to_str().expect("UTF-8")]);
        (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())
    };
    let (code, said) = try_out();
    assert!(code == Some(1) && said.contains("FAILED  alertmanager http://127.0.0.1:9093: "), "{said}");
    let alertmanager = start(&lab);
    let arrived = until(BACK, || (try_out().0 == Some(0)).then_some(()));
    assert!(arrived.is_some(), "{:?}\n{}", try_out(), alertmanager.log());
}

#[test]
fn the_example_for_alertmanager_is_valid() {
    let Some(lab) = Lab::build(&["amtool"]) else { return };
    let checked = lab.run(Host::Pbx, &["amtool", "check-config", EXAMPLE]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// The alert of a rule, as Prometheus posts it.
const RULE: &str = "SipServerErrors finding=registration-rejected severity=warning instance=127.0.0.1:15060 pbx=default job=siphound";

#[test]
fn what_siphound_told_itself_is_not_told_again_by_a_rule() {
    let Some(lab) = Lab::build(&[ALERTMANAGER, "amtool"]) else { return };
    let config = lab.path("siphound.toml");
    std::fs::write(&config, CONFIG).expect("a file");
    let _alertmanager = start_with(&lab, EXAMPLE);
    let daemon = Daemon::start(&lab, &["--config", config.to_str().expect("a path in UTF-8")]);
    let ends = Ends { phone: Agent::new(&lab, Host::Phones, "192.0.2.2:5080"), pbx: Agent::new(&lab, Host::Pbx, SERVER) };
    // Not of this finding, not of this PBX, of no finding, and one of siphound's own: none of it is told twice.
    let post = |alert: &str| {
        let words: Vec<&str> =
            ["amtool", "--alertmanager.url=http://127.0.0.1:9093", "alert", "add"].into_iter().chain(alert.split(' ')).collect();
        until(SOON, || lab.run(Host::Pbx, &words).status.success().then_some(())).expect("amtool");
    };
    for alert in [
        RULE,
        "SipPbxSlow finding=pbx-slow instance=127.0.0.1:15060 pbx=default",
        "SipOther finding=registration-rejected instance=127.0.0.1:15060 pbx=other",
        "SipCallsFail instance=127.0.0.1:15060 pbx=default",
        "SiphoundDown instance=127.0.0.1:15060 job=siphound",
        "NodeDown instance=127.0.0.1:9100",
    ] {
        post(alert);
    }
    let all = ["NodeDown", "SipCallsFail", "SipOther", "SipPbxSlow", "SipServerErrors", "SiphoundDown"];
    heard(&lab, &daemon, &all, &[]);

    for call in 1..=3 {
        ends.register("100", call, "403 Forbidden");
    }
    heard(&lab, &daemon, &["NodeDown", "SipCallsFail", "SipOther", "SipPbxSlow", "SiphoundDown", "SiphoundFinding"], &["SipServerErrors"]);
    // The command that the rules name says what to type next: the daemon is asked while it answers.
    let state = lab.path("state").display().to_string();
    let command =
        [env!("CARGO_BIN_EXE_siphound"), "findings", "--open", "--id", "auth-failed-loop,registration-rejected", "--state-dir", &state];
    let next = || String::from_utf8_lossy(&lab.run(Host::Pbx, &command).stdout).into_owned();
    let told = until(SOON, || next().ends_with("\nsiphound diagnose 100@192.0.2.1\n").then_some(()));
    assert!(told.is_some(), "{}", next());
    // When siphound says that it is over, the rule is heard as long as it holds.
    ends.register("100", 4, "200 OK");
    heard(&lab, &daemon, &all, &[]);

    // While the PBX is down, its trunk and its calls are no news; those of another PBX are.
    post("SipPbxNotResponding finding=pbx-not-responding instance=127.0.0.1:15060 pbx=default");
    post("SipTrunkNotResponding finding=trunk-no-response instance=127.0.0.1:15060 pbx=default");
    post("SipMassCallDrop finding=mass-call-drop instance=127.0.0.1:15060 pbx=other");
    let still = ["NodeDown", "SipMassCallDrop", "SipOther", "SipPbxNotResponding", "SipPbxSlow", "SipServerErrors", "SiphoundDown"];
    heard(&lab, &daemon, &still, &["SipCallsFail", "SipTrunkNotResponding"]);
}

/// Waits until these alerts are told to people, and those are kept from them by an inhibit rule.
fn heard(lab: &Lab, daemon: &Daemon<'_>, told: &[&str], inhibited: &[&str]) {
    let asked = || {
        let (_, body) = daemon::get(lab, ADDRESS, "/api/v2/alerts")?;
        let alerts: serde_json::Value = serde_json::from_str(&unchunked(&body)).ok()?;
        let (mut is_told, mut is_inhibited) = (Vec::new(), Vec::new());
        for alert in alerts.as_array()? {
            let by = alert["status"]["inhibitedBy"].as_array()?;
            let name = alert["labels"]["alertname"].as_str()?.to_owned();
            if by.is_empty() {
                is_told.push(name)
            } else {
                is_inhibited.push(name)
            };
        }
        is_told.sort();
        is_inhibited.sort();
        Some((is_told, is_inhibited))
    };
    let as_expected = || asked().is_some_and(|(is_told, is_inhibited)| is_told == told && is_inhibited == inhibited);
    let found = until(BACK, || as_expected().then_some(()));
    assert!(found.is_some(), "{:?} instead of {told:?} and {inhibited:?}\n{}", asked(), daemon.process.log());
}
