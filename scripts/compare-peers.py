#!/usr/bin/env python3
"""Compares siphound with what others would use, on one capture in one run, and writes the table into docs/performance.md.

usage: compare-peers.py [--mixed] [--messages N] [--runs N] [--capture FILE] [--siphound PATH]

Without --capture a capture is made (and with --mixed one with TCP, fragments and torture messages). The tools run in turn, so that drift of
the machine hits all alike; a tool that is not installed, fails or takes over five minutes is named. siphound and the generator are built as
releases unless a path is given.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMIT_S = 300


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--mixed", action="store_true")
    arguments.add_argument("--messages", type=int, default=1_000_000)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--capture")
    arguments.add_argument("--siphound")
    options = arguments.parse_args()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    with tempfile.TemporaryDirectory() as work:
        siphound = options.siphound or build(target, ["--bin", "siphound"], "siphound")
        capture = options.capture or make(target, pathlib.Path(work) / "capture.pcap", options)
        subprocess.run(["cat", capture], stdout=subprocess.DEVNULL, check=True)  # into the page cache
        rows = compare(commands(siphound, capture), options.runs)
    messages = sip_messages(siphound, capture) if options.capture else options.made["messages"]
    for row in rows:
        if row["tool"].startswith("siphound"):
            row["messages"] = messages
    name = "compare-mixed" if options.mixed else "compare"
    command = "scripts/compare-peers.py " + " ".join(sys.argv[1:])
    lines = "\n".join(json.dumps(row) for row in rows)
    subprocess.run([ROOT / "scripts" / "performance.py", name, command.strip()], input=lines, text=True, check=True)
    print(lines)


def build(target, what, path):
    subprocess.run(["cargo", "build", "--locked", "--quiet", "--release", *what], cwd=ROOT, check=True)
    return str(target / "release" / path)


def make(target, file, options):
    generator = build(target, ["--example", "traffic"], "examples/traffic")
    mixed = ["--mixed"] if options.mixed else []
    made = subprocess.run([generator, "write", file, "--messages", str(options.messages), *mixed], capture_output=True, text=True, check=True)
    options.made = json.loads(made.stdout)
    return str(file)


def commands(siphound, capture):
    return {
        "siphound": [siphound, "replay", "--format", "json", capture],
        "siphound, one core": ["taskset", "-c", "0", siphound, "replay", "--format", "json", capture],
        "tcpdump": ["tcpdump", "-r", capture, "-w", "/dev/null"],
        "tshark": ["tshark", "-q", "-z", "sip,stat", "-r", capture],
        "sngrep": ["sngrep", "-N", "-q", "-l", "1000000", "-I", capture, "-O", "/dev/null"],
        "sipnab": ["sipnab", "-N", "-q", "--no-rtp", "--no-cli-print", "--report", "-I", capture],
    }


def compare(tools, runs):
    results = {tool: [] for tool in tools}
    failures = {}
    for _ in range(runs):
        for tool, command in tools.items():
            if tool in failures:
                continue
            if not shutil.which(command[0]):
                failures[tool] = "not installed"
                continue
            result = measure(command)
            if result is None:
                failures[tool] = f"failed, or over {LIMIT_S} s"
            else:
                results[tool].append(result)
    rows = []
    for tool, measured in results.items():
        if tool in failures:
            rows.append({"tool": tool, "why": failures[tool]})
            continue
        median = lambda key: statistics.median(result[key] for result in measured)
        rows.append({"tool": tool, "wall_s": median("wall_s"), "cpu_s": median("cpu_s"), "peak_mib": median("peak_mib"), "runs": len(measured)})
    return rows


def measure(command):
    """Wall time, CPU time and peak memory of a command; nothing when it fails.

    The system counts what this process holds as a part of the peak of its child: it must hold little.
    """
    begun = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    timer = threading.Timer(LIMIT_S, process.kill)
    timer.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begun
    timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if status != 0:
        return None
    return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mib": usage.ru_maxrss / 1024}


def sip_messages(siphound, capture):
    report = subprocess.run([siphound, "replay", "--format", "json", capture], capture_output=True, text=True, check=True)
    return json.loads(report.stdout)["capture"]["sip_messages"]


if __name__ == "__main__":
    main()
