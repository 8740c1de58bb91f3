//! The pages of `docs/runbooks/` show what siphound really says. `BLESS=1` rewrites them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A page: a runbook, and what siphound makes of it.
struct Runbook {
    file: &'static str,
    title: &'static str,
    /// What the runbook asks, and how it is answered.
    story: &'static str,
    examples: &'static [Example],
}

/// A question and the capture that answers it.
struct Example {
    title: &'static str,
    case: &'static str,
    user: &'static str,
    problem: &'static str,
}

const RUNBOOKS: [Runbook; 5] = [
    Runbook {
        file: "S0-connection-issues.md",
        title: "S0: the user cannot connect",
        story: "Was a packet of the phone seen at all (S0-a, S0-e)? What does the registrar answer (S0-d, S0-f)? Is the PBX well (S0-g, S0-h)? \
                Is it over (S0-c)?",
        examples: &[
            Example { title: "Broken: a wrong password", case: "reg-wrong-password", user: "1001", problem: "cannot-connect" },
            Example { title: "Healthy: a phone that registers", case: "reg-ok", user: "1001", problem: "cannot-connect" },
        ],
    },
    Runbook {
        file: "S1-user-cannot-call.md",
        title: "S1: the user cannot call",
        story: "Is it registered (S1-a)? Did it reconnect to place the call (S1-d)? What became of the call (S1-c)? Is the other party there \
                (S1-e)? Are the PBX and the trunk well (S1-g)?",
        examples: &[
            Example { title: "Broken: the PBX ignores the address", case: "invite-ignored", user: "2001", problem: "cannot-call" },
            Example { title: "No fault: the other party is offline", case: "callee-off", user: "2001", problem: "cannot-call" },
            Example { title: "Healthy: the call was answered", case: "call-bridged", user: "1001", problem: "cannot-call" },
        ],
    },
    Runbook {
        file: "S2-user-cannot-receive-calls.md",
        title: "S2: the user cannot receive calls",
        story: "Is it registered, once and only once (S2-f)? Did the PBX call its phone, and what came back (S2-e)? Did the call go elsewhere?",
        examples: &[
            Example { title: "Broken: the PBX holds the phone for gone", case: "pbx-480-no-bleg", user: "1001", problem: "cannot-receive" },
            Example { title: "A number that no phone registers", case: "ring-group", user: "900", problem: "cannot-receive" },
            Example { title: "Healthy: calls arrive", case: "call-bridged", user: "2001", problem: "cannot-receive" },
        ],
    },
    Runbook {
        file: "S3-troubleshoot-signalling.md",
        title: "S3: calls drop, or do not end",
        story: "Maintenance: who ended the call, and did anybody mean to? Tear-down: did every leg end, and was the hang-up answered? What keeps \
                a call alive are the re-INVITE or UPDATE of its session timer (RFC 4028), not REGISTER, which keeps the phone reachable.",
        examples: &[
            Example { title: "Broken: the answer is never acknowledged", case: "ack-missing-32", user: "1001", problem: "call-dropped" },
            Example { title: "No fault: somebody hung up", case: "call-bridged", user: "1001", problem: "call-dropped" },
            Example { title: "Broken: a leg stays up and is billed", case: "leg-left-up", user: "1001", problem: "call-does-not-end" },
            Example { title: "Healthy: both legs end", case: "call-bridged", user: "1001", problem: "call-does-not-end" },
        ],
    },
    Runbook {
        file: "S4-phone-loses-connection.md",
        title: "S4: the phone loses its connection",
        story: "One phone or all (S4-1)? Was it registered, and is it now (S4-2, S4-3)? Did its address change (S4-4)? Does what the PBX sends \
                arrive (S4-5), and does it depend on how long the line was idle (S4-6, S4-nat)?",
        examples: &[
            Example { title: "Broken: the PBX loses sight of the phone", case: "nat-gap-pjsip", user: "1001", problem: "loses-connection" },
            Example { title: "Healthy: keep-alives hold the NAT open", case: "nat-ok", user: "1001", problem: "loses-connection" },
        ],
    },
];

#[test]
fn the_pages_show_what_siphound_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut stale = Vec::new();
    for runbook in &RUNBOOKS {
        let file = root.join("docs/runbooks").join(runbook.file);
        let page = page(root, runbook);
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, &page).expect("the page is writable");
        }
        if fs::read_to_string(&file).unwrap_or_default() != page {
            stale.push(runbook.file);
        }
    }
    assert!(stale.is_empty(), "out of date, rewrite with BLESS=1: {}", stale.join(", "));
}

/// The page of live assistance: a session in which nothing works, and one in which all does.
#[test]
fn the_page_of_live_assistance_shows_what_siphound_says() {
    const BROKEN: [&str; 6] = ["assist", "1001", "--since", "2026-01-31 09:11:40", "--pcap", "pcaps/assist-nothing/input.pcap"];
    const NAT: [&str; 8] =
        ["assist", "1001", "--steps", "inbound-call", "--since", "2026-01-31 09:03:30", "--pcap", "pcaps/nat-gap-chan_sip/input.pcap"];
    const HEALTHY: [&str; 8] =
        ["assist", "1001", "--echo", "600", "--since", "2026-01-31 09:01:30", "--pcap", "pcaps/assist-ok/input.pcap"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("docs/assist.md");
    let known = fs::read_to_string(&file).unwrap_or_default();
    let (story, _) = known.split_once("\n## ").unwrap_or((&known, ""));
    let mut page = story.to_owned();
    for (title, arguments) in [
        ("Broken: nothing arrives, while a neighbour goes on", &BROKEN[..]),
        ("Broken: calls reach the phone late", &NAT),
        ("Healthy: the phone is back, and each step passes", &HEALTHY),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_siphound")).current_dir(root).args(arguments).output().expect("it starts");
        assert!(output.status.success(), "{title}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text");
        let quoted: Vec<_> =
            arguments.iter().map(|part| if part.contains(' ') { format!("'{part}'") } else { (*part).to_owned() }).collect();
        write!(page, "\n## {title}\n\n```console\n$ siphound {}\n{text}```\n", quoted.join(" ")).expect("a string");
    }
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &page).expect("the page is writable");
    }
    assert!(known == page || std::env::var_os("BLESS").is_some(), "docs/assist.md is out of date, rewrite with BLESS=1");
}

fn page(root: &Path, runbook: &Runbook) -> String {
    let mut page = format!("# {}\n\n{}\n", runbook.title, runbook.story);
    for example in runbook.examples {
        let arguments = ["diagnose", example.user, "--problem", example.problem, "--pcap"];
        let input = format!("pcaps/{}/input.pcap", example.case);
        let output =
            Command::new(env!("CARGO_BIN_EXE_siphound")).current_dir(root).args(arguments).arg(&input).output().expect("it starts");
        assert!(output.status.success(), "{}: {}", example.case, String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text");
        write!(page, "\n## {}\n\n```console\n$ siphound {} {input}\n{text}```\n", example.title, arguments.join(" ")).expect("a string");
    }
    page
}
