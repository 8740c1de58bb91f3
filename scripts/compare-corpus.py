#!/usr/bin/env python3
"""compare-corpus.py SIPHOUND DIR: replays each capture below DIR and holds what was counted against TShark's dissection.

Each replay must end with 0 and valid JSON, and account for each frame. The number of SIP messages is compared with TShark's, less the copies
that siphound drops and TShark shows, and so is the number of distinct requests of each method and responses of each status. Differences
that were looked into are explained in REASONS. Exit code 1 if one is not, or if a replay fails.
"""
import collections
import json
import pathlib
import subprocess
import sys

# End of the path -> why the counts differ.
REASONS = {
    "tests/fixtures/udp_5060.pcap": "responses without a header: nothing makes one the repeat of another",
    "rfc4475-invalid-syntax-udp.pcap": "TShark takes five for no SIP (version 7.0, status 4294967301, spaces in the start line); unknown methods are OTHER",
    "rfc4475-valid-udp.pcap": "a datagram with two messages, of which TShark shows the first; unknown methods are OTHER",
}

FIELDS = ["sip.Method", "sip.Status-Code", "sip.Call-ID", "sip.CSeq", "sip.Via.branch"]
TSHARK = ["tshark", "-n", "-Y", "sip", "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=\x1f"]


def captures(folder):
    return sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file() and path.suffix in (".pcap", ".pcapng", ".cap", ""))


def tshark(path):
    """Messages (a frame may hold several), and how many distinct ones there are of each method and status."""
    fields = [argument for field in FIELDS for argument in ("-e", field)]
    run = subprocess.run([*TSHARK, *fields, "-r", path], capture_output=True, text=True, errors="replace")
    messages, distinct = 0, set()
    for line in run.stdout.splitlines():
        columns = [column.split("\x1f") for column in (line.split("\t") + [""] * len(FIELDS))[: len(FIELDS)]]
        kinds = [kind for column in columns[:2] for kind in column if kind]
        messages += len(kinds)
        name = tuple(column[0] for column in columns[2:])
        distinct.update((kind, place, name) for place, kind in enumerate(kinds))
    return messages, collections.Counter(kind for kind, *_ in distinct)


def replay(siphound, path):
    """The report, or what is wrong with it."""
    run = subprocess.run([siphound, "replay", "--format", "json", path], capture_output=True, text=True)
    if run.returncode != 0:
        return None, f"exit code {run.returncode}: {run.stderr.strip()[-200:]}"
    try:
        report = json.loads(run.stdout)
    except ValueError as error:
        return None, f"no JSON: {error}"
    capture = report["capture"]
    accounted = capture["sip_frames"] + capture["keepalive_frames"] + sum(capture["skipped"].values())
    if accounted != capture["frames"]:
        return report, f"{capture['frames']} frames read, {accounted} accounted for"
    return report, None


def compare(siphound, path):
    """The numbers of one capture, whether they agree, and what went wrong."""
    messages, theirs = tshark(path)
    report, failure = replay(siphound, path)
    if report is None:
        return [messages, "-", "-", "-", ""], False, failure
    capture = report["capture"]
    copies = capture["skipped"].get("duplicate", 0)
    difference = capture["sip_messages"] - messages
    ours = collections.Counter(report["messages"]["requests"]) + collections.Counter(report["messages"]["responses"])
    if sum(ours.values()) + capture["retransmissions"] != capture["sip_messages"]:
        failure = failure or f"{capture['sip_messages']} messages, {sum(ours.values())} distinct and {capture['retransmissions']} repeats"
    kinds = ", ".join(f"{kind} {ours[kind] - theirs[kind]:+}" for kind in sorted(ours | theirs) if ours[kind] != theirs[kind])
    agrees = -copies <= difference <= 0 and not kinds
    return [messages, capture["sip_messages"], f"{difference:+}" if difference else "", copies or "", kinds], agrees, failure


def main(siphound, folder):
    bad = 0
    print(f"{'file':<58} {'tshark':>6} {'ours':>6} {'diff':>5} {'copies':>6}  what differs, why")
    for path in captures(folder):
        name = str(path.relative_to(folder))
        row, agrees, failure = compare(siphound, str(path))
        reason = next((text for end, text in REASONS.items() if name.endswith(end)), None)
        verdict = failure or ("" if agrees else reason)
        bad += bool(failure) or (not agrees and reason is None)
        words = "; ".join(filter(None, [row[4], "UNEXPLAINED" if verdict is None else verdict]))
        print(f"{name[-58:]:<58} {row[0]:>6} {row[1]:>6} {row[2]:>5} {row[3]:>6}  {words}".rstrip())
    return 1 if bad else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
