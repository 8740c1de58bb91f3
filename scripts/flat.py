#!/usr/bin/env python3
"""Replays endless traffic through standard input and fails when memory does not stay flat.

usage: flat.py [--minutes N] [--siphound PATH] [--traffic PATH] [--most MIB]

The traffic is an hour of 20,000 phones after the other. As the daemon does, the replay keeps 10,000 finished calls. Memory is read every
five seconds of wall time; from the middle of the run to its end the line through it may rise by --most MiB (2).
"""
import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
EVERY_S = 5.0


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=11.0)
    arguments.add_argument("--most", type=float, default=2.0)
    arguments.add_argument("--siphound")
    arguments.add_argument("--traffic")
    options = arguments.parse_args()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    if not (options.siphound and options.traffic):
        subprocess.run(["cargo", "build", "--locked", "--quiet", "--release", "--bin", "siphound", "--example", "traffic"], cwd=ROOT, check=True)
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config, tempfile.TemporaryFile("w+") as report:
        config.write("[limits]\nfinished_calls = 10_000\n")
        config.flush()
        sender = subprocess.Popen([options.traffic or target / "examples" / "traffic", "write", "-", "--endless"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        replay = subprocess.Popen([options.siphound or target / "siphound", "replay", "--config", config.name, "--format", "json", "-"], stdin=sender.stdout, stdout=report)
        sender.stdout.close()
        rows = sample(replay, options.minutes * 60)
        sender.terminate()
        sender.wait()
        if replay.wait() != 0:
            sys.exit("The replay failed")
        report.seek(0)
        capture = json.load(report)["capture"]
    hours = packet_hours(capture)
    for row in rows:
        # The pace is steady; what the report says of the end is divided evenly.
        row["packet_hours"] = hours * row["wall_s"] / rows[-1]["wall_s"]
    growth = slope(rows[len(rows) // 2:]) * (rows[-1]["wall_s"] - rows[len(rows) // 2]["wall_s"])
    rows.append({"growth_mib": growth, "wall_s": rows[-1]["wall_s"], "messages": capture["sip_messages"], "packet_hours": hours})
    lines = "\n".join(json.dumps(row) for row in rows)
    command = "scripts/flat.py " + " ".join(sys.argv[1:])
    subprocess.run([ROOT / "scripts" / "performance.py", "flat", command.strip()], input=lines, text=True, check=True)
    print(f"{growth:+.2f} MiB from the middle to the end, {capture['sip_messages']:,} messages in {hours:.1f} hours of packet time")
    if growth > options.most:
        sys.exit(f"Memory grows: more than {options.most} MiB")


def sample(process, seconds):
    begun, rows = time.monotonic(), []
    while (passed := time.monotonic() - begun) < seconds:
        time.sleep(min(EVERY_S, seconds - passed + 0.01))
        if process.poll() is not None:
            sys.exit("The replay ended before its time")
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
        rows.append({"wall_s": time.monotonic() - begun, "resident_mib": resident / 1024})
    return rows


def packet_hours(capture):

    first, last = (datetime.datetime.fromisoformat(capture[key].replace("Z", "+00:00")) for key in ("first_packet", "last_packet"))
    return (last - first).total_seconds() / 3600


def slope(rows):
    """MiB a second of the line through the samples."""
    times, sizes = [row["wall_s"] for row in rows], [row["resident_mib"] for row in rows]
    middle, mean = sum(times) / len(times), sum(sizes) / len(sizes)
    spread = sum((time - middle) ** 2 for time in times)
    return sum((time - middle) * (size - mean) for time, size in zip(times, sizes)) / spread if spread else 0.0


if __name__ == "__main__":
    main()
