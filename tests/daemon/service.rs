//! The process as the system sees it: what it may do, what it leaves behind, and what the service manager hears.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::harness::{Daemon, NOBODY, PATIENCE, Program, may_capture, run};

/// The fields of a thread's status.
type Status = BTreeMap<String, String>;

/// The status of each thread of a daemon.
fn threads(daemon: &Daemon) -> Vec<Status> {
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.id())).expect("it runs");
    let statuses = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
    let fields =
        |status: String| status.lines().filter_map(|line| line.split_once(":\t")).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    statuses.map(fields).collect()
}

/// Looks at all threads of a daemon that captures.
#[track_caller]
fn hold_nothing(daemon: &Daemon) {
    let threads = threads(daemon);
    let names: Vec<_> = threads.iter().map(|thread| thread["Name"].as_str()).collect();
    for name in ["engine", "ingest", "capture", "history", "signals", "http"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    for thread in &threads {
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(thread[set], "0000000000000000", "{set} of {}", thread["Name"]);
        }
        assert_eq!((thread["NoNewPrivs"].as_str(), thread["Seccomp"].as_str()), ("1", "2"), "{}", thread["Name"]);
    }
}

/// All files and folders below a folder, and it.
fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(all_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Looks whether all that is kept belongs to `user` alone.
#[track_caller]
fn is_private(state: &Path, user: u32) {
    let all = all_below(state);
    for name in ["history.db", "traces"] {
        assert!(all.iter().any(|path| path.to_string_lossy().contains(name)), "{name} is not among {all:?}");
    }
    for path in all {
        let metadata = fs::metadata(&path).expect("it is there");
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!((metadata.mode() & 0o777, metadata.uid()), (expected, user), "{}", path.display());
    }
}

/// A REGISTER with the answer to a challenge, and what is said to it.
fn rejected(port: u16, number: u32) -> [String; 2] {
    let common = format!(
        "Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{number}\r\nFrom: <sip:100@127.0.0.1>;tag=f{number}\r\nCall-ID: r100\r\n\
         CSeq: {number} REGISTER\r\nContact: <sip:100@127.0.0.1:{port}>\r\nContent-Length: 0\r\n"
    );
    let digest = "Authorization: Digest username=\"100\", realm=\"pbx\", nonce=\"n0nce\", uri=\"sip:127.0.0.1\", \
                  response=\"d16e57d16e57d16e57d16e57d16e57d1\", cnonce=\"c10c10c10\", qop=auth, nc=00000001\r\n";
    [
        format!("REGISTER sip:127.0.0.1 SIP/2.0\r\nMax-Forwards: 70\r\nTo: <sip:100@127.0.0.1>\r\n{digest}{common}\r\n"),
        format!("SIP/2.0 403 Forbidden\r\nTo: <sip:100@127.0.0.1>;tag=t{number}\r\n{common}\r\n"),
    ]
}

/// Has a phone be rejected by a PBX on `port` until that is a finding.
fn make_a_finding(port: u16) {
    let pbx = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).expect("a socket");
    let phone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let at = phone.local_addr().expect("an address");
    for number in 1..=3 {
        let [request, answer] = rejected(at.port(), number);
        phone.send_to(request.as_bytes(), (Ipv4Addr::LOCALHOST, port)).expect("sent");
        pbx.send_to(answer.as_bytes(), at).expect("sent");
    }
}

/// Waits for a datagram that holds `what` and returns it.
#[track_caller]
fn told(manager: &UnixDatagram, what: &str) -> String {
    let mut seen = String::new();
    loop {
        let mut datagram = [0; 4_096];
        let Ok(length) = manager.recv(&mut datagram) else { panic!("the service manager does not hear {what:?}:\n{seen}") };
        let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
        if text.contains(what) {
            return text;
        }
        seen.push_str(&text);
    }
}

