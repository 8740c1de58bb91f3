#!/usr/bin/env python3
"""compare-lab.py SIPHOUND DIR: replays DIR/*/pbx.pcap and holds the report against the truth.json beside it.

Prints one line for each capture, then each disagreement. Exit code 1 if there is one.
The phones of the lab wrote truth.json; they and the PBX are 3-40 ms apart, hence the tolerances.
"""
import collections
import datetime
import json
import pathlib
import subprocess
import sys

DOMAIN = "pbx.example.net"
ANSWER_TOLERANCE_S = 0.35
DURATION_TOLERANCE_S = 0.6
# How long a phone has to follow up a challenge or a 423 before its attempt counts as failed.
FOLLOW_UP_S = 32.0


def replay(siphound, capture):
    run = subprocess.run([siphound, "replay", "--format", "json", capture], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def epoch(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def true_registrations(truth):
    """AoR -> (attempts, accepted, rejected); the tries of scanners name the address of the PBX as their domain."""
    address = truth["network"]["pbx"]
    expected = {}
    for user, seen in truth["registrations"].items():
        guesses = seen.get("by_scanner", 0)
        if guesses:
            expected[f"{user}@{address}"] = (guesses, 0, guesses)
        if seen["attempts"]:
            results = [a["result"] for a in seen["attempts"] if a["expires"] != 0]
            expected[f"{user}@{DOMAIN}"] = (len(results), results.count(200), len(results) - results.count(200))
        elif seen["attempted"] > guesses:
            # Counted from outside, where the last of baresip's is its de-registration.
            given_up = seen["unregisters"] or int(seen.get("by", "").startswith("baresip"))
            attempted = seen["attempted"] - guesses - given_up
            failed = seen["failed"] + seen["unanswered"] - guesses
            expected[f"{user}@{DOMAIN}"] = (attempted, attempted - failed, failed)
    return expected


def compare_registrations(truth, report):
    expected = true_registrations(truth)
    got = {entry["aor"]: entry for entry in report["registrations"]}
    end = epoch(report["capture"]["last_packet"])
    for aor in sorted(expected.keys() | got.keys()):
        attempts, accepted, rejected = expected.get(aor, (0, 0, 0))
        ours = tuple(got[aor][key] for key in ("attempts", "accepted", "rejected")) if aor in got else (0, 0, 0)
        unfinished = ours[0] - ours[1] - ours[2]
        may_be_unfinished = sum(t > end - FOLLOW_UP_S for t in tries_without_success(truth, aor))
        if ours[:2] != (attempts, accepted) or not 0 <= unfinished <= may_be_unfinished:
            yield f"{aor}: attempts, accepted, rejected {ours}, truth {(attempts, accepted, rejected)}"


def tries_without_success(truth, aor):
    """When the tries of an AoR began that ended in a challenge or a 423: a capture that ends soon after leaves them open."""
    user, _, domain = aor.partition("@")
    seen = truth["registrations"].get(user, {})
    yield from (a["t"] for a in seen.get("attempts", []) if a["result"] in (401, 407, 423))
    if domain == truth["network"]["pbx"] and "by_scanner" in seen:
        yield from (truth["ended"] for _ in range(seen["by_scanner"]))


def compare_call(call, entries):
    """Yields what differs between one call of the lab and the attempts that carry its Call-ID."""
    if not entries:
        yield "not in the report"
        return
    entry = next((e for e in entries if e["answered"]), entries[-1])
    if entry["status"] != call["final_code"]:
        yield f"status {entry['status']}, truth {call['final_code']}"
    if bool(entry["answered"]) != bool(call["t_answer"]):
        yield f"answered {entry['answered']}, truth {call['t_answer']}"
        return
    if not call["t_answer"]:
        return
    late = epoch(entry["answered"]) - call["t_answer"]
    if abs(late) > ANSWER_TOLERANCE_S:
        yield f"answered {late:+.3f} s off"
    hung_up = None if call["ended_by"] == "none" else call["ended_by"]
    if entry["ended_by"] != hung_up:
        yield f"ended by {entry['ended_by']}, truth {hung_up}"
    talk, duration = entry["talk_s"], call["duration_s"] if hung_up else None
    if (talk is None) != (duration is None) or (talk is not None and abs(talk - duration) > DURATION_TOLERANCE_S):
        yield f"talk {talk}, truth {duration}"


def compare_calls(truth, report):
    ours = collections.defaultdict(list)
    for entry in report["calls"]:
        ours[entry["call_id"]].append(entry)
    known = set()
    for call in truth["calls"]:
        known.add(call["call_id"])
        if call.get("not_in_capture"):
            continue
        for what in compare_call(call, ours[call["call_id"]]):
            yield f"call {call['call_id']} ({call.get('kind')}, {call['caller']} to {call['callee']}): {what}"
    for call_id in sorted(ours.keys() - known):
        yield f"call {call_id}: in the report, not in the truth"


def main(siphound, folder):
    disagreements = []
    print(f"{'capture':<26} {'users':>6} {'attempts':>8} {'accepted':>8} {'rejected':>8} {'calls':>6} {'answered':>8}  disagreements")
    for capture in sorted(pathlib.Path(folder).glob("*/pbx.pcap")):
        name = capture.parent.name
        truth = json.loads((capture.parent / "truth.json").read_text())
        report = replay(siphound, str(capture))
        found = [*compare_registrations(truth, report), *compare_calls(truth, report)]
        disagreements += [f"{name}: {what}" for what in found]
        registrations = report["registrations"]
        totals = [sum(r[key] for r in registrations) for key in ("attempts", "accepted", "rejected")]
        answered = sum(bool(c["answered"]) for c in report["calls"])
        columns = [len(registrations), *totals, len(report["calls"]), answered]
        print(f"{name:<26} {columns[0]:>6} {columns[1]:>8} {columns[2]:>8} {columns[3]:>8} {columns[4]:>6} {columns[5]:>8}  {len(found)}")
    for what in disagreements:
        print(what)
    return 1 if disagreements else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
