#!/usr/bin/env python3
"""Runs the rules of deploy/prometheus over replayed captures and says which alerts fired.

    scripts/check-rules.py --siphound BINARY [CAPTURE=ALERT,… …]

Each capture of pcaps/ in the table below is replayed with --metrics-out, and `promtool test rules` evaluates the shipped rules over its
series at every sample. The alerts that fired at any time must be those of the table, no more and no fewer. Other captures can be given
as FILE=ALERT,ALERT; FILE= expects none. Exit code 1 where one differs.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent.parent
RULES = [HERE / "deploy/prometheus" / name for name in ("recording.yml", "alerts.yml")]
STEP = 15
# A day has too many samples for the time of a test.
LONG = {"quiet-day": 60}
FIRED = 'max by (alertname) (max_over_time(ALERTS{alertstate="firing"}[7d]))'

# What must have fired in a capture of pcaps/. In the others of the same kind nothing may.
CASES = {
    # Incidents.
    "trunk-dead": "SipTrunkNotResponding",
    "server-outage": "SipPbxNotResponding",
    "restart": "SipMassCallDrop,SipPbxRestarted",
    "server-errors": "SipServerErrors",
    "db-slow": "SipAuthBackendSlow",
    "scanner-gets-in": "SipScannerSucceeded",
    "nat-gap-chan_sip": "SipNatBindingTimeout",
    "site-ip-change": "SipSiteMoved",
    "leg-left-up": "SipLegsLeftUp",
    "slow-setup": "SipCallSetupSlow",
    "uplink-lost": "SipMassCallDrop",
    # The storm of registrations after it succeeds: no alert of its own.
    "reg-storm-recovery": "SipPbxNotResponding",
    # Incidents of one phone, which wake nobody up.
    "reg-wrong-password": "",
    "callee-off": "",
    "undelivered-burst": "",
    "icmp-unreachable": "",
    # The weather of the internet, and healthy days.
    "scanner": "",
    "site-30-phones": "",
    "nat-ok": "",
    "quiet-night": "",
    "quiet-day": "",
}

SAMPLE = re.compile(r"^(?P<series>[^ {]+\{.*\}) (?P<value>\S+) (?P<time>\S+)$")


def wanted_names():
    """The metrics that the rules name."""
    text = "".join(path.read_text() for path in RULES)
    return set(re.findall(r"\bsiphound_[a-z0-9_]+", text))


def read_series(path, names, step):
    """The samples of each series that a rule names, by number of the step since the first, and the number of steps."""
    series = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            match = SAMPLE.match(line)
            if match and match["series"].partition("{")[0] in names:
                series.setdefault(match["series"], {})[round(float(match["time"]) / step)] = match["value"]
    moments = sorted({moment for samples in series.values() for moment in samples})
    if not moments:
        sys.exit(f"{path}: no series that a rule names")
    first = moments[0]
    return {name: {moment - first: value for moment, value in samples.items()} for name, samples in series.items()}, moments[-1] - first


def values(samples, last):
    """The samples in the notation of promtool. A series that ends is stale at once, as it is for Prometheus after a scrape without it."""
    runs = []
    for moment in range(last + 1):
        value = samples.get(moment) or ("stale" if moment - 1 in samples else "_")
        if runs and runs[-1][0] == value:
            runs[-1][1] += 1
        else:
            runs.append([value, 1])
    return " ".join(f"{value}x{n}" if value == "_" else value if n == 1 else f"{value}+0x{n - 1}" for value, n in runs)


def fired(siphound, capture, folder):
    """The alerts that fired at any time of a capture."""
    metrics, test = folder / "metrics.om", folder / "test.json"
    step = LONG.get(capture.parent.name, STEP)
    command = [siphound, "replay", "--metrics-out", metrics, "--metrics-step", f"{step}s", capture]
    replayed = subprocess.run(command, capture_output=True, text=True)
    if replayed.returncode != 0:
        sys.exit(f"{capture}: {replayed.stderr}")
    series, last = read_series(metrics, wanted_names(), step)
    # JSON is YAML.
    test.write_text(
        json.dumps(
            {
                "rule_files": [str(path) for path in RULES],
                "evaluation_interval": f"{step}s",
                "group_eval_order": ["siphound-rfc6076", "siphound-hourly", "siphound-phone-system", "siphound-sites", "siphound-itself"],
                "tests": [
                    {
                        "interval": f"{step}s",
                        "input_series": [{"series": name, "values": values(samples, last)} for name, samples in series.items()],
                        "promql_expr_test": [
                            # Never true, so that promtool says what it got.
                            {"expr": FIRED, "eval_time": f"{last * step}s", "exp_samples": [{"labels": '{alertname="none"}', "value": -1}]}
                        ],
                    }
                ],
            }
        )
    )
    said = subprocess.run(["promtool", "test", "rules", test], capture_output=True, text=True)
    got = re.search(r"^\s*got:(.*)$", said.stdout + said.stderr, re.MULTILINE)
    if not got:
        sys.exit(f"{capture}: promtool says\n{said.stdout}{said.stderr}")
    return sorted(re.findall(r'alertname="([^"]+)"', got[1]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--siphound", required=True, help="the binary")
    parser.add_argument("captures", nargs="*", metavar="CAPTURE=ALERTS", help="in place of the table")
    arguments = parser.parse_args()
    cases = [(HERE / "pcaps" / name / "input.pcap", alerts) for name, alerts in CASES.items()]
    if arguments.captures:
        cases = [(pathlib.Path(path), alerts) for path, _, alerts in (case.rpartition("=") for case in arguments.captures)]
    failed = 0
    for capture, alerts in cases:
        with tempfile.TemporaryDirectory() as folder:
            got = fired(arguments.siphound, capture, pathlib.Path(folder))
        expected = sorted(filter(None, alerts.split(",")))
        failed += got != expected
        verdict = "ok    " if got == expected else "FAILED"
        wrong = "" if got == expected else f", not {', '.join(expected) or 'nothing'}"
        print(f"{verdict} {capture.parent.name}: {', '.join(got) or 'nothing'} fired{wrong}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