#[test]
fn the_service_manager_hears_of_the_beginning_the_reload_the_life_and_the_end() {
    if !may_capture() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let daemon = Daemon::start_as("", |_, arguments| {
        let mut command = run(arguments);
        command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "4000000");
        command
    });
    assert_eq!(told(&manager, ""), "READY=1\nSTATUS=Capturing on lo\n", "nothing comes before it");
    assert!(daemon.page("/readyz").contains("200 OK"), "whoever is told that it is ready can ask it");
    daemon.signal("HUP");
    let reloading = told(&manager, "RELOADING=1");
    let since = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")?.parse::<u64>().ok());
    assert!(since.is_some_and(|since| since > 0), "{reloading}");
    assert_eq!(told(&manager, "READY=1"), "READY=1\nSTATUS=The configuration is unchanged\n");
    assert_eq!(told(&manager, "WATCHDOG"), "WATCHDOG=1\n");
    assert_eq!(told(&manager, "STATUS"), "STATUS=Capturing on lo; 0 calls, 0 findings open\n");
    daemon.signal("TERM");
    told(&manager, "STOPPING=1");
    assert_eq!(daemon.exit_code(), Some(0));
}

#[test]
fn root_gives_up_all_that_makes_it_root() {
    if !may_capture() {
        return;
    }
    let daemon = Daemon::start("");
    hold_nothing(&daemon);
    for thread in threads(&daemon) {
        assert_eq!(thread["CapBnd"], "0000000000000000", "{}", thread["Name"]);
    }
    daemon.page_until("/metrics", |page| page.contains("siphound_history_up{store=\"database\"} 1"));
    is_private(&daemon.state(), 0);
}

#[test]
fn root_goes_on_as_the_owner_of_the_history() {
    if !may_capture() {
        return;
    }
    let daemon = Daemon::start_as("", |files, arguments| {
        let state = files.join("state");
        fs::create_dir(&state).expect("a folder");
        fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).expect("the mode");
        chown(&state, Some(NOBODY), Some(NOBODY)).expect("the owner");
        run(arguments)
    });
    hold_nothing(&daemon);
    for thread in threads(&daemon) {
        for ids in ["Uid", "Gid"] {
            assert_eq!(thread[ids], "65534\t65534\t65534\t65534", "{ids} of {}", thread["Name"]);
        }
        assert_eq!(thread["Groups"].trim(), "", "{}", thread["Name"]);
    }
    daemon.page_until("/metrics", |page| page.contains("siphound_history_up{store=\"traces\"} 1"));
    is_private(&daemon.state(), NOBODY);
}

/// As the unit starts it.
#[test]
fn a_user_with_just_the_one_capability_captures_and_gives_it_up() {
    if !may_capture() {
        return;
    }
    let program = Program::copied();
    let daemon = Daemon::start_as("", |files, arguments| {
        let state = files.join("state");
        fs::create_dir(&state).expect("a folder");
        chown(&state, Some(NOBODY), Some(NOBODY)).expect("the owner");
        fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).expect("the mode");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all,+net_raw", "--ambient-caps=-all,+net_raw"]);
        command.args(["--bounding-set=-all,+net_raw", "--no-new-privs"]).arg(program.path());
        let plain = run(arguments);
        command.args(plain.get_args()).stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command
    });
    hold_nothing(&daemon);
    daemon.page_until("/metrics", |page| page.contains("siphound_history_up{store=\"database\"} 1"));
    is_private(&daemon.state(), NOBODY);
}

/// What lies outside its own files is out of reach, even for root.
#[test]
fn a_file_that_the_configuration_does_not_name_is_out_of_reach() {
    if !may_capture() || !has_landlock() {
        return;
    }
    let elsewhere = tempfile::tempdir().expect("a folder");
    let other = elsewhere.path().join("siphound.toml");
    fs::write(&other, "").expect("a file");
    let daemon = Daemon::start("");
    let config = daemon.files.path().join("siphound.toml");
    daemon.signal("HUP");
    daemon.wait_for("The configuration is unchanged");
    fs::remove_file(&config).expect("it is there");
    symlink(&other, &config).expect("a link");
    daemon.signal("HUP");
    let complaint = daemon.wait_for("The configuration is not valid");
    assert!(complaint.contains("Permission denied"), "{complaint}");
}

fn has_landlock() -> bool {
    let enforced = siphound::process::reach::is_known();
    if !enforced {
        println!("left out: this kernel has no Landlock");
    }
    enforced
}

/// A command runs as far as it may: it reads and runs what it likes, writes where siphound does, and has no privilege.
#[test]
fn a_command_is_run_with_what_is_left() {
    if !may_capture() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let told = folder.path().join("told");
    let script = format!("cat /etc/passwd >/dev/null && grep -e Cap -e NoNew /proc/self/status >{0}.new && mv {0}.new {0}", told.display());
    let config = format!(
        "[capture]\nports = [15097]\n[notify]\nwatch = [\"100\"]\ngroup_wait = \"0s\"\n[[notify.command]]\nargv = [\"/bin/sh\", \"-c\", \"{script}\"]\n"
    );
    let daemon = Daemon::start(&config);
    make_a_finding(15_097);
    daemon.page_until("/metrics", |page| page.contains("siphound_notifications_total{sink=\"command\",result=\"sent\"} 1"));
    let status = fs::read_to_string(told).expect("the command has written");
    assert!(status.contains("CapEff:\t0000000000000000") && status.contains("NoNewPrivs:\t1"), "{status}");
}

/// Whatever is configured, sent or seen: a secret is in no line of the most talkative log.
#[test]
fn no_secret_is_ever_logged() {
    if !may_capture() {
        return;
    }
    const SECRETS: [&str; 6] = [
        "t0ken-of-the-api-t0ken",
        "key-of-the-signature",
        "t0ken-of-the-webhook",
        "path-that-is-a-secret",
        "d16e57d16e57d16e57d16e57d16e57d1",
        "c10c10c10",
    ];
    let webhook = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let address = webhook.local_addr().expect("an address");
    let daemon = Daemon::start_as("", |files, arguments| {
        for (name, secret) in ["api.token", "webhook.secret", "webhook.token"].iter().zip(SECRETS) {
            let path = files.join(name);
            fs::write(&path, secret).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the mode");
        }
        let file = |name: &str| files.join(name).display().to_string();
        let (api, secret, token) = (file("api.token"), file("webhook.secret"), file("webhook.token"));
        let config = format!(
            "[capture]\nports = [15098]\n[api]\ntoken_file = \"{api}\"\n[notify]\nwatch = [\"100\"]\ngroup_wait = \"0s\"\n\
             [[notify.webhook]]\nurl = \"http://{address}/path-that-is-a-secret\"\nsecret_file = \"{secret}\"\ntoken_file = \"{token}\"\n"
        );
        fs::write(files.join("siphound.toml"), config).expect("a file");
        let mut command = run(arguments);
        command.env("SIPHOUND_LOG", "trace");
        command
    });
    make_a_finding(15_098);
    // It is told of, and refused: what is said of that is logged.
    let (mut stream, _) = webhook.accept().expect("a notification");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut request = [0; 16_384];
    let length = stream.read(&mut request).expect("a request");
    let request = String::from_utf8_lossy(&request[..length]).into_owned();
    assert!(request.contains(SECRETS[2]) && request.contains(SECRETS[3]), "the webhook gets both: {request}");
    drop((stream, webhook));
    daemon.page_until("/metrics", |page| page.contains("siphound_notifications_total{sink=\"webhook\",result=\"retried\"} 1"));
    daemon.page(&format!("/api/v1/summary?token={}", SECRETS[0]));
    daemon.signal("HUP");
    daemon.wait_for("The configuration is unchanged");
    daemon.signal("TERM");
    let log = daemon.rest_of_log();
    assert!(log.contains("Stopped"), "{log}");
    for secret in SECRETS {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}
